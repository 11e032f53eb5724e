"""Large arrays: in memory while they fit, in files after that."""

import os
from pathlib import Path

import numpy as np
import psutil

from edge_runtime.errors import WriteError


class Storage:
    """Hands out arrays, and counts what they take."""

    def __init__(self, folder: Path, memory_gb: float | None):
        """Takes where files go, and how many GB (10^9 bytes) stay in memory; None: half of what is free now."""
        self._folder = folder
        self._left = psutil.virtual_memory().available / 2 if memory_gb is None else memory_gb * 1e9
        self.on_disk_bytes = 0
        """What did not fit in memory and was put in files."""

    def array(self, name: str, shape: tuple[int, ...], dtype: type) -> np.ndarray:
        """An array to fill, of undefined content; its file, if it has one, is called `name`.

        Raises:
            WriteError: If the disk has no room for it.
        """
        size = int(np.prod(shape, dtype=np.int64)) * np.dtype(dtype).itemsize
        if size <= self._left:
            self._left -= size
            return np.empty(shape, dtype)
        path = self._folder / f"{name}.bin"
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            with path.open("wb") as file:
                # A mapped file that grows onto a full disk kills the process (SIGBUS): its blocks are taken first.
                os.posix_fallocate(file.fileno(), 0, size)
        except OSError as problem:
            path.unlink(missing_ok=True)
            raise WriteError(
                f"{size / 1e9:.2f} GB for {name} fit neither the memory allowed ({self._left / 1e9:.2f} GB left) nor "
                f"the disk at {self._folder}: {problem}",
                "free disk space, raise --memory-gb, lower --views, or give --no-cache",
            ) from problem
        self.on_disk_bytes += size
        return np.memmap(path, dtype, "r+", shape=shape)
