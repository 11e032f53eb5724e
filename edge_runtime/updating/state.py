"""What a device remembers between two looks at a repository; whole or absent, and no more than a file of some KB."""

import json
import os
import stat
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from edge_runtime.whole_file import write_whole

FILE_NAME = "state.json"
_YEAR_5000_S = 1e11
MOST_REFUSED = 50
"""Older refusals are forgotten."""


@dataclass(frozen=True)
class State:
    """What came of earlier looks."""

    known_time_s: float = 0.0
    """Seconds since 1970: the latest time at which this device has found the repository's signatures to be in force."""
    taken: dict[str, str] = field(default_factory=dict)
    """Model to the sha256 of the last offer that came into use: left alone where a person has gone back since."""
    refused: dict[str, str] = field(default_factory=dict)
    """sha256 to why this device does not take that file; the newest last."""

    def take(self, name: str, sha256: str) -> "State":
        """With an offer that is in use now; what was said against it before is forgotten."""
        refused = {key: reason for key, reason in self.refused.items() if key != sha256}
        return replace(self, taken=self.taken | {name: sha256}, refused=refused)

    def refuse(self, sha256: str, reason: str) -> "State":
        """With one refusal more."""
        others = [(key, value) for key, value in self.refused.items() if key != sha256]
        return replace(self, refused=dict([*others, (sha256, reason)][-MOST_REFUSED:]))


def read_state(folder: Path) -> State:
    """The state in a folder; a new one where there is none, or one that a worn card has damaged."""
    try:
        fields = json.loads((folder / FILE_NAME).read_bytes())
        state = State(**fields)
        intact = (
            type(state.known_time_s) in (int, float)
            and 0 <= state.known_time_s < _YEAR_5000_S
            and all(isinstance(text, str) for text in (*state.taken.values(), *state.refused.values()))
        )
    except (OSError, ValueError, TypeError, AttributeError):
        return State()
    return state if intact else State()


def write_state(folder: Path, state: State) -> None:
    """Writes it so that a power cut leaves the old one or the new one.

    Raises:
        WriteError: If the folder takes no file.
    """
    write_whole(folder / FILE_NAME, (json.dumps(asdict(state), indent=1) + "\n").encode())


def make_like_parent(folder: Path) -> None:
    """Makes a folder, open to the same people as the one that it is in: a service and an administrator take turns.

    Raises:
        OSError: If the disk does not take it.
    """
    if folder.is_dir():
        return
    # The bit that hands the group on is inherited. chmod would have to name it, which a service may not
    # (RestrictSUIDSGID=).
    mask = os.umask(0)
    try:
        folder.mkdir(stat.S_IMODE(folder.parent.stat().st_mode) & 0o777)
    finally:
        os.umask(mask)
