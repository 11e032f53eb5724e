"""What is said of histograms whose answer is known."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_runtime.drift.comparison import LEAST_FRAMES, LEAST_PICTURES, Verdict, compare
from edge_runtime.drift.histogram import BINS, Histogram
from edge_runtime.drift.reference import Reference
from edge_runtime.drift.stability import SHIFTED, SOME_SHIFT, stability_index

LABELS = ("cat", "dog")
SURE, UNSURE, NEARLY = 0.97, 0.6, 0.93


def counted(**frames: dict[float, int]) -> Histogram:
    """Such as cat={0.97: 300}; below 0.7 the answer is unknown."""
    histogram = Histogram(LABELS)
    for label, scores in frames.items():
        for score, count in scores.items():
            for _ in range(count):
                histogram.count(LABELS.index(label), score, score < 0.7)
    return histogram


BOTH = counted(cat={SURE: 90, NEARLY: 8, UNSURE: 2}, dog={SURE: 90, NEARLY: 8, UNSURE: 2})
DOGS_ARE_HARD = counted(cat={SURE: 100}, dog={SURE: 30, NEARLY: 40, UNSURE: 30})


@pytest.mark.parametrize(
    "reference, device, verdict, other_classes, why",
    [
        (BOTH, BOTH, Verdict.STEADY, False, "the same"),
        (BOTH, counted(cat={SURE: 900, NEARLY: 80, UNSURE: 20}), Verdict.STEADY, True, "cats alone"),
        (BOTH, counted(cat={SURE: 200, UNSURE: 100}), Verdict.DRIFTED, True, "less sure, and cats alone"),
        (BOTH, counted(cat={SURE: 100, UNSURE: 50}, dog={SURE: 100, UNSURE: 50}), Verdict.DRIFTED, False, ""),
        (BOTH, counted(cat={SURE: 240, NEARLY: 36, UNSURE: 24}), Verdict.SOME_SHIFT, True, ""),
        (DOGS_ARE_HARD, counted(dog={SURE: 90, NEARLY: 120, UNSURE: 90}), Verdict.STEADY, True, "hard dogs"),
        (DOGS_ARE_HARD, counted(cat={SURE: 90, NEARLY: 120, UNSURE: 90}), Verdict.DRIFTED, True, "hard cats"),
        (DOGS_ARE_HARD, counted(dog={SURE: 300}), Verdict.SURER, True, "easy dogs"),
        (BOTH, counted(cat={NEARLY: 5000}), Verdict.DRIFTED, True, "one picture for hours"),
        (BOTH, counted(cat={UNSURE: LEAST_FRAMES - 1}), Verdict.TOO_FEW, False, "too few frames"),
        (counted(cat={SURE: LEAST_PICTURES - 1}), BOTH, Verdict.TOO_FEW, False, "too few pictures"),
        (BOTH, counted(), Verdict.TOO_FEW, False, "nothing yet"),
        (counted(), BOTH, Verdict.TOO_FEW, False, "an empty reference"),
    ],
)
def test_what_is_said(reference, device, verdict, other_classes, why):
    found = compare(device, Reference("validation", reference))
    assert (found.verdict, found.other_classes) == (verdict, other_classes), why
    assert (found.frames, found.pictures) == (device.frames, reference.frames)


def test_says_by_how_much():
    found = compare(counted(cat={SURE: 240, UNSURE: 60}), Reference("validation", BOTH))
    assert (found.moved_label, found.share, found.expected_share) == ("cat", 1.0, 0.5)
    assert found.unknown == pytest.approx(0.2) and found.expected_unknown == pytest.approx(0.02)
    assert found.mean_score == pytest.approx(0.8 * 0.975 + 0.2 * 0.625)
    assert found.expected_score == pytest.approx(0.9 * 0.975 + 0.08 * 0.925 + 0.02 * 0.625)
    assert found.score_shift > SHIFTED


def test_the_index_is_that_of_the_literature():
    """Without smoothing to speak of: sum of (p - q) ln(p / q)."""
    p, q = np.array([0.6, 0.3, 0.1]), np.array([0.5, 0.3, 0.2])
    expected = 0.1 * np.log(0.6 / 0.5) - 0.1 * np.log(0.1 / 0.2)
    assert stability_index(1000 * p, q, size=1e9) == pytest.approx(expected, rel=1e-6)


shares = st.lists(st.integers(0, 1000), min_size=BINS, max_size=BINS).filter(any).map(np.array)


@given(shares, shares, st.floats(1, 1e6))
def test_the_index_is_a_distance(one, other, size):
    assert stability_index(one, other, size) == pytest.approx(stability_index(other, one, size), abs=1e-9)
    assert stability_index(one, other, size) >= -1e-9
    assert stability_index(one, one * 3, size) == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize("frames", [LEAST_FRAMES, 2000, 20_000])
@pytest.mark.parametrize("pictures", [LEAST_PICTURES, 1000])
def test_draws_of_the_same_pictures_are_no_alarm(pictures, frames):
    """However few, and however different their numbers; a shift that the field calls one is seen in all of them."""
    draw = np.random.default_rng(0)

    def drawn(count: int, tail: float) -> Histogram:
        """Scores in the last bin, or with a chance of `tail` anywhere from 0.5 to 0.95."""
        histogram = Histogram(LABELS)
        row = [0] * 10 + [tail / 9] * 9 + [1 - tail]
        histogram.counts += draw.multinomial(count, np.array([row, row]).ravel() / 2).reshape(2, BINS)
        return histogram

    steady = [compare(drawn(frames, 0.06), Reference("v", drawn(pictures, 0.06))) for _ in range(50)]
    assert sum(found.verdict == Verdict.DRIFTED for found in steady) <= 2
    assert np.median([found.score_shift for found in steady]) < SOME_SHIFT
    unsure = [compare(drawn(frames, 0.5), Reference("v", drawn(pictures, 0.06))) for _ in range(50)]
    assert all(found.verdict == Verdict.DRIFTED for found in unsure)
