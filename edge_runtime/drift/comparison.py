"""A device's answers against those of the validation split: has it become less sure, or does it see other classes?"""

from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from edge_runtime.drift.histogram import CENTRES, Histogram
from edge_runtime.drift.reference import Reference
from edge_runtime.drift.stability import SHIFTED, SOME_SHIFT, stability_index

LEAST_FRAMES = 200
"""Of a device, before anything is said of it; docs/drift.md shows how often so few mislead."""
LEAST_PICTURES = 50
"""Of the reference."""
OTHER_CLASSES = 0.25
"""0 to 1: how far a label's share may move; chance alone moves it by a third of that in 200 frames."""
_SHRINKAGE = 10.0
"""A label's own scores in the reference count as much as those of all labels once it has so many pictures."""


class Verdict(StrEnum):
    """What the scores say of a device."""

    TOO_FEW = "too few to say"
    STEADY = "steady"
    SOME_SHIFT = "some shift"
    """Of the scores, in either direction: worth another look in a week."""
    SURER = "surer"
    """Its scores are others, and higher: easy pictures, or always the same one."""
    DRIFTED = "drifted"
    """It is less sure than it was on the reference."""


@dataclass(frozen=True)
class Comparison:
    """One device against the reference; shares are 0 to 1."""

    verdict: Verdict
    frames: int
    """Counted on the device, at most one a second."""
    pictures: int
    """Of the reference."""
    score_shift: float
    """The stability index of the scores, apart from what another mix of classes does to them."""
    mean_score: float
    """Of the best labels, by the bins' centres."""
    expected_score: float
    """The reference's, for the device's mix of classes."""
    unknown: float
    """The share of frames that were answered "unknown"."""
    expected_unknown: float
    """The reference's, for the device's mix of classes."""
    moved_label: str
    """The one whose share of the answers has moved most."""
    share: float
    """Its share on the device."""
    expected_share: float

    @property
    def other_classes(self) -> bool:
        """Whether the device sees another mix of classes: common, and no fault."""
        return self.verdict != Verdict.TOO_FEW and abs(self.share - self.expected_share) >= OTHER_CLASSES


def compare(counted: Histogram, reference: Reference) -> Comparison:
    """Compares what a device has counted with the reference of the same model.

    A camera that looks at cats alone has the scores of cats, which need not be those of dogs. So the reference's scores
    are taken label by label and mixed as the device's labels are; what is left is a shift within the labels.
    """
    expected, frames, pictures = reference.histogram, counted.frames, reference.histogram.frames
    size = min(frames, pictures)
    if not size:
        label = counted.labels[0]
        return Comparison(Verdict.TOO_FEW, frames, pictures, *(0.0,) * 5, label, 0.0, 0.0)
    mix, expected_mix = counted.counts.sum(axis=1) / frames, expected.counts.sum(axis=1) / pictures
    scores, expected_scores = counted.counts.sum(axis=0) / frames, mix @ _by_label(expected.counts)
    answers = expected.counts.sum(axis=1)
    known = np.stack([answers - expected.unknown, expected.unknown], axis=1)
    shift = stability_index(scores, expected_scores, size)
    mean, expected_mean = float(scores @ CENTRES), float(expected_scores @ CENTRES)
    moved = int(np.abs(mix - expected_mix).argmax())
    enough = frames >= LEAST_FRAMES and pictures >= LEAST_PICTURES
    return Comparison(
        verdict=_verdict(shift, mean < expected_mean) if enough else Verdict.TOO_FEW,
        frames=frames,
        pictures=pictures,
        score_shift=shift,
        mean_score=mean,
        expected_score=expected_mean,
        unknown=float(counted.unknown.sum() / frames),
        expected_unknown=float((mix @ _by_label(known))[1]),
        moved_label=counted.labels[moved],
        share=float(mix[moved]),
        expected_share=float(expected_mix[moved]),
    )


def _by_label(counts: np.ndarray) -> np.ndarray:
    """Shares within each label, drawn towards those of all labels where a label has few pictures.

    Args:
        counts: Shape (labels, n), with a sum above 0.

    Returns:
        The same shape; each row has the sum 1.
    """
    overall = counts.sum(axis=0) / counts.sum()
    return (counts + _SHRINKAGE * overall) / (counts.sum(axis=1, keepdims=True) + _SHRINKAGE)


def _verdict(shift: float, less_sure: bool) -> Verdict:
    if shift < SOME_SHIFT:
        return Verdict.STEADY
    if shift < SHIFTED:
        return Verdict.SOME_SHIFT
    return Verdict.DRIFTED if less_sure else Verdict.SURER
