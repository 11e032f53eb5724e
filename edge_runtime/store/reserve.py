"""Some room kept aside, so that a full disk does not keep a device on a bad version."""

import os
from pathlib import Path

from edge_runtime.store.durable import remove, replace_file

SIZE_BYTES = 16_384
"""Four blocks of ext4: a rollback needs one for the state, and one for the history where its last is used up."""


def keep(path: Path, mode: int) -> None:
    """Makes the file, if it is not there.

    Raises:
        OSError: If there is no room for it.
    """
    if not path.exists():
        replace_file(path, os.urandom(SIZE_BYTES), mode)  # no zeros: some file systems would not store them


def use(path: Path) -> bool:
    """Gives the room back to the disk; whether there was any."""
    if not path.exists():
        return False
    remove(path)
    return True
