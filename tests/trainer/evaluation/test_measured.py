"""Against scikit-learn's metrics."""

import numpy as np
import pytest
from sklearn import metrics

from trainer.evaluation.measured import measure
from trainer.evaluation.mistakes import MOST_CONFUSIONS, frequent_confusions, worst_mistakes


def answers(classes: int, pictures: int, seed: int = 0) -> tuple[tuple[str, ...], np.ndarray, np.ndarray]:
    """Labels, probabilities and truth; the last class is never the truth."""
    draw = np.random.default_rng(seed)
    truth = draw.integers(0, classes - 1, pictures)
    scores = draw.random((pictures, classes))
    scores[np.arange(pictures), truth] += 0.4
    labels = tuple(f"class {number:03d}" for number in range(classes))
    return labels, (scores / scores.sum(axis=1, keepdims=True)).astype(np.float32), truth


@pytest.mark.parametrize("classes, pictures", [(3, 1), (3, 40), (12, 300), (120, 500)])
def test_figures_are_scikit_learns(classes, pictures):
    labels, probabilities, truth = answers(classes, pictures)
    found = measure("test", labels, probabilities, truth)
    best, every = probabilities.argmax(axis=1), list(range(classes))
    assert found.accuracy == pytest.approx(metrics.accuracy_score(truth, best))
    assert found.loss == pytest.approx(metrics.log_loss(truth, probabilities, labels=every), rel=1e-5)
    assert found.confusion == metrics.confusion_matrix(truth, best, labels=every).tolist()
    assert list(found.top_k) == [k for k in (1, 3, 5, 10) if k < classes]
    for k, share in found.top_k.items():
        assert share == pytest.approx(metrics.top_k_accuracy_score(truth, probabilities, k=k, labels=every))
    expected = metrics.precision_recall_fscore_support(truth, best, labels=every, zero_division=np.nan)
    for score, label, precision, recall, f1, support in zip(found.classes, labels, *expected, strict=True):
        assert (score.label, score.pictures) == (label, support)
        for ours, theirs in ((score.precision, precision), (score.recall, recall)):
            assert ours is None if np.isnan(theirs) else ours == pytest.approx(theirs)
        if score.f1 is not None:
            assert score.f1 == pytest.approx(f1)


def test_the_worst_mistake_is_the_surest():
    labels, probabilities, truth = answers(5, 200)
    mistakes = worst_mistakes(labels, probabilities, truth, most=10)
    assert len(mistakes) == 10
    scores = [mistake.score for mistake in mistakes]
    assert scores == sorted(scores, reverse=True)
    right = probabilities.argmax(axis=1) == truth
    assert max(probabilities[~right].max(axis=1)) == pytest.approx(scores[0])
    for mistake in mistakes:
        assert mistake.truth == labels[truth[mistake.index]] != mistake.answer
        assert mistake.answer == labels[probabilities[mistake.index].argmax()]


def test_no_mistakes_where_all_is_right():
    assert worst_mistakes(("a", "b"), np.array([[0.9, 0.1]]), np.array([0]), most=5) == []
    assert frequent_confusions(("a", "b"), [[3, 0], [0, 2]]) == []


def test_the_most_frequent_confusion_comes_first_and_then_that_of_the_rarer_class():
    found = frequent_confusions(("a", "b", "c"), [[5, 1, 0], [3, 9, 0], [0, 1, 1]])
    assert [(one.truth, one.answer, one.count, one.pictures) for one in found] == [
        ("b", "a", 3, 12),
        ("c", "b", 1, 2),
        ("a", "b", 1, 6),
    ]
    everything = np.ones((9, 9), int).tolist()
    assert len(frequent_confusions(tuple("abcdefghi"), everything)) == MOST_CONFUSIONS
