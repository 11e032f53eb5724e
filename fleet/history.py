"""What this workstation did to devices, one JSON object a line; each device's own store has its own history."""

import getpass
import json
import os
import socket
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from edge_runtime.errors import WriteError
from edge_runtime.store.history import printable

FILE_NAME = "fleet-history.jsonl"


@dataclass(frozen=True)
class Entry:
    """One flash of one device."""

    when: str
    """In UTC, ISO 8601: when it ended."""
    device: str
    """Its name in the fleet file, or its address."""
    address: str
    model: str
    version: str
    sha256: str
    """Of the file."""
    from_version: str | None
    """What answered before; None: nothing, or it was not known yet."""
    outcome: str
    """"flashed", "already", "failed", "interrupted"."""
    phase: str
    """In which it ended: "connect", "check", "upload", "install", "watch"."""
    problem: str
    """Why it failed, or what else there was to know."""
    why: str
    """What it was done for, in the words of who did it."""
    seconds: float

    def to_dict(self) -> dict[str, Any]:
        """As it stands in the file."""
        values = asdict(self)
        return {_KEYS.get(name, name): value for name, value in values.items()}

    @classmethod
    def from_dict(cls, values: Any) -> "Entry":
        """Reads what `to_dict` gave.

        Raises:
            ValueError: If it is anything else.
        """
        kinds = {field.name: field.type for field in fields(cls)}
        if not isinstance(values, dict):
            raise ValueError(f"expected an object, got {values!r:.100}")
        found = {name: values.get(_KEYS.get(name, name)) for name in kinds}
        for name, kind in kinds.items():
            if not isinstance(found[name], int | float if kind is float else kind):
                raise ValueError(f"{name} is {found[name]!r:.100}")
        return cls(
            **{name: printable(value) if isinstance(value, str) else value for name, value in found.items()}
        )


_KEYS = {"from_version": "from"}
"""What is called otherwise in the file, "from" being a word of Python's."""


@dataclass(frozen=True)
class FleetHistory:
    """What could be read."""

    entries: tuple[Entry, ...]
    """Oldest first."""
    damaged_lines: int


def history_file() -> Path:
    """$XDG_STATE_HOME/litelens/fleet-history.jsonl; without it, in ~/.local/state (XDG Base Directory Specification)."""
    state = os.environ.get("XDG_STATE_HOME") or "~/.local/state"
    return Path(state).expanduser() / "litelens" / FILE_NAME


def me() -> str:
    """Who works here, for histories: USER@WORKSTATION."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a user without a name
        user = "somebody"
    return f"{user}@{socket.gethostname()}"


def now() -> str:
    """The `when` of an entry that is made now."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def append(entry: Entry) -> None:
    """Appends an entry; two commands may do so at once.

    Raises:
        WriteError: If the file cannot be written.
    """
    path = history_file()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            # One write, so that another's line is before or behind it, never within.
            os.write(handle, _torn(handle) + json.dumps(entry.to_dict()).encode() + b"\n")
        finally:
            os.close(handle)
    except OSError as problem:
        raise WriteError(
            f"the history cannot be written: {problem}", f"see that you may write into {path.parent}"
        ) from problem


def read() -> FleetHistory:
    """Reads the file; one that is not there has no entries, and a damaged line is only counted.

    Raises:
        WriteError: If the disk does not give it.
    """
    path = history_file()
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return FleetHistory((), 0)
    except OSError as problem:
        raise WriteError(f"cannot read {path}: {problem.strerror}", f"ls -l {path}") from problem
    entries, damaged = [], 0
    for line in filter(None, content.split(b"\n")):
        try:
            entries.append(Entry.from_dict(json.loads(line)))
        except (ValueError, RecursionError):  # also bytes that are no UTF-8
            damaged += 1
    return FleetHistory(tuple(entries), damaged)


def _torn(handle: int) -> bytes:
    """A line's end, where a power cut or a full disk left a line without one."""
    size = os.fstat(handle).st_size
    return b"\n" if size and os.pread(handle, 1, size - 1) != b"\n" else b""
