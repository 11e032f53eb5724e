"""Measures candidates through the device's own Classifier, on the same pictures, in turn."""

import time
from dataclasses import dataclass

import numpy as np

from edge_runtime.classifier import Classifier
from edge_runtime.pictures import read_picture
from exporter.graph import OperatorCount, operator_counts
from trainer.dataset import LabelledPicture


@dataclass(frozen=True)
class Measurement:
    """One candidate on a held-back split."""

    candidate: str
    """A key of exporter.candidates.CANDIDATES, or its REFERENCE."""
    size_bytes: int
    operators: tuple[OperatorCount, ...]
    """What the model is made of, with versions."""
    probabilities: np.ndarray
    """Shape (pictures, classes), float32: the model's own scores, before any temperature."""
    truth: np.ndarray
    """Shape (pictures,): the true class ids."""
    p50_ms: float
    """Median time from frame to predictions on these pictures, decoded before, on this machine."""

    @property
    def pictures(self) -> int:
        return len(self.truth)

    @property
    def answers(self) -> np.ndarray:
        """Shape (pictures,): the first class id for each picture; of equal scores the lower id, as the device does."""
        return self.probabilities.argmax(axis=1)

    @property
    def right(self) -> int:
        """How many pictures were labelled right."""
        return int((self.answers == self.truth).sum())

    @property
    def top1(self) -> float:
        """0 to 1."""
        return self.right / self.pictures

    @property
    def recalls(self) -> np.ndarray:
        """Shape (classes,): the share of each class's pictures that were labelled right, 0 to 1; NaN of no picture."""
        classes = self.probabilities.shape[1]
        right = np.bincount(self.truth[self.answers == self.truth], minlength=classes)
        pictures = np.bincount(self.truth, minlength=classes)
        return np.divide(right, pictures, out=np.full(classes, np.nan), where=pictures > 0)

    @property
    def worst_recall(self) -> float:
        """Of the class that fares worst, 0 to 1."""
        return float(np.nanmin(self.recalls))

    @property
    def confusion(self) -> np.ndarray:
        """Shape (classes, classes): how many pictures of each true class (row) got each answer (column)."""
        counts = np.zeros((self.probabilities.shape[1],) * 2, int)
        np.add.at(counts, (self.truth, self.answers), 1)
        return counts

    def agreement(self, other: "Measurement") -> float:
        """How often both gave the same first answer, 0 to 1."""
        return float((self.answers == other.answers).mean())


def measure(classifiers: dict[str, Classifier], pictures: list[LabelledPicture]) -> dict[str, Measurement]:
    """Classifies every picture with every candidate.

    Args:
        classifiers: By candidate's name.
        pictures: The held-back split.

    Raises:
        PictureError: If a picture has been changed since the training.
    """
    probabilities = {
        name: np.empty((len(pictures), len(classifier.labels)), np.float32)
        for name, classifier in classifiers.items()
    }
    seconds = {name: np.empty(len(pictures)) for name in classifiers}
    for number, picture in enumerate(pictures):
        frame = read_picture(picture.path)
        # In turn on each picture: a machine that slows down slows all alike.
        for name, classifier in classifiers.items():
            started = time.perf_counter()
            classifier.feed(frame)
            output = classifier.invoke()
            classifier.postprocess(output)
            seconds[name][number] = time.perf_counter() - started
            probabilities[name][number] = classifier.probabilities(output)
    truth = np.array([picture.class_id for picture in pictures], np.int32)
    return {
        name: Measurement(
            candidate=name,
            size_bytes=classifier.model_file.size_bytes,
            operators=operator_counts(classifier.model_file.path.read_bytes()),
            probabilities=probabilities[name],
            truth=truth,
            p50_ms=float(np.median(seconds[name]) * 1000),
        )
        for name, classifier in classifiers.items()
    }
