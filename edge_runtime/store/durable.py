"""Changes to a folder that are on the disk when the call returns, and that a power cut leaves whole or absent.

A file's bytes are on the disk after an fsync of the file, its name after one of the folder; without, a power cut may take
either and leave the other (Pillai et al., "All File Systems Are Not Created Equal", OSDI 2014). A new file or link is made
under a temporary name, ``.NAME.new``, and renamed: whoever opens NAME finds the old one or the new one. The
temporary names are fixed, so the caller holds the folder's lock, and what a killed process left is used up by the next.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_CREATE = os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW


def replace_file(path: Path, content: bytes, mode: int) -> None:
    """Writes a file anew.

    Raises:
        OSError: What the disk says; then the old file is as it was.
    """
    temporary = _temporary(path)
    temporary.unlink(missing_ok=True)
    try:
        with _open_file(temporary, mode, os.O_EXCL) as handle:
            write_all(handle, content)
            os.fsync(handle)
        os.rename(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
    sync_folder(path.parent)


def replace_link(path: Path, target: str) -> None:
    """Has a symbolic link lead to target, a name in the same folder.

    Raises:
        OSError: What the disk says; then the old link is as it was.
    """
    temporary = _temporary(path)
    temporary.unlink(missing_ok=True)
    # A link's text is written together with its name, so no fsync between these two; of btrfs it was reported that it
    # loses the rename after one: https://lists.openwall.net/linux-kernel/2025/10/23/1273
    os.symlink(target, temporary)
    os.rename(temporary, path)
    sync_folder(path.parent)


def append_line(path: Path, line: bytes, mode: int) -> None:
    """Appends a line to a file, which is made if it is not there.

    A torn line that a power cut left at the end becomes a line of its own.

    Raises:
        OSError: What the disk says; then the file is as long as it was.
    """
    with _open_file(path, mode, os.O_APPEND) as handle:
        size = os.fstat(handle).st_size
        try:
            write_all(handle, (b"" if _ends_whole(path, size) else b"\n") + line + b"\n")
        except OSError:
            os.ftruncate(handle, size)
            raise
        os.fsync(handle)
    sync_folder(path.parent)


def remove(path: Path) -> None:
    """Removes a file or link, if it is there."""
    path.unlink(missing_ok=True)
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Makes the names in a folder survive a power cut."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextmanager
def _open_file(path: Path, mode: int, flags: int) -> Iterator[int]:
    """A file open for writing; one that is made gets exactly the mode, whatever the umask."""
    handle = os.open(path, _CREATE | flags, mode)
    try:
        if os.fstat(handle).st_size == 0 and os.fstat(handle).st_uid == os.geteuid():
            os.fchmod(handle, mode)
        yield handle
    finally:
        os.close(handle)


def write_all(handle: int, content: bytes) -> None:
    """Writes all of it; one os.write may take less."""
    left = memoryview(content)
    while left:
        left = left[os.write(handle, left) :]


def _temporary(path: Path) -> Path:
    return path.with_name(f".{path.name}.new")


def _ends_whole(path: Path, size: int) -> bool:
    if size == 0:
        return True
    with open(path, "rb") as file:
        file.seek(size - 1)
        return file.read(1) == b"\n"
