"""When something happened, on a machine whose clock may be wrong: a Raspberry Pi has no battery for it."""

import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


@dataclass(frozen=True)
class Moment:
    """A point in time."""

    boot: str
    """Another one after every start of the machine."""
    uptime_s: float
    """Seconds since then: never jumps, and tells nothing of another boot."""
    when: str
    """The wall clock in UTC, ISO 8601, for people: it may be years off, and nothing is computed from it."""


def now() -> Moment:
    """This moment.

    Raises:
        OSError: If /proc is not mounted.
    """
    boot = _BOOT_ID.read_text().strip()
    when = datetime.now(UTC).isoformat(timespec="milliseconds")
    return Moment(boot, time.clock_gettime(time.CLOCK_BOOTTIME), when)
