"""How much slower or faster than litelens, with an interval."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

RESAMPLES = 2000
CONFIDENCE = 0.95


@dataclass(frozen=True)
class Ratio:
    """A peer's time by litelens's: above 1 it is slower."""

    median: float
    """Of the rounds."""
    low: float
    high: float
    """Between low and high it lies with a probability of CONFIDENCE."""


def paired_ratio(theirs: Sequence[Sequence[float]], ours: Sequence[Sequence[float]]) -> Ratio:
    """The ratio of the medians of each round, and the median of these.

    Paired, so that a machine that is slow in a round is so for both. The interval is the percentile bootstrap's (Efron and
    Tibshirani, An Introduction to the Bootstrap, 1993, chapter 13): rounds drawn again, with replacement.

    Args:
        theirs: Seconds of each frame, round by round.
        ours: The same of the same rounds.
    """
    ratios = np.array([np.median(t) / np.median(o) for t, o in zip(theirs, ours, strict=True)])
    drawn = np.random.default_rng(0).choice(ratios, (RESAMPLES, len(ratios)))
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile(np.median(drawn, axis=1), (tail, 1 - tail))
    return Ratio(float(np.median(ratios)), float(low), float(high))
