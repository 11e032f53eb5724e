import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.reliability import BINS, reliability


def two_classes(scores: list[float]) -> np.ndarray:
    """Rows whose best score is the given one, of class 0."""
    return np.stack([np.array(scores), 1 - np.array(scores)], axis=1)


@pytest.mark.parametrize(
    "scores, right, error",
    [
        ([0.8] * 10, [1] * 8 + [0] * 2, 0.0),
        ([0.8] * 10, [1] * 10, 0.2),
        ([0.8] * 10, [0] * 10, 0.8),
        ([1.0] * 4, [1] * 4, 0.0),
        ([1.0] * 4, [1, 1, 1, 0], 0.25),
        # Two bins, weighted by their pictures: 6/8 of |0.9 - 1| and 2/8 of |0.6 - 0|.
        ([0.9] * 6 + [0.6] * 2, [1] * 6 + [0] * 2, 0.75 * 0.1 + 0.25 * 0.6),
        # One bin: under- and overconfidence in it cancel.
        ([0.72, 0.68], [0, 1], 0.2),
    ],
)
def test_the_error_is_the_mean_gap_of_confidence_and_accuracy(scores, right, error):
    found = reliability(two_classes(scores), np.where(right, 0, 1))
    assert found.error == pytest.approx(error)


@pytest.mark.parametrize(
    "score, bin_", [(0.5, 7), (8 / 15, 7), (0.54, 8), (14 / 15, 13), (0.94, 14), (1.0, 14)]
)
def test_a_bin_holds_its_upper_edge(score, bin_):
    found = reliability(two_classes([score]), np.array([0]))
    assert np.flatnonzero(found.counts).tolist() == [bin_]
    assert (found.confidence[bin_], found.accuracy[bin_]) == (pytest.approx(score), 1.0)


@given(st.lists(st.tuples(st.floats(0.5, 1), st.booleans()), min_size=1))
def test_every_picture_is_in_one_bin(pictures):
    scores, right = zip(*pictures, strict=True)
    found = reliability(two_classes(scores), np.where(right, 0, 1))
    assert len(found.edges) == BINS + 1 and (found.edges[0], found.edges[-1]) == (0, 1)
    assert len(found.counts) == len(found.confidence) == len(found.accuracy) == BINS
    assert sum(found.counts) == len(pictures)
    assert np.dot(found.counts, found.confidence) == pytest.approx(sum(scores))
    assert 0 <= found.error <= 1
