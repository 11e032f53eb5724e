"""Whether scores mean what they say: of the answers scored 0.8, are 80 % right?"""

from dataclasses import dataclass

import numpy as np

BINS = 15
"""As in Guo et al., "On calibration of modern neural networks", ICML 2017."""


@dataclass(frozen=True)
class Reliability:
    """A reliability diagram: best scores in bins of equal width, one entry a bin."""

    edges: tuple[float, ...]
    """One more than bins, 0 to 1; a bin holds its upper edge."""
    counts: tuple[int, ...]
    """Pictures in the bin."""
    confidence: tuple[float, ...]
    """Their mean best score, 0 to 1; 0.0 in an empty bin."""
    accuracy: tuple[float, ...]
    """The share of them whose best label is right, 0 to 1; 0.0 in an empty bin."""

    @property
    def error(self) -> float:
        """The expected calibration error, 0 to 1: mean distance of confidence and accuracy over all pictures."""
        gaps = np.abs(np.subtract(self.confidence, self.accuracy))
        return float(np.average(gaps, weights=self.counts))


def reliability(probabilities: np.ndarray, truth: np.ndarray) -> Reliability:
    """Bins the best score of each picture.

    Args:
        probabilities: Shape (pictures, classes), 0 to 1, at least one picture; tempered or not.
        truth: Shape (pictures,): the true class ids.
    """
    edges = np.linspace(0, 1, BINS + 1)
    best = probabilities.max(axis=1)
    right = probabilities.argmax(axis=1) == truth
    # side="left" puts a score on an edge into the bin below; a score of 0 stays in the first.
    bins = np.maximum(np.searchsorted(edges, best, side="left") - 1, 0)
    counts = np.bincount(bins, minlength=BINS)
    pictures = np.maximum(counts, 1)
    confidence = np.bincount(bins, weights=best, minlength=BINS) / pictures
    accuracy = np.bincount(bins, weights=right, minlength=BINS) / pictures
    return Reliability(*(tuple(column.tolist()) for column in (edges, counts, confidence, accuracy)))
