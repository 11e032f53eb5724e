"""What happened in a store, one JSON object a line. No link depends on it."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edge_runtime.store.durable import append_line, replace_file
from edge_runtime.store.moment import Moment

LARGEST_BYTES = 1_000_000
"""About 4,000 events; then the older half is dropped."""
LONGEST_TEXT = 500
"""Characters of a reason or a name: they may quote a file that others made."""


@dataclass(frozen=True)
class Event:
    """One change, or one refusal to change."""

    when: str
    """The wall clock in UTC; it may have been wrong."""
    boot: str
    """The first characters of that boot's id."""
    uptime_s: float
    """Seconds since that boot: the order of events where the clock jumped."""
    what: str
    """"added", "removed", "refused", "switched", "confirmed", "rolled back", "repaired", or
    "on trial and failed" (with no way back)."""
    from_version: str | None
    """What `current` was before; None: nothing, or not concerned."""
    to_version: str | None
    """What it was after, or the version that was added, removed or refused; None: unknown."""
    why: str
    by: str
    """Who asked for it, as they named themselves."""

    @classmethod
    def at(
        cls, moment: Moment, what: str, from_version: str | None, to_version: str | None, why: str, by: str
    ) -> "Event":
        """An event of that moment."""
        uptime_s, texts = round(moment.uptime_s, 3), (printable(why), printable(by))
        return cls(moment.when, moment.boot[:8], uptime_s, what, from_version, to_version, *texts)

    def to_dict(self) -> dict[str, Any]:
        """As it stands in the file."""
        return {
            "when": self.when,
            "boot": self.boot,
            "uptime_s": self.uptime_s,
            "what": self.what,
            "from": self.from_version,
            "to": self.to_version,
            "why": self.why,
            "by": self.by,
        }

    @classmethod
    def from_dict(cls, fields: Any) -> "Event":
        """Reads what `to_dict` gave.

        Raises:
            ValueError: If it is anything else.
        """
        if not isinstance(fields, dict) or fields.keys() != _KINDS.keys():
            raise ValueError(f"expected an object with {', '.join(_KINDS)}, got {fields!r:.100}")
        for name, kind in _KINDS.items():
            if not isinstance(fields[name], kind) or isinstance(fields[name], bool):
                raise ValueError(f"{name} is {fields[name]!r:.100}")
        return cls(*(fields[name] for name in _KINDS))


_KINDS = {
    "when": str,
    "boot": str,
    "uptime_s": (int, float),
    "what": str,
    "from": (str, type(None)),
    "to": (str, type(None)),
    "why": str,
    "by": str,
}


def printable(text: str) -> str:
    """A text as a reason or a name: not too long, and without what would move a terminal's cursor."""
    return "".join(character if character.isprintable() else "?" for character in text[:LONGEST_TEXT])


@dataclass(frozen=True)
class History:
    """What could be read."""

    events: tuple[Event, ...]
    """Oldest first."""
    damaged_lines: int
    """Lines that are no event: torn by a power cut, or altered."""


def read_history(path: Path) -> History:
    """Reads the file; one that is not there has no events.

    Raises:
        OSError: If the disk does not give it.
    """
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return History((), 0)
    events, damaged = [], 0
    for line in content.split(b"\n"):
        try:
            if line:
                events.append(Event.from_dict(json.loads(line)))
        except (ValueError, RecursionError):  # also bytes that are no UTF-8
            damaged += 1
    return History(tuple(events), damaged)


def append_events(path: Path, events: tuple[Event, ...], mode: int) -> None:
    """Appends those that are not in the file yet, and keeps it below `LARGEST_BYTES`.

    Raises:
        OSError: If the disk does not take them.
    """
    if not events:
        return
    known = set(read_history(path).events)
    for event in events:
        if event not in known:
            append_line(path, _line(event), mode)
    if path.stat().st_size > LARGEST_BYTES:
        kept = read_history(path).events
        newer = kept[len(kept) // 2 :]
        replace_file(path, b"".join(_line(event) + b"\n" for event in newer), mode)


def _line(event: Event) -> bytes:
    return json.dumps(event.to_dict()).encode()
