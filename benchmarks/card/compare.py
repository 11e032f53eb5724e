"""Says whether one card is faster than another."""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from operator import attrgetter

import numpy as np

from benchmarks.card.contract import Accuracy, Card
from benchmarks.card.facts import Name, percent
from benchmarks.card.json_file import MEASURE_AGAIN, CardError
from benchmarks.card.ratio import Frames, Ratio, ratio_of_medians, windows_to_tell
from edge_runtime.errors import LitelensError

MUST_BE_ALIKE = (
    "machine.cpu",
    "machine.architecture",
    "machine.cores",
    "setting.interpreter",
    "setting.device",
    "setting.threads",
    "setting.frame_height_px",
    "setting.frame_width_px",
    "model.name",
    "model.input_height_px",
    "model.input_width_px",
    "model.input_dtype",
    "model.output_dtype",
    "model.weights_dtype",
    "model.classes",
)
"""Else the difference is no answer to "did it get slower?". A model of the same name may have been trained anew."""
MAY_DIFFER = (
    "model.version",
    "model.sha256",
    "machine.name",
    "machine.memory_bytes",
    "machine.os",
    "machine.python",
    "setting.interpreter_version",
    "setting.windows",
    "setting.window_s",
    "litelens",
)
"""Told, as it may be why."""


class NotAlike(LitelensError):
    """Two cards were not measured under the same conditions."""


class Verdict(StrEnum):
    """What the interval of the ratio says."""

    FASTER = "faster"
    SLOWER = "slower"
    SAME = "no significant difference"


class Outcome(StrEnum):
    """What a limit for the regression came to."""

    PASSED = "passed"
    """The whole interval is below the limit."""
    MISSED = "missed"
    """The whole interval is above the limit: a run of what is just as slow as allowed gets here once in forty times."""
    NOT_PROVEN = "not proven"
    """The limit is in the interval: neither is shown, and nobody is blamed for noise."""


@dataclass(frozen=True)
class Difference:
    """A field that two cards do not agree on."""

    field: str
    """As in the JSON: "setting.threads"."""
    old: object
    new: object

    def __str__(self) -> str:
        return f"{self.field}: {self.old!r} and {self.new!r}"


@dataclass(frozen=True)
class Change:
    """One more figure of both cards, for information: without an interval."""

    name: str
    unit: str
    """"ms", "s", "bytes" or "share"."""
    old: float | None
    new: float | None


@dataclass(frozen=True)
class Gate:
    """Whether the new run is slower than allowed."""

    max_regression_percent: float
    outcome: Outcome
    windows: int | None
    """Where nothing is proven: how many windows each run would need, if they spread as these did. None: more than
    ratio.MOST_WINDOWS, or a run of one window does not say."""


@dataclass(frozen=True)
class Comparison:
    """Two cards, put side by side."""

    old_median_ms: float
    """Of the whole frames that the card kept."""
    new_median_ms: float
    ratio: Ratio
    verdict: Verdict
    quotable: bool
    """Whether both cards may be quoted. Else the verdict is a hint: what disturbed a run from its first frame to its last is
    in no interval."""
    gate: Gate | None
    """None where no limit was given."""
    changes: tuple[Change, ...]
    differences: tuple[Difference, ...]
    """Of MAY_DIFFER, and of MUST_BE_ALIKE where the comparison was forced."""
    warnings: tuple[str, ...]
    """Why the verdict should not be leant on: one sentence each."""


def compare(
    old: Card, new: Card, *, max_regression_percent: float | None = None, force: bool = False
) -> Comparison:
    """Compares the median whole frame of two cards; see `ratio_of_medians` for the method.

    Args:
        old: The reference.
        new: What is judged.
        max_regression_percent: How much longer a frame may take; None: it is not judged.
        force: Compare also what is not alike.

    Raises:
        NotAlike: If the cards differ in MUST_BE_ALIKE, unless forced.
        CardError: If a card holds no frames.
    """
    unlike = _differences(old, new, MUST_BE_ALIKE)
    if unlike and not force:
        raise NotAlike(
            f"these cards are not alike: {'; '.join(map(str, unlike))}",
            "measure both alike; or compare them all the same: --force",
        )
    old_frames, new_frames = _frames(old, "old"), _frames(new, "new")
    ratio = ratio_of_medians(old_frames, new_frames)
    return Comparison(
        old_median_ms=old_frames.median_ms,
        new_median_ms=new_frames.median_ms,
        ratio=ratio,
        verdict=Verdict.FASTER if ratio.high < 1 else Verdict.SLOWER if ratio.low > 1 else Verdict.SAME,
        quotable=old.noise.quotable and new.noise.quotable,
        gate=None if max_regression_percent is None else _judge(ratio, max_regression_percent),
        changes=tuple(_changes(old, new)),
        differences=unlike + _differences(old, new, MAY_DIFFER),
        warnings=tuple(_warnings(old, new, unlike)),
    )


def _differences(old: Card, new: Card, fields: tuple[str, ...]) -> tuple[Difference, ...]:
    found = (Difference(field, attrgetter(field)(old), attrgetter(field)(new)) for field in fields)
    return tuple(one for one in found if one.old != one.new)


def _frames(card: Card, which: str) -> Frames:
    windows = tuple(np.array(window.sample_ms) for window in card.windows)
    if not windows or not all(times.size and times.min() > 0 for times in windows):
        raise CardError(
            f"the {which} card cannot be compared: it has {len(windows)} windows, expected at least one, "
            "and in each at least one time, above 0",
            MEASURE_AGAIN,
        )
    return Frames(windows, card.noise.limit)


def _judge(ratio: Ratio, max_regression_percent: float) -> Gate:
    limit = 1 + max_regression_percent / 100
    if ratio.low > limit:
        return Gate(max_regression_percent, Outcome.MISSED, None)
    if ratio.high <= limit:
        return Gate(max_regression_percent, Outcome.PASSED, None)
    return Gate(max_regression_percent, Outcome.NOT_PROVEN, windows_to_tell(ratio, limit))


def _changes(old: Card, new: Card) -> Iterator[Change]:
    def change(name: str, unit: str, figure) -> Change:
        return Change(name, unit, figure(old), figure(new))

    yield change("invoke p50", "ms", lambda card: card.stages.invoke.p50_ms)
    yield change("whole p99", "ms", lambda card: card.stages.whole.p99_ms)
    yield change("cold start", "s", lambda card: card.cold_start.p50_s if card.cold_start else None)
    yield change("steady memory", "bytes", lambda card: card.memory.steady_bytes)
    yield change("peak memory", "bytes", lambda card: card.memory.peak_bytes)
    yield change("file size", "bytes", lambda card: card.model.size_bytes)
    yield change("top-1", "share", lambda card: card.accuracy.top1 if card.accuracy else None)


def _warnings(old: Card, new: Card, unlike: tuple[Difference, ...]) -> Iterator[str]:
    if unlike:
        yield f"not like with like: {'; '.join(map(str, unlike))}"
    for which, card in (("old", old), ("new", new)):
        if not card.noise.quotable:
            why = "; ".join(map(Name, card.noise.reasons)) or "it does not say why"
            yield f"the {which} card may not be quoted: {why}"
        if len(card.windows) == 1:
            yield (
                f"the {which} card has one window, which says nothing of the drift between windows: "
                f"it is taken to be what is tolerated, a spread of {percent(card.noise.limit, 0)}"
            )
    if (governors := (_governors(old), _governors(new))) and governors[0] != governors[1]:
        yield f"the CPU governors differ: {governors[0] or 'not told'} and {governors[1] or 'not told'}"
    if old.accuracy and new.accuracy and _pictures(old.accuracy) != _pictures(new.accuracy):
        yield "top-1 was measured on different pictures"


def _governors(card: Card) -> str:
    return ", ".join(sorted({Name(reading.governor) for reading in card.readings if reading.governor}))


def _pictures(accuracy: Accuracy) -> tuple[str, str, int]:
    return accuracy.data, accuracy.split, accuracy.pictures
