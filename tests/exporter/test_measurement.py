import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from exporter.measurement import Measurement


def measured(probabilities, truth) -> Measurement:
    return Measurement("ptq", 1, (), np.array(probabilities, np.float32), np.array(truth), 1.0)


@st.composite
def measurements(draw):
    pictures, classes = draw(st.integers(1, 50)), draw(st.integers(2, 8))
    # Few different scores, so that ties come about.
    scores = draw(arrays(np.float32, (pictures, classes), elements=st.sampled_from([0.0, 0.5, 1.0])))
    return measured(scores, draw(arrays(np.int32, pictures, elements=st.integers(0, classes - 1))))


@pytest.mark.parametrize(
    "probabilities, answer",
    [([0.1, 0.9], 1), ([0.5, 0.5], 0), ([0.2, 0.4, 0.4], 1), ([0, 0, 0], 0)],
)
def test_of_equal_scores_the_lower_class_is_the_answer(probabilities, answer):
    assert measured([probabilities], [0]).answers.tolist() == [answer]


def test_what_is_right_is_counted_by_class_and_in_all():
    found = measured(np.eye(3)[[0, 1, 2, 2, 2]], [0, 1, 2, 1, 1])
    assert (found.pictures, found.right, found.top1) == (5, 3, 0.6)
    assert found.recalls.tolist() == pytest.approx([1, 1 / 3, 1])
    assert found.confusion.tolist() == [[1, 0, 0], [0, 1, 2], [0, 0, 1]]


def test_agreement_asks_for_the_same_answer_right_or_wrong():
    truth = [0, 1, 2, 1]
    first, other = measured(np.eye(3)[[0, 1, 2, 2]], truth), measured(np.eye(3)[[0, 2, 2, 2]], truth)
    assert first.agreement(other) == other.agreement(first) == 0.75


@pytest.mark.filterwarnings("error")
def test_a_class_without_a_picture_has_no_recall():
    found = measured(np.eye(3)[[0, 2]], [0, 0])
    assert found.recalls.tolist() == pytest.approx([0.5, np.nan, np.nan], nan_ok=True)
    assert found.confusion.tolist() == [[1, 0, 1], [0, 0, 0], [0, 0, 0]]


@given(measurements())
def test_the_parts_add_up(found):
    pictures = np.bincount(found.truth, minlength=found.probabilities.shape[1])
    assert found.confusion.sum(axis=1).tolist() == pictures.tolist()
    assert found.confusion.trace() == found.right
    assert np.nansum(found.recalls * pictures) == pytest.approx(found.right)
    assert found.agreement(found) == 1
