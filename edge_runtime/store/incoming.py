"""A model file on its way into a store."""

import fcntl
import hashlib
import io
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from edge_runtime.errors import ModelFileError
from edge_runtime.store.durable import remove, write_all
from edge_runtime.store.errors import VersionRefused
from edge_runtime.store.lock import is_in_use, try_lock

LARGEST_BYTES = 256 * 1024 * 1024
"""A larger file is refused: an endless one would fill the disk."""
_PREFIX = ".incoming."
_CHUNK_BYTES = 1 << 20


@dataclass(frozen=True)
class Incoming:
    """A new file in the store's folder that is no version yet."""

    path: Path
    handle: int
    """Open for writing, and locked: nobody takes the file for what a dead process left."""

    def fill(self, stream: BinaryIO, name: str) -> str:
        """Copies a stream into the file, and that to the disk; returns its sha256.

        Raises:
            ModelFileError: If the stream fails.
            VersionRefused: If it has more than `LARGEST_BYTES`.
            OSError: If the disk does not take it.
        """
        digest, size = hashlib.sha256(), 0
        while chunk := _read(stream, name):
            size += len(chunk)
            if size > LARGEST_BYTES:
                raise VersionRefused(
                    f"{name} has more than {LARGEST_BYTES} bytes, and no model has", "name a .tflite file"
                )
            digest.update(chunk)
            write_all(self.handle, chunk)
        os.fsync(self.handle)
        return digest.hexdigest()

    def discard(self) -> None:
        """Removes the file, unless it was renamed."""
        with suppress(OSError):
            os.unlink(self.path)
        os.close(self.handle)


def new_file(folder: Path, mode: int) -> Incoming:
    """Makes an empty one; under the folder's lock, which `sweep` is called under.

    Raises:
        OSError: If the disk does not take it.
    """
    path = folder / f"{_PREFIX}{secrets.token_hex(8)}"
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    os.fchmod(handle, mode)
    try_lock(handle, fcntl.LOCK_EX)
    return Incoming(path, handle)


def sweep(folder: Path) -> None:
    """Removes what dead processes were writing.

    Raises:
        OSError: If the disk does not let it.
    """
    for path in folder.glob(f"{_PREFIX}*"):
        if not is_in_use(path):
            remove(path)


def name_of(source: Path | BinaryIO) -> str:
    """How messages call it."""
    return str(source) if isinstance(source, Path) else "the stream"


@contextmanager
def opened(source: Path | BinaryIO) -> Iterator[BinaryIO]:
    """A file open for reading; a stream as it is.

    Raises:
        ModelFileError: If the file cannot be opened.
    """
    if not isinstance(source, Path):
        yield source
        return
    try:
        file = io.FileIO(source)
    except (OSError, ValueError) as problem:  # ValueError: a NUL in the name
        raise ModelFileError(
            f"cannot read {source}: {problem}", "name a .tflite file written by litelens export"
        ) from problem
    with file:
        yield file


def _read(stream: BinaryIO, name: str) -> bytes:
    try:
        return stream.read(_CHUNK_BYTES)
    except OSError as problem:
        raise ModelFileError(f"cannot read {name}: {problem}", "copy the file again") from problem
