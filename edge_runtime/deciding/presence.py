"""What is in view: a label enters at its threshold and leaves only a margin below it, and not too soon after."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Hysteresis:
    """Two thresholds a label: one to come into view, a lower one to stay."""

    thresholds: np.ndarray
    """Shape (classes,), float64, 0 to 1: what a label's score must reach to enter."""
    margin: float
    """0 to 1: how far below that, and below the best label's score, the score may fall before the label leaves."""

    def choose(self, scores: np.ndarray, in_view: int | None) -> int | None:
        """Which class is in view by these scores, given the one that was.

        With a margin of 0 it is the best class, if its score reaches its threshold, as in `Classifier.answer`.

        Args:
            scores: Shape (classes,), float32.
            in_view: The class that was, or None.
        """
        best = int(scores.argmax())
        highest = float(scores[best])
        if in_view is not None:
            score = float(scores[in_view])
            near_the_best = score >= highest - self.margin
            if near_the_best and score >= self.thresholds[in_view] - self.margin:
                return in_view
        return best if highest >= self.thresholds[best] else None


class Presence:
    """The class in view, which changes at most once an interval."""

    def __init__(self, min_interval_s: float):
        self.in_view: int | None = None
        self._min_interval_s = min_interval_s
        self._changed_s: float | None = None

    def update(self, chosen: int | None, now_s: float) -> tuple[int | None, int | None]:
        """Puts a class in view, unless the last change was less than the interval ago.

        Args:
            chosen: The class that should be in view, or None.
            now_s: Monotonic seconds.

        Returns:
            The class that left, and the class that entered; None where none did.
        """
        settled = self._changed_s is None or now_s - self._changed_s >= self._min_interval_s
        if chosen == self.in_view or not settled:
            return None, None
        return self.replace(chosen, now_s)

    def replace(self, chosen: int | None, now_s: float) -> tuple[int | None, int | None]:
        """As `update`, without waiting for the interval to end."""
        left, self.in_view, self._changed_s = self.in_view, chosen, now_s
        return left, chosen
