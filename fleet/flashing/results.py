"""What came of a flash, for people and for programs."""

from collections.abc import Iterator, Sequence
from typing import Any

from fleet.flashing.flash import Flash
from fleet.flashing.progress import FAILED, INTERRUPTED, NOT_TRIED, REFUSED, Progress
from fleet.history import Entry, now


def exit_code(rows: Sequence[Progress]) -> int:
    """0 where all went well; 3 where each failure is a self-test's or a trial's; else 1."""
    if all(row.outcome.what not in (FAILED, REFUSED, INTERRUPTED, NOT_TRIED) for row in rows):
        return 0
    failures = [row.outcome for row in rows if row.outcome.failed]
    interrupted = any(row.outcome.what == INTERRUPTED for row in rows)
    return 3 if failures and all(outcome.gate for outcome in failures) and not interrupted else 1


def lines(rows: Sequence[Progress], flash: Flash, stopped: str) -> Iterator[str]:
    """A table with a line a device, each failure with what to do, and a sum."""
    table = [("device", "outcome", "version", "seconds", "")]
    table += [_cells(row, flash) for row in rows]
    widths = [max(len(cells[column]) for cells in table) for column in range(4)]
    hints = ["", *(row.outcome.hint for row in rows)]
    for cells, hint in zip(table, hints, strict=True):
        fitted = (cell.ljust(width) for cell, width in zip(cells[:4], widths, strict=True))
        yield "  ".join((*fitted, cells[4])).rstrip()
        if hint:
            yield f"  hint: {hint}"
    counts: dict[str, int] = {}
    for row in rows:
        counts[row.outcome.what] = counts.get(row.outcome.what, 0) + 1
    yield f"{flash.name} {flash.version}: " + ", ".join(f"{count} {what}" for what, count in counts.items())
    if stopped:
        yield f"stopped: {stopped}"


def to_dict(rows: Sequence[Progress], flash: Flash, stopped: str) -> dict[str, Any]:
    """The same, ready for JSON."""
    return {
        "model": flash.name,
        "version": flash.version,
        "sha256": flash.sha256,
        "size_bytes": flash.size_bytes,
        "dry_run": flash.dry_run,
        "stopped": stopped,
        "devices": [
            {
                "device": row.target.name,
                "address": row.target.address,
                "outcome": row.outcome.what,
                "phase": row.phase,
                "from": row.from_version,
                "note": row.outcome.note,
                "hint": row.outcome.hint,
                "gate": row.outcome.gate,
                "seconds": round(row.seconds, 1),
            }
            for row in rows
        ],
    }


def entry(row: Progress, flash: Flash) -> Entry:
    """A device's line of this workstation's history."""
    return Entry(
        when=now(),
        device=row.target.name,
        address=row.target.address,
        model=flash.name,
        version=flash.version,
        sha256=flash.sha256,
        from_version=row.from_version,
        outcome=row.outcome.what,
        phase=row.phase,
        problem=row.outcome.note,
        why=flash.why,
        seconds=round(row.seconds, 1),
    )


def versions(row: Progress, flash: Flash) -> str:
    """1 -> 2; or the version alone, where nothing else is known to have been there."""
    before = row.from_version
    return flash.version if before in (None, flash.version) else f"{before} -> {flash.version}"


def ending(row: Progress) -> str:
    """The outcome, and the phase that a failure is of."""
    outcome = row.outcome
    return f"{outcome.what} in {row.phase}" if outcome.what in (FAILED, INTERRUPTED) else outcome.what


def _cells(row: Progress, flash: Flash) -> tuple[str, str, str, str, str]:
    seconds = f"{row.seconds:.1f}" if row.seconds else ""
    return row.target.name, ending(row), versions(row, flash), seconds, row.outcome.note
