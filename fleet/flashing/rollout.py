"""A flash of many devices, wave by wave, which stops where too many fail."""

from collections.abc import Sequence
from contextlib import aclosing
from dataclasses import dataclass

from fleet.flashing.device import flash_device
from fleet.flashing.flash import Flash
from fleet.flashing.progress import NOT_TRIED, Outcome, Progress
from fleet.flashing.waves import Amount, too_many, waves
from fleet.many import each
from fleet.terminal import Terminal


@dataclass(frozen=True)
class Rules:
    """Who comes first, and what ends it."""

    canary: int
    """So many devices first; all of them must succeed."""
    wave: Amount | None
    """So many at a time after them; None: all."""
    max_failures: Amount
    """After a wave with which more than so many have failed, no other begins."""


async def roll_out(rows: Sequence[Progress], flash: Flash, rules: Rules, terminal: Terminal) -> str:
    """Flashes the devices in their order; returns why not all of them were tried, or ""."""
    failed = tried = 0
    stopped = ""
    for number, wave in enumerate(waves(rows, rules.canary, rules.wave)):
        async with aclosing(each(wave, lambda row: flash_device(row, flash, terminal))) as done:
            async for _, outcome in done:
                tried += 1
                failed += outcome.failed
        if rules.canary and number == 0 and failed:
            stopped = f"{failed} of {_devices(tried)} to go first failed"
        elif too_many(failed, tried, rules.max_failures):
            stopped = f"{failed} of {_devices(tried)} failed, more than {rules.max_failures}"
        if stopped:
            break
    left = [row for row in rows if row.outcome is None]
    for row in left:
        row.end(Outcome(NOT_TRIED))
    return stopped if left else ""


def _devices(count: int) -> str:
    return f"{count} device{'s' if count > 1 else ''}"
