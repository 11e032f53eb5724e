"""Comparisons as lines for people. Labels and versions may come from another machine."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np

from edge_runtime.drift.comparison import LEAST_FRAMES, LEAST_PICTURES, Comparison, Verdict
from edge_runtime.drift.histogram import BINS
from edge_runtime.store.history import printable
from fleet.drifting.answer import Answer
from fleet.drifting.others import BesideOthers

NONE = "-"
"""Stands where there is nothing."""
HEADINGS = ("device", "version", "frames", "until", "score", "unknown", "shift", "others", "")
_BAR = 24
"""Characters of a bar that is all of a histogram."""


@dataclass(frozen=True)
class Compared:
    """A device that was compared."""

    name: str
    answer: Answer
    others: BesideOthers | None = None
    """None: there are too few others."""

    @property
    def drifted(self) -> bool:
        """Whether it is less sure than the reference or the other devices make expect."""
        return self.answer.comparison.verdict == Verdict.DRIFTED or bool(self.others and self.others.drifted)


def table(compared: Sequence[Compared], not_compared: Sequence[tuple[str, str]] = ()) -> list[str]:
    """A line a device; then the histograms of those that have drifted.

    Args:
        compared: The devices.
        not_compared: Names of the others, and why.
    """
    rows = [HEADINGS, *map(_row, compared)]
    rows += [(name, *(NONE,) * (len(HEADINGS) - 2), f"not compared: {why}") for name, why in not_compared]
    widths = [max(map(len, column)) for column in zip(*(row[:-1] for row in rows), strict=True)]
    lines = ["  ".join((*map(str.ljust, row[:-1], widths), row[-1])).rstrip() for row in rows]
    for device in compared:
        if device.drifted:
            lines += ["", *bars(device)]
    return lines


def bars(device: Compared) -> Iterator[str]:
    """Both histograms of the scores, beside each other, without the bins that are empty in both."""
    counted, reference = device.answer.counted.histogram, device.answer.reference
    found = counted.counts.sum(axis=0) / counted.frames
    expected = reference.histogram.counts.sum(axis=0) / reference.histogram.frames
    yield f"{'score':11}{printable(reference.split):{_BAR + 9}.{_BAR + 8}}{device.name}"
    for height in range(BINS - 1, int(np.flatnonzero(found + expected)[0]) - 1, -1):
        bin_s = f"{height / BINS:.2f}-{(height + 1) / BINS:.2f}"
        yield f"{bin_s:11}{_bar(expected[height])}  {_bar(found[height])}".rstrip()


def words(device: Compared) -> str:
    """What is to be said of a device."""
    found, unreadable = device.answer.comparison, device.answer.counted.unreadable
    said = [_verdict(found)]
    if found.other_classes:
        said.append(
            f"sees other classes: {printable(found.moved_label)} {_percent(found.share)}, "
            f"expected {_percent(found.expected_share)}"
        )
    if device.others and device.others.drifted:
        said.append("less sure than the other devices")
    if unreadable:
        said.append(f"{unreadable} record{'s' if unreadable > 1 else ''} could not be read")
    return "; ".join(said)


def _row(device: Compared) -> tuple[str, ...]:
    answer, found = device.answer, device.answer.comparison
    others = NONE if device.others is None else f"{device.others.shift:.2f}"
    facts = (NONE,) * 3
    if found.frames:
        facts = (
            f"{found.mean_score:.2f} ({found.expected_score:.2f})",
            f"{_percent(found.unknown)} ({_percent(found.expected_unknown)})",
            f"{found.score_shift:.2f}",
        )
    version, until = printable(answer.version), _moment(answer.counted.until)
    return device.name, version, str(found.frames), until, *facts, others, words(device)


def _verdict(found: Comparison) -> str:
    match found.verdict:
        case Verdict.TOO_FEW if found.frames < LEAST_FRAMES:
            return f"too few to say: {found.frames} frames of this version, {LEAST_FRAMES} needed"
        case Verdict.TOO_FEW:
            return f"too few to say: {found.pictures} validation pictures, {LEAST_PICTURES} needed"
        case Verdict.DRIFTED:
            return "drifted: less sure than expected"
        case Verdict.SURER:
            return "surer than expected: easy pictures, or always the same one"
    return str(found.verdict)


def _bar(share: float) -> str:
    return f"{'#' * round(share * _BAR):{_BAR}} {_percent(share):>6}"


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %"


def _moment(seconds: float | None) -> str:
    return NONE if seconds is None else datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M")
