"""How far the flash of one device is, and what came of it."""

from collections.abc import Callable
from dataclasses import dataclass, field
from time import monotonic

from fleet.targets import Target

WAITING, CONNECT, CHECK, UPLOAD, INSTALL, WATCH = "waiting", "connect", "check", "upload", "install", "watch"
"""The phases, in their order; table, history and errors name the one that a flash ended in."""
FLASHED, ALREADY, FAILED, INTERRUPTED, NOT_TRIED = "flashed", "already", "failed", "interrupted", "not tried"
WOULD_FLASH, REFUSED = "would flash", "would be refused"
"""Outcomes; the last two are those of --dry-run."""


@dataclass(frozen=True)
class Outcome:
    """What came of a flash."""

    what: str
    """FLASHED, ALREADY, FAILED ..."""
    note: str = ""
    """What else there is to know, or why it failed."""
    hint: str = ""
    """What to do, where it failed."""
    gate: bool = False
    """Whether it is the self-test or the trial that failed."""

    @property
    def failed(self) -> bool:
        return self.what in (FAILED, REFUSED)


@dataclass
class Progress:
    """Written by the flash of one device, read by the table."""

    target: Target
    changed: Callable[["Progress"], None]
    """Told of each new phase and of the outcome."""
    phase: str = WAITING
    sent_bytes: int = 0
    from_version: str | None = None
    """What answered there before; None: nothing, or not known yet."""
    outcome: Outcome | None = None
    _began_s: float = field(default=0.0, repr=False)
    _ended_s: float | None = field(default=None, repr=False)

    @property
    def seconds(self) -> float:
        """Since it began, or what it took."""
        if self.phase == WAITING:
            return 0.0
        return (monotonic() if self._ended_s is None else self._ended_s) - self._began_s

    def enter(self, phase: str) -> None:
        """Begins a phase."""
        if self.phase == WAITING:
            self._began_s = monotonic()
        self.phase = phase
        self.changed(self)

    def sent(self, more_bytes: int) -> None:
        """Counts what has arrived."""
        self.sent_bytes += more_bytes

    def end(self, outcome: Outcome) -> None:
        self._ended_s = monotonic()
        self.outcome = outcome
        self.changed(self)
