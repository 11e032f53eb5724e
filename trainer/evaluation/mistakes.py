"""What a model got wrong, the worst first."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

MOST_CONFUSIONS = 12


@dataclass(frozen=True)
class Mistake:
    """A picture that got a wrong answer."""

    index: int
    """Of the picture, in its split."""
    truth: str
    answer: str
    score: float
    """The model's probability for its answer."""


@dataclass(frozen=True)
class Confusion:
    """Pictures of one class that got the answer of another."""

    truth: str
    answer: str
    count: int
    pictures: int
    """Of the true class, right ones included."""


def worst_mistakes(
    labels: Sequence[str], probabilities: np.ndarray, class_ids: np.ndarray, most: int
) -> list[Mistake]:
    """The wrong answers that the model was most sure of, most sure first; ties in the order of the pictures.

    Args:
        labels: Names of the classes.
        probabilities: float of shape (pictures, classes).
        class_ids: int of shape (pictures,), the truth.
        most: How many.
    """
    answers, scores = probabilities.argmax(axis=1), probabilities.max(axis=1)
    wrong = np.flatnonzero(answers != class_ids)
    worst = wrong[np.argsort(-scores[wrong], kind="stable")][:most]
    return [
        Mistake(int(index), labels[class_ids[index]], labels[answers[index]], float(scores[index]))
        for index in worst
    ]


def frequent_confusions(labels: Sequence[str], confusion: Sequence[Sequence[int]]) -> list[Confusion]:
    """What is taken for what most often, at most `MOST_CONFUSIONS`; of equal counts first the class with fewer pictures.

    Args:
        labels: Names of the classes.
        confusion: Counts, shape (classes, classes), a row a true class.
    """
    counts = np.array(confusion)
    wrong = counts * (1 - np.eye(len(labels), dtype=int))
    pictures = np.broadcast_to(counts.sum(axis=1, keepdims=True), wrong.shape)
    order = np.lexsort((pictures.ravel(), -wrong.ravel()))[:MOST_CONFUSIONS]
    cells = zip(*np.unravel_index(order, wrong.shape), strict=True)
    return [
        Confusion(labels[truth], labels[answer], int(wrong[truth, answer]), int(pictures[truth, answer]))
        for truth, answer in cells
        if wrong[truth, answer]
    ]
