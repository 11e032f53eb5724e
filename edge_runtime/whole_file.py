"""A write is whole or absent: a reader never sees half a file, and a killed writer leaves the old one."""

import os
import tempfile
from pathlib import Path

from edge_runtime.errors import WriteError


def write_whole(path: Path, content: bytes) -> None:
    """Writes content beside path, flushes it to the disk and renames it over path.

    Raises:
        WriteError: If path is a directory, or its folder is absent, not writable or full.
    """
    write_together({path: content})


def write_together(contents: dict[Path, bytes]) -> None:
    """Writes several files, each as `write_whole` does; none is renamed before all are on the disk.

    Raises:
        WriteError: If a path is a directory, or a folder is absent, not writable or full; then no file has changed.
    """
    for path in contents:
        _check_no_folder(path)
    temporaries: dict[Path, str] = {}
    try:
        for path, content in contents.items():
            handle, temporaries[path] = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
            with os.fdopen(handle, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            # mkstemp makes files private; a model file is read by other users, as any new file is.
            os.chmod(temporaries[path], 0o666 & ~_umask())
        for path, temporary in temporaries.items():
            os.replace(temporary, path)
            _sync_folder(path.parent)
    except OSError as problem:
        raise WriteError(
            f"cannot write {path}: {problem}", "check the folder, its permissions and the free disk space"
        ) from problem
    finally:
        # Absent after the rename; still there after an error or Ctrl-C.
        for temporary in temporaries.values():
            if os.path.exists(temporary):
                os.unlink(temporary)


def check_folders(*paths: Path | None) -> None:
    """Refuses now what could not be written later, before what takes long.

    Args:
        paths: Files to be written; None is none.

    Raises:
        WriteError: If a path is a directory, or its folder is absent or not writable.
    """
    for path in filter(None, paths):
        _check_no_folder(path)
        if not path.parent.is_dir():
            raise WriteError(
                f"cannot write {path}: there is no folder {path.parent}", f"mkdir -p {path.parent}"
            )
        if not os.access(path.parent, os.W_OK):
            raise WriteError(f"cannot write {path}: {path.parent} is not writable", "name another folder")


def _check_no_folder(path: Path) -> None:
    if os.path.isdir(path):
        raise WriteError(
            f"{path} is a directory, expected a file to write", f"name a file in it: {path / 'NAME'}"
        )


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _sync_folder(folder: Path) -> None:
    """Makes the rename itself survive a power cut."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
