"""A classifier's answers on labelled pictures, in numbers."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class ClassScore:
    """How one class fared."""

    label: str
    pictures: int
    precision: float | None
    """Of the pictures that got this answer, the share that are of the class; None if none got it."""
    recall: float | None
    """Of the class's pictures, the share that got this answer; None if there are none."""
    f1: float | None


@dataclass(frozen=True)
class Measured:
    """A model on one split."""

    split: str
    pictures: int
    accuracy: float
    top_k: dict[int, float]
    """{k: share of pictures whose class is among the k best answers} for k of 1, 3, 5, 10 below the class count."""
    loss: float
    """Mean negative log-likelihood of the true class."""
    confusion: list[list[int]]
    """Row: true class. Column: predicted class."""
    classes: list[ClassScore]


def measure(
    split: str, labels: tuple[str, ...], probabilities: np.ndarray, class_ids: np.ndarray
) -> Measured:
    """Counts answers.

    Args:
        split: Its name.
        labels: Names of the classes.
        probabilities: float of shape (pictures, classes).
        class_ids: int of shape (pictures,), the truth.
    """
    count = len(labels)
    order = np.argsort(-probabilities, axis=1, kind="stable")
    answers = order[:, 0]
    confusion = np.bincount(class_ids * count + answers, minlength=count**2).reshape(count, count)
    hits = order == class_ids[:, np.newaxis]
    return Measured(
        split,
        len(class_ids),
        float((answers == class_ids).mean()),
        {k: float(hits[:, :k].any(axis=1).mean()) for k in (1, 3, 5, 10) if k < count},
        mean_loss(probabilities, class_ids),
        confusion.tolist(),
        [_score(label, class_id, confusion) for class_id, label in enumerate(labels)],
    )


def mean_loss(probabilities: np.ndarray, class_ids: np.ndarray) -> float:
    """Mean negative log-likelihood of the true classes: probabilities of shape (n, classes), class ids of shape (n,)."""
    likelihood = probabilities[np.arange(len(class_ids)), class_ids].clip(1e-7)
    return float(-np.log(likelihood).mean())


def _score(label: str, class_id: int, confusion: np.ndarray) -> ClassScore:
    right = int(confusion[class_id, class_id])
    true, answered = int(confusion[class_id].sum()), int(confusion[:, class_id].sum())
    precision = right / answered if answered else None
    recall = right / true if true else None
    f1 = 2 * right / (true + answered) if true + answered else None
    return ClassScore(label, true, precision, recall, f1)
