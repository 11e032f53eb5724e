"""Measures candidates through the device's own Classifier, on the same pictures, in turn."""

import time
from dataclasses import dataclass

import numpy as np

from edge_runtime.classifier import Classifier
from edge_runtime.pictures import read_picture
from trainer.dataset import LabelledPicture


@dataclass(frozen=True)
class Measurement:
    """One candidate on the held-back split."""

    candidate: str
    """"float", "ptq" or "qat"."""
    size_bytes: int
    answers: np.ndarray
    """Shape (pictures,): the first class id for each picture."""
    truth: np.ndarray
    """Shape (pictures,): the true class ids."""
    p50_ms: float
    """Median time of classify() on these pictures, decoded before, on this machine."""

    @property
    def pictures(self) -> int:
        return len(self.truth)

    @property
    def right(self) -> int:
        """How many pictures were labelled right."""
        return int((self.answers == self.truth).sum())

    @property
    def top1(self) -> float:
        """0 to 1."""
        return self.right / self.pictures

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
    answers = {name: np.empty(len(pictures), np.int32) for name in classifiers}
    seconds = {name: np.empty(len(pictures)) for name in classifiers}
    for number, picture in enumerate(pictures):
        frame = read_picture(picture.path)
        # In turn on each picture: a machine that slows down slows all alike.
        for name, classifier in classifiers.items():
            started = time.perf_counter()
            best = classifier.classify(frame, top_k=1)[0]
            seconds[name][number] = time.perf_counter() - started
            answers[name][number] = best.class_id
    truth = np.array([picture.class_id for picture in pictures], np.int32)
    return {
        name: Measurement(
            candidate=name,
            size_bytes=classifier.model_file.size_bytes,
            answers=answers[name],
            truth=truth,
            p50_ms=float(np.median(seconds[name]) * 1000),
        )
        for name, classifier in classifiers.items()
    }
