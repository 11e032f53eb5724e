"""How sure a model was, and of what: counts of answers by their best label and its score."""

from typing import Any

import numpy as np

BINS = 20
"""Of equal width, from a score of 0 to 1; a score of 1 is in the last."""
CENTRES = (np.arange(BINS) + 0.5) / BINS
"""Of the bins: shape (BINS,)."""
MOST_FRAMES = 10**12
"""More in one histogram are no count; so many at one a second take 30,000 years."""


class Histogram:
    """Counts of one model's answers.

    The loop counts a device's frames with it and the exporter the validation pictures, so that both are binned alike.
    """

    def __init__(self, labels: tuple[str, ...]):
        """Begins with nothing counted; labels are the model's."""
        self.labels = labels
        self.counts = np.zeros((len(labels), BINS), np.int64)
        """Shape (labels, BINS): how often each was the best label with such a score."""
        self.unknown = np.zeros(len(labels), np.int64)
        """Shape (labels,): how many of these were answered "unknown", their score being below the label's threshold."""

    @property
    def frames(self) -> int:
        return int(self.counts.sum())

    def count(self, class_id: int, score: float, unknown: bool) -> None:
        """Counts one answer.

        Args:
            class_id: Of the best label.
            score: Its score, after the decision's temperature: 0 to 1.
            unknown: Whether that is below the label's threshold.
        """
        # What float models give in their worst moments, NaN and more than 1, ends no loop.
        height = int(min(score, 1.0) * BINS) if score > 0 else 0
        self.counts[class_id, min(height, BINS - 1)] += 1
        self.unknown[class_id] += unknown

    def add(self, other: "Histogram") -> None:
        """Adds what another one of the same labels has counted."""
        self.counts += other.counts
        self.unknown += other.unknown

    def to_dict(self) -> dict[str, Any]:
        """Ready for JSON, without what is 0: counts by label and number of bin."""
        return {
            "bins": BINS,
            "frames": self.frames,
            "counts": {
                label: {str(height): int(row[height]) for height in np.flatnonzero(row)}
                for label, row in zip(self.labels, self.counts, strict=True)
                if row.any()
            },
            "unknown": {
                label: int(frames) for label, frames in zip(self.labels, self.unknown, strict=True) if frames
            },
        }

    @classmethod
    def from_dict(cls, fields: Any, labels: tuple[str, ...]) -> "Histogram":
        """Reads what `to_dict` gave for a model with these labels.

        Raises:
            ValueError: If it is anything else.
        """
        if not isinstance(fields, dict) or fields.keys() != _KEYS:
            raise ValueError(f"expected an object with {', '.join(sorted(_KEYS))}, got {fields!r:.100}")
        if fields["bins"] != BINS:
            raise ValueError(f"bins is {fields['bins']!r:.100}, this litelens counts in {BINS}")
        found, place = cls(labels), {label: class_id for class_id, label in enumerate(labels)}
        for label, row in _object(fields["counts"], "counts").items():
            for height, frames in _object(row, "counts of a label").items():
                found.counts[_known(label, place), _known(height, _HEIGHTS)] = _whole(frames)
        for label, frames in _object(fields["unknown"], "unknown").items():
            found.unknown[_known(label, place)] = _whole(frames)
        if found.frames != fields["frames"] or found.frames > MOST_FRAMES:
            raise ValueError(f"frames is {fields['frames']!r:.100}, the counts' sum is {found.frames}")
        if (found.unknown > found.counts.sum(axis=1)).any():
            raise ValueError("more are unknown than were counted")
        return found


_KEYS = {"bins", "frames", "counts", "unknown"}
_HEIGHTS = {str(height): height for height in range(BINS)}


def _object(value: Any, what: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ValueError(f"{what} is {value!r:.100}, expected an object")
    return value


def _known(name: str, known: dict[str, int]) -> int:
    if name not in known:
        raise ValueError(f"{name!r:.100} is none of {', '.join(list(known)[:BINS])!r:.200}")
    return known[name]


def _whole(frames: Any) -> int:
    if type(frames) is not int or not 0 <= frames <= MOST_FRAMES:
        raise ValueError(f"a count is {frames!r:.100}, expected a whole number from 0 to {MOST_FRAMES}")
    return frames
