"""Decides whether a candidate is good enough to be written, and whether the pictures suffice to say so."""

import bisect
import math
from dataclasses import dataclass
from enum import StrEnum
from fractions import Fraction

import numpy as np
from scipy import stats
from scipy.optimize import brentq

from exporter.measurement import Measurement

CONFIDENCE = 0.90
"""Of every interval. A bound that lies beyond the end of a 90 % interval is proved at the 5 % level: two one-sided tests
(Schuirmann, Journal of Pharmacokinetics and Biopharmaceutics 15, 1987), as equivalence is tested elsewhere."""
Z = float(stats.norm.ppf((1 + CONFIDENCE) / 2))
MOST_PICTURES = 1_000_000
"""Above this the gate does not say how many pictures would be enough."""


class Outcome(StrEnum):
    """What a check came to."""

    PASSED = "passed"
    MISSED = "missed"
    TOO_SMALL = "too small"
    """The bound holds on these pictures, but they are too few to prove it."""
    NOT_JUDGED = "not judged"
    """There was nothing to judge by; counts neither way."""


@dataclass(frozen=True)
class Bounds:
    """What a candidate may lose against float.

    Raises:
        ValueError: If a bound is not finite, or max_class_drop is not positive.
    """

    max_drop: float = 1.0
    """Points of top-1; negative asks the candidate to be better."""
    min_ratio: float = 0.98
    """Candidate's top-1 over float's. 0.98 is what MLPerf Mobile asks of a quantized MobileNet."""
    max_class_drop: float = 5.0
    """Points of one class's recall."""

    def __post_init__(self):
        if not (math.isfinite(self.max_drop) and math.isfinite(self.min_ratio)):
            raise ValueError(f"bounds must be finite, got {self}")
        if not 0 < self.max_class_drop < math.inf:
            raise ValueError(f"max_class_drop must be positive, got {self.max_class_drop}")


@dataclass(frozen=True)
class Check:
    """One bound, and what was found."""

    name: str
    """"top-1", "ratio", "better than guessing", or "class " and its label."""
    value: float
    """Points lost, of top-1 or recall (negative where the candidate is better); "ratio": 0 to 1 and above;
    "better than guessing": the candidate's top-1 in percent. NaN where there is nothing to divide by."""
    low: float
    """Lower end of the value's 90 % interval, in its unit."""
    high: float
    bound: float
    """In the value's unit: the most that may be lost, or the least that must be reached."""
    outcome: Outcome
    explanation: str
    """One sentence for people, with units."""


@dataclass(frozen=True)
class GateVerdict:
    """What the gate says of one candidate."""

    candidate: str
    checks: tuple[Check, ...]
    """Top-1 first, then ratio, better than guessing, and one for each class in the order of the labels."""
    mcnemar_p: float
    """Exact two-sided McNemar test: how often as uneven a change comes about if neither model is better."""

    @property
    def outcome(self) -> Outcome:
        """MISSED if any check missed, else TOO_SMALL if the pictures are too few to prove top-1's, else PASSED."""
        outcomes = {check.outcome for check in self.checks}
        for outcome in (Outcome.MISSED, Outcome.TOO_SMALL):
            if outcome in outcomes:
                return outcome
        return Outcome.PASSED

    @property
    def passed(self) -> bool:
        return self.outcome is Outcome.PASSED

    @property
    def drop(self) -> float:
        """Points of top-1 that were lost against float; negative where the candidate is better."""
        return self.checks[0].value


@dataclass(frozen=True)
class _Changes:
    """The pictures on which float and candidate differ in being right."""

    lost: int
    """Float right, candidate wrong."""
    won: int
    """Float wrong, candidate right."""
    pictures: int

    @property
    def drop(self) -> float:
        """Points."""
        return 100 * (self.lost - self.won) / self.pictures

    @property
    def interval(self) -> tuple[float, float]:
        """Of the drop, points."""
        low, high = paired_interval(self.lost, self.won, self.pictures)
        return 100 * low, 100 * high


def judge(
    measurement: Measurement, reference: Measurement, bounds: Bounds, labels: tuple[str, ...]
) -> GateVerdict:
    """Compares a candidate with the float model on the same pictures.

    Top-1 passes if its bound holds for every drop that these pictures leave plausible (the 90 % interval). The ratio
    is the same change in other units and goes by its value: whether the pictures suffice is asked once, of the drop.
    A class is judged if it has so many pictures that no change at all would prove the bound; it misses if its
    drop is beyond the bound and more than chance, because of many classes some lose by chance. The candidate must
    also be right more often than the commonest class's name would be: a model at chance loses nothing.

    Args:
        measurement: Of the candidate.
        reference: Of the float model.
        bounds: What may be lost.
        labels: By class id.
    """
    lost = (reference.answers == reference.truth) & (measurement.answers != measurement.truth)
    won = (reference.answers != reference.truth) & (measurement.answers == measurement.truth)
    changes = _Changes(int(lost.sum()), int(won.sum()), reference.pictures)
    classes = zip(
        labels,
        np.bincount(reference.truth[lost], minlength=len(labels)).tolist(),
        np.bincount(reference.truth[won], minlength=len(labels)).tolist(),
        np.bincount(reference.truth, minlength=len(labels)).tolist(),
        strict=True,
    )
    checks = (
        _check_top1(changes, bounds.max_drop),
        _check_ratio(changes, reference.right, bounds.min_ratio),
        _check_chance(measurement),
        *(
            _check_class(label, _Changes(lost, won, pictures), bounds.max_class_drop)
            for label, lost, won, pictures in classes
        ),
    )
    return GateVerdict(measurement.candidate, checks, mcnemar_p(changes.lost, changes.won))


def provable(verdict: GateVerdict) -> float:
    """The smallest max_drop, in tenths of a point, that the pictures of this verdict prove."""
    return _provable(verdict.checks[0].high)


def mcnemar_p(lost: int, won: int) -> float:
    """Exact McNemar test, two-sided: the binomial test of `lost` out of all changes against one half."""
    return float(stats.binomtest(lost, lost + won).pvalue) if lost + won else 1.0


def paired_interval(lost: float, won: float, pictures: float, z: float = Z) -> tuple[float, float]:
    """Tango's score interval, two-sided, of the difference ``(lost - won) / pictures`` of paired proportions.

    Not the exact conditional interval that belongs to McNemar's test: that one looks only at pictures that changed,
    so where none did it is [0, 0] however few there are. This one is then ``± z² / (pictures + z²)``.

    Args:
        lost: Pairs with only the first right; counts, or expected counts when planning.
        won: Pairs with only the second right.
        pictures: All pairs, at least 1.
        z: The normal quantile of the interval's confidence.

    Returns:
        Lower and upper end, each -1 to 1.

    Source:
        Tango, "Equivalence test and confidence interval for the difference in proportions for the paired-sample
        design", Statistics in Medicine 17 (1998), 891-908.
    """
    return _lower_end(lost, won, pictures, z), -_lower_end(won, lost, pictures, z)


def _lower_end(lost: float, won: float, pictures: float, z: float) -> float:
    # The first three have closed forms, and the score below has a second root there, at the estimate itself.
    if won == pictures:
        return -1.0
    if lost == pictures:
        return (pictures - z**2) / (pictures + z**2)
    if lost == won == 0:
        return -(z**2) / (pictures + z**2)

    def score(difference: float) -> float:
        """Tango's statistic less z, times its standard error: the same root, and no division by an error of 0."""
        # The likeliest share of `won` if the difference were this one: the larger root of 2n q² + b q + c.
        b = (2 * pictures - lost + won) * difference - lost - won
        c = -won * difference * (1 - difference)
        share = (math.sqrt(max(b * b - 8 * pictures * c, 0)) - b) / (4 * pictures)
        variance = pictures * (2 * share + difference * (1 - difference))
        return lost - won - pictures * difference - z * math.sqrt(max(variance, 0))

    return brentq(score, -1.0, (lost - won) / pictures)


def _check_top1(changes: _Changes, max_drop: float) -> Check:
    low, high = changes.interval
    outcome = _outcome(
        # Whole pictures and the decimal that was typed: no rounding decides at the bound.
        held=100 * (changes.lost - changes.won) <= _exact(max_drop) * changes.pictures,
        proved=high <= max_drop,
    )
    found = (
        f"top-1 {_lost(changes.drop)} (90 % interval {low:.2f} to {high:.2f} points lost; at most {max_drop:g} may be) "
        f"on {changes.pictures} pictures"
    )
    if outcome is Outcome.TOO_SMALL:
        found += _advice(changes, max_drop, f"--max-drop {_provable(high):.1f}")
    return Check("top-1", changes.drop, low, high, max_drop, outcome, found)


def _check_ratio(changes: _Changes, float_right: int, min_ratio: float) -> Check:
    if float_right == 0:
        nan, why = math.nan, "float labelled no picture right, so there is no ratio to it"
        return Check("ratio", nan, nan, nan, min_ratio, Outcome.NOT_JUDGED, why)
    right = float_right - changes.lost + changes.won
    float_top1 = 100 * float_right / changes.pictures
    # From the drop's interval; float's top-1 is taken as it is.
    high, low = (max(float_top1 - end, 0) / float_top1 for end in changes.interval)
    # The same change in other units: whether the pictures are enough is asked once, of the drop.
    outcome = Outcome.PASSED if right >= _exact(min_ratio) * float_right else Outcome.MISSED
    found = (
        f"top-1 is {right / float_right:.4f} of float's (90 % interval {low:.4f} to {high:.4f}; at least {min_ratio:g} "
        f"is asked) on {changes.pictures} pictures"
    )
    return Check("ratio", right / float_right, low, high, min_ratio, outcome, found)


def _check_chance(measurement: Measurement) -> Check:
    commonest = int(np.bincount(measurement.truth).max())
    interval = stats.binomtest(measurement.right, measurement.pictures).proportion_ci(
        CONFIDENCE, method="wilson"
    )
    bound = 100 * commonest / measurement.pictures
    return Check(
        "better than guessing",
        100 * measurement.top1,
        100 * interval.low,
        100 * interval.high,
        bound,
        Outcome.PASSED if measurement.right > commonest else Outcome.MISSED,
        f"top-1 is {100 * measurement.top1:.2f} %; always naming the commonest class would reach {bound:.2f} %",
    )


def _check_class(label: str, changes: _Changes, max_drop: float) -> Check:
    needed = max(1, math.ceil(Z**2 * (100 / max_drop - 1)))
    if changes.pictures == 0:
        drop = low = high = math.nan
    else:
        drop, (low, high) = changes.drop, changes.interval
    if changes.pictures < needed:
        outcome = Outcome.NOT_JUDGED
        found = f"{changes.pictures} pictures of {label}; {needed} are needed to prove a drop of at most {max_drop:g} points"
    else:
        within = 100 * (changes.lost - changes.won) <= _exact(max_drop) * changes.pictures
        outcome = Outcome.PASSED if within or low <= 0 else Outcome.MISSED
        found = (
            f"recall of {label} {_lost(drop)} (90 % interval {low:.2f} to {high:.2f} points lost; at most {max_drop:g} "
            f"may be) on {changes.pictures} pictures"
        )
    return Check(f"class {label}", drop, low, high, max_drop, outcome, found)


def _outcome(*, held: bool, proved: bool) -> Outcome:
    if not held:
        return Outcome.MISSED
    return Outcome.PASSED if proved else Outcome.TOO_SMALL


def _exact(bound: float) -> Fraction:
    """The decimal that was typed: 0.1 is one tenth, not the binary fraction next to it."""
    return Fraction(repr(float(bound)))


def _provable(high: float) -> float:
    return math.ceil(10 * high) / 10


def _lost(drop: float) -> str:
    if drop == 0:
        return "did not change"
    return f"fell by {drop:.2f} points" if drop > 0 else f"rose by {-drop:.2f} points"


def _advice(changes: _Changes, max_drop: float, provable: str) -> str:
    enough = pictures_needed(changes.lost, changes.won, changes.pictures, max_drop)
    count = f"about {enough}" if enough else f"more than {MOST_PICTURES}"
    return f": too few, {count} would be enough at this rate of changes, and these can prove {provable}"


def pictures_needed(lost: int, won: int, pictures: int, max_drop: float) -> int | None:
    """How many pictures prove at most `max_drop` points lost, if as large a share of them changes.

    Returns:
        At least `pictures`; None if more than MOST_PICTURES, as where the drop is at the bound itself.
    """

    def proves(count: int) -> bool:
        high = paired_interval(lost * count / pictures, won * count / pictures, count)[1]
        return 100 * high <= max_drop

    counts = range(pictures, MOST_PICTURES + 1)
    found = bisect.bisect_left(counts, True, key=proves)
    return counts[found] if found < len(counts) else None
