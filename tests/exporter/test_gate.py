import math
import re

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from exporter.gate import CONFIDENCE, Bounds, Outcome, Z, judge, mcnemar_p, paired_interval, pictures_needed
from exporter.measurement import Measurement

LABELS = ("cats", "dogs")
PASSED, MISSED, TOO_SMALL, NOT_JUDGED = Outcome
Z_95 = 1.959964
"""Of the 95 % intervals that the literature prints; the gate's own are 90 %."""


def measured(right, classes: int = 2) -> Measurement:
    """Pictures in turn of class 0, 1, ..., labelled right or, where not, as the next class."""
    right = np.asarray(right, bool)
    truth = np.arange(len(right)) % classes
    answers = np.where(right, truth, (truth + 1) % classes)
    return Measurement("int8", 1, (), np.eye(classes, dtype=np.float32)[answers], truth, 1.0)


def pair(both: int, lost: int, won: int, neither: int) -> tuple[Measurement, Measurement]:
    """Candidate and float, of which `lost` pictures only float labels right, `won` only the candidate."""
    candidate = np.repeat([True, False, True, False], (both, lost, won, neither))
    reference = np.repeat([True, True, False, False], (both, lost, won, neither))
    return measured(candidate), measured(reference)


def outcomes(counts: tuple[int, int, int, int], bounds: Bounds) -> dict[str, Outcome]:
    return {check.name: check.outcome for check in judge(*pair(*counts), bounds, LABELS).checks}


changes = st.integers(1, 2000).flatmap(
    lambda pictures: st.integers(0, pictures).flatmap(
        lambda lost: st.tuples(st.just(lost), st.integers(0, pictures - lost), st.just(pictures))
    )
)


@pytest.mark.parametrize(
    "lost, won, pictures, low, high, source",
    [
        (9, 3, 32, -0.027, 0.390, "Tango 1998"),
        (16, 8, 86, -0.020, 0.207, "Agresti and Min 2005"),
        (1, 7, 21, -0.517, -0.026, "Fagerland et al. 2014, Bentur's airways"),
        (6, 16, 161, -0.1240, -0.0054, "Fagerland et al. 2017, Cavo's therapy"),
    ],
)
def test_the_interval_is_the_published_one(lost, won, pictures, low, high, source):
    digits = 4 if abs(low) == 0.1240 else 3
    assert [round(end, digits) for end in paired_interval(lost, won, pictures, Z_95)] == [low, high], source


@pytest.mark.parametrize(
    "lost, won, pictures, low, high",
    [
        (0, 0, 45, -3.8415 / 48.8415, 3.8415 / 48.8415),
        (0, 0, 1, -3.8415 / 4.8415, 3.8415 / 4.8415),
        (1, 0, 1, -2.8415 / 4.8415, 1),
        (0, 10, 10, -1, -6.1585 / 13.8415),
    ],
)
def test_the_interval_where_all_or_no_pictures_changed(lost, won, pictures, low, high):
    assert paired_interval(lost, won, pictures, Z_95) == pytest.approx((low, high), abs=1e-4)


@settings(deadline=None)  # a busy machine takes its time
@given(changes)
def test_the_interval_holds_the_estimate_and_narrows_with_more_pictures(found):
    lost, won, pictures = found
    low, high = paired_interval(lost, won, pictures)
    assert -1 <= low <= (lost - won) / pictures <= high <= 1
    tenfold_low, tenfold_high = paired_interval(10 * lost, 10 * won, 10 * pictures)
    assert tenfold_high - tenfold_low < high - low


@pytest.mark.parametrize("z, confidence", [(Z, CONFIDENCE), (Z_95, 0.95)])
@pytest.mark.parametrize("pictures", [5, 20])
def test_the_interval_holds_the_true_difference_about_as_often_as_it_says(pictures, z, confidence):
    counts = [(lost, won) for lost in range(pictures + 1) for won in range(pictures + 1 - lost)]
    ends = np.array([paired_interval(*count, pictures, z) for count in counts])
    ways = np.array([math.comb(pictures, b) * math.comb(pictures - b, c) for b, c in counts])
    lost, won = np.array(counts).T
    coverages = []
    for first in np.arange(0, 1.01, 0.1):
        for second in np.arange(0, 1.01 - first, 0.1):
            same = max(1 - first - second, 0)
            likelihood = ways * first**lost * second**won * same ** (pictures - lost - won)
            inside = (ends[:, 0] - 1e-9 <= first - second) & (first - second <= ends[:, 1] + 1e-9)
            coverages.append(likelihood[inside].sum())
    assert min(coverages) > confidence - 0.07
    assert np.mean(coverages) > confidence


@pytest.mark.parametrize(
    "lost, won, p", [(0, 0, 1), (1, 0, 1), (0, 6, 0.03125), (6, 16, 0.052479), (5, 5, 1)]
)
def test_mcnemar_is_exact(lost, won, p):
    assert mcnemar_p(lost, won) == pytest.approx(p, abs=1e-6)


@pytest.mark.parametrize(
    "counts, max_drop, drop, outcome",
    [
        ((980, 0, 0, 20), 1.0, 0.0, PASSED),
        ((980, 0, 0, 20), 0.28, 0.0, PASSED),
        ((980, 0, 0, 20), 0.26, 0.0, TOO_SMALL),  # 1000 pictures without a change leave 0.27 points open
        ((98_000, 100, 0, 1_900), 1.0, 0.1, PASSED),
        ((970, 10, 0, 20), 1.0, 1.0, TOO_SMALL),  # at the bound: holds, and nothing proves it
        ((969, 11, 0, 20), 1.0, 1.1, MISSED),
        ((979, 1, 0, 20), 0.1, 0.1, TOO_SMALL),  # at a bound that is no binary fraction
        ((9_943, 57, 0, 0), 0.57, 0.57, TOO_SMALL),
        ((980, 0, 2, 18), 0.0, -0.2, TOO_SMALL),
        ((980, 0, 10, 10), 0.0, -1.0, PASSED),
        ((980, 0, 5, 15), -1.0, -0.5, MISSED),  # a negative bound asks the candidate to be better
        ((45, 0, 0, 0), 1.0, 0.0, TOO_SMALL),
        ((45, 0, 0, 0), 6.0, 0.0, PASSED),
        ((1, 0, 0, 0), 1.0, 0.0, TOO_SMALL),
    ],
)
def test_top1_passes_what_is_proved_to_have_lost_at_most_max_drop(counts, max_drop, drop, outcome):
    check = judge(*pair(*counts), Bounds(max_drop=max_drop), LABELS).checks[0]
    assert (check.name, check.bound) == ("top-1", max_drop)
    assert (check.value, check.outcome) == (pytest.approx(drop), outcome)


@pytest.mark.parametrize(
    "counts, min_ratio, ratio, outcome",
    [
        ((900, 0, 0, 100), 0.98, 1.0, PASSED),
        ((980, 20, 0, 0), 0.98, 0.98, PASSED),  # at the bound
        ((979, 21, 0, 0), 0.98, 0.979, MISSED),
        ((500, 0, 10, 490), 1.02, 1.02, PASSED),  # at a bound that is no binary fraction
        ((45, 0, 0, 0), 0.98, 1.0, PASSED),  # few pictures: that is asked of the drop
        ((44, 1, 0, 0), 0.98, 44 / 45, MISSED),
        ((0, 0, 500, 500), 0.98, math.nan, NOT_JUDGED),
        ((0, 1, 0, 1), 0.98, 0.0, MISSED),
    ],
)
def test_ratio_passes_what_keeps_min_ratio_of_float(counts, min_ratio, ratio, outcome):
    check = judge(*pair(*counts), Bounds(min_ratio=min_ratio), LABELS).checks[1]
    assert (check.name, check.bound) == ("ratio", min_ratio)
    assert (check.value, check.outcome) == (pytest.approx(ratio, nan_ok=True), outcome)
    assert math.isnan(check.value) or 0 <= check.low <= check.value <= check.high


@pytest.mark.parametrize(
    "lost_cats, cats, max_class_drop, outcome",
    [
        (0, 52, 5.0, PASSED),
        (0, 51, 5.0, NOT_JUDGED),  # even no change would not prove 5 points
        (51, 51, 5.0, NOT_JUDGED),
        (50, 1000, 5.0, PASSED),  # at the bound
        (51, 1000, 5.0, MISSED),
        (5, 73, 5.0, MISSED),  # 6.8 points, and more than chance
        (0, 25, 10.0, PASSED),
        (0, 1, 100.0, PASSED),
        (0, 0, 100.0, NOT_JUDGED),
    ],
)
def test_a_class_with_enough_pictures_keeps_its_recall(lost_cats, cats, max_class_drop, outcome):
    truth = np.repeat([0, 1], (cats, 1000))
    answers = np.where(np.arange(len(truth)) < lost_cats, 1, truth)
    candidate = Measurement("int8", 1, (), np.eye(2, dtype=np.float32)[answers], truth, 1.0)
    reference = Measurement("float32", 1, (), np.eye(2, dtype=np.float32)[truth], truth, 1.0)
    check = judge(candidate, reference, Bounds(max_class_drop=max_class_drop), LABELS).checks[3]
    assert (check.name, check.outcome) == ("class cats", outcome)
    assert str(cats) in check.explanation


def test_a_class_beyond_the_bound_by_chance_passes():
    # 8 of 73 lost and 3 won: 6.8 points, and the interval holds 0.
    candidate, reference = np.arange(73) >= 8, (np.arange(73) < 8) | (np.arange(73) >= 11)
    labelled = (
        Measurement("int8", 1, (), np.eye(2)[(~right).astype(int)], np.zeros(73, int), 1.0)
        for right in (candidate, reference)
    )
    check = judge(*labelled, Bounds(), LABELS).checks[3]
    assert check.low < 0 < 5 < check.value
    assert check.outcome is PASSED


@pytest.mark.parametrize("right, outcome", [(500, MISSED), (501, PASSED), (0, MISSED), (1000, PASSED)])
def test_a_candidate_must_be_better_than_guessing(right, outcome):
    both = measured(np.arange(1000) < right)
    check = judge(both, both, Bounds(), LABELS).checks[2]
    assert (check.name, check.bound, check.outcome) == ("better than guessing", 50, outcome)


@pytest.mark.parametrize(
    "counts, bounds, outcome",
    [
        ((980, 0, 0, 20), Bounds(), PASSED),
        ((45, 0, 0, 0), Bounds(), TOO_SMALL),
        ((45, 0, 0, 0), Bounds(max_drop=6), PASSED),
        ((44, 1, 0, 0), Bounds(max_drop=3), MISSED),  # of the ratio; the drop is not proved
        ((25, 20, 0, 0), Bounds(), MISSED),  # missed goes before too small
        ((0, 0, 0, 1000), Bounds(), MISSED),
    ],
)
def test_the_verdict_is_its_worst_check(counts, bounds, outcome):
    verdict = judge(*pair(*counts), bounds, LABELS)
    assert (verdict.candidate, verdict.outcome, verdict.passed) == ("int8", outcome, outcome is PASSED)
    assert verdict.drop == verdict.checks[0].value


@settings(deadline=None)  # a busy machine takes its time
@given(changes)
def test_swapping_candidate_and_float_mirrors_the_drop(found):
    lost, won, pictures = found
    candidate, reference = pair(0, lost, won, pictures - lost - won)
    there, back = (
        judge(candidate, reference, Bounds(), LABELS),
        judge(reference, candidate, Bounds(), LABELS),
    )
    assert there.mcnemar_p == pytest.approx(back.mcnemar_p)
    for first, second in zip(there.checks, back.checks, strict=True):
        if first.name == "top-1" or first.name.startswith("class") and not math.isnan(first.value):
            mirrored = (-second.value, -second.high, -second.low)
            assert (first.value, first.low, first.high) == pytest.approx(mirrored)


@settings(max_examples=30, deadline=None)  # each asks for some 20 intervals
@given(changes, st.floats(0.05, 0.95))
def test_the_advice_of_a_too_small_set_holds(found, between):
    lost, won, pictures = found
    assume(lost < pictures)
    drop, high = 100 * (lost - won) / pictures, 100 * paired_interval(*found)[1]
    max_drop = drop + between * (high - drop)
    counts = (pictures - lost - won, lost, won, 0)
    check = judge(*pair(*counts), Bounds(max_drop=max_drop), LABELS).checks[0]
    assert check.outcome is TOO_SMALL
    provable = float(re.search(r"--max-drop (-?[\d.]+)$", check.explanation)[1])
    assert outcomes(counts, Bounds(max_drop=provable))["top-1"] is PASSED
    assert outcomes(counts, Bounds(max_drop=provable - 0.1))["top-1"] is not PASSED
    needed = pictures_needed(lost, won, pictures, max_drop)
    if needed is None:
        assert "more than 1000000 would be enough" in check.explanation
    else:
        assert f"about {needed} would be enough" in check.explanation
        enough, one_less = (
            100 * paired_interval(lost * n / pictures, won * n / pictures, n)[1] for n in (needed, needed - 1)
        )
        assert enough <= max_drop < one_less


@pytest.mark.parametrize(
    "lost, won, pictures, max_drop, needed",
    [
        (0, 0, 45, 1.0, 268),
        (12, 9, 1000, 1.0, 1313),
        (0, 0, 1000, 1.0, 1000),  # they suffice as they are
        (3, 0, 100, 3.0, None),  # at the bound
    ],
)
def test_how_many_pictures_prove_a_bound(lost, won, pictures, max_drop, needed):
    assert pictures_needed(lost, won, pictures, max_drop) == needed


@pytest.mark.parametrize("bounds", [{"max_drop": math.nan}, {"min_ratio": math.inf}, {"max_class_drop": 0.0}])
def test_bounds_that_bound_nothing_are_refused(bounds):
    with pytest.raises(ValueError, match="must be"):
        Bounds(**bounds)
