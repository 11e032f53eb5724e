"""Locks that end with the process that holds them, however that ends: one change at a time, and files in use."""

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from edge_runtime.store.errors import StoreBusy
from edge_runtime.store.history import printable

_TURN_S = 0.02
_READ = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW


class Lock:
    """An exclusive lock for a ``with`` block, among processes and threads, that tells who holds it; its file stays."""

    def __init__(self, path: Path, holder: str, wait_s: float, mode: int):
        """Takes the lock's file, who wants it and what for, how long to wait, and the mode of a new file."""
        self._path, self._holder, self._wait_s, self._mode = path, holder, wait_s, mode
        self._file: int | None = None

    def __enter__(self) -> None:
        """Waits for the lock.

        Raises:
            StoreBusy: If another holds it, and goes on holding it.
            OSError: If there is no such file, and none can be made.
        """
        self._file = self._open()
        end_s = time.monotonic() + self._wait_s
        while not try_lock(self._file, fcntl.LOCK_EX):
            if time.monotonic() >= end_s:
                holder = os.pread(self._file, 1000, 0).decode(errors="replace") or "by another process"
                os.close(self._file)
                raise StoreBusy(
                    f"{self._path.parent} is in use: {printable(holder)}", "wait until that has ended"
                )
            time.sleep(_TURN_S)
        self._say(f"{self._holder} (process {os.getpid()})")

    def __exit__(self, *exception: object) -> None:
        self._say("")
        os.close(self._file)  # and with that, unlocked

    def _open(self) -> int:
        try:
            handle = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, self._mode)
        except PermissionError:
            if not self._path.exists():
                raise
            # Another user's: enough to lock, not enough to say who one is.
            return os.open(self._path, _READ)
        with suppress(PermissionError):
            os.fchmod(handle, self._mode)
        return handle

    def _say(self, holder: str) -> None:
        with suppress(OSError):  # a full disk, another user's file: the lock holds without a name on it
            os.ftruncate(self._file, 0)
            os.pwrite(self._file, holder.encode(errors="replace"), 0)


def try_lock(file: int, kind: int) -> bool:
    """Takes a lock on an open file, fcntl.LOCK_EX or LOCK_SH, unless another has it."""
    try:
        fcntl.flock(file, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


@contextmanager
def in_use(path: Path) -> Iterator[bool]:
    """Has `is_in_use` say so of a file for the ``with`` block; False: it could not, as another was just asking.

    Raises:
        OSError: If the file cannot be opened.
    """
    handle = os.open(path, _READ)
    try:
        yield try_lock(handle, fcntl.LOCK_SH)
    finally:
        os.close(handle)


def is_in_use(path: Path) -> bool:
    """Whether a process that lives has a lock on the file; also where that cannot be told."""
    try:
        handle = os.open(path, _READ)
    except FileNotFoundError:
        return False
    except OSError:
        return True
    try:
        return not try_lock(handle, fcntl.LOCK_EX)
    finally:
        os.close(handle)
