"""A device against the others that run the same: often what one wants to know, where validation is far from the field."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from edge_runtime.drift.comparison import LEAST_FRAMES
from edge_runtime.drift.histogram import CENTRES
from edge_runtime.drift.stability import SHIFTED, stability_index
from fleet.drifting.answer import Answer

LEAST_DEVICES = 5
"""Of one version, with enough frames each: of fewer, one odd device moves what is usual."""


@dataclass(frozen=True)
class BesideOthers:
    """A device's scores against the other devices' median."""

    shift: float
    """The stability index between the two."""
    less_sure: bool
    """Whether its mean score is lower."""

    @property
    def drifted(self) -> bool:
        return self.less_sure and self.shift >= SHIFTED


def beside_others(answers: Sequence[Answer]) -> list[BesideOthers | None]:
    """Each device against the median, bin by bin, of the others: one or two odd devices do not move it.

    None for devices with too few frames, and where fewer than four others of the same version have enough.
    """
    return [_beside(answer, [other for other in answers if other is not answer]) for answer in answers]


def _beside(answer: Answer, all_others: list[Answer]) -> BesideOthers | None:
    others = [other for other in all_others if _version(other) == _version(answer) and _enough(other)]
    if not _enough(answer) or len(others) < LEAST_DEVICES - 1:
        return None
    usual = np.median([_shares(other) for other in others], axis=0)
    if not usual.sum():  # no bin that most of them have: they are all unlike each other
        return None
    usual /= usual.sum()
    shares = _shares(answer)
    frames = min(other.counted.histogram.frames for other in (answer, *others))
    return BesideOthers(stability_index(shares, usual, frames), bool(shares @ CENTRES < usual @ CENTRES))


def _version(answer: Answer) -> tuple[str, str, tuple[str, ...]]:
    return answer.model, answer.version, answer.labels


def _enough(answer: Answer) -> bool:
    return answer.counted.histogram.frames >= LEAST_FRAMES


def _shares(answer: Answer) -> np.ndarray:
    histogram = answer.counted.histogram
    return histogram.counts.sum(axis=0) / histogram.frames
