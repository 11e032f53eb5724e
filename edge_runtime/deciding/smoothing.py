"""How several frames make one judgement: the moving average of their scores, or k votes out of n."""

from collections import Counter, deque
from dataclasses import dataclass

import numpy as np

from edge_runtime.errors import ConfigError

MOST_FRAMES = 1000
"""At 30 frames a second, half a minute."""
_EXAMPLES = "give average:5, votes:3/5 or none"


@dataclass(frozen=True)
class Smoothing:
    """How many frames are judged together, and how."""

    frames: int
    """The last so many; 1 judges each frame alone."""
    votes: int = 0
    """So many of these frames must name a label before it is in view; 0: their mean scores decide."""

    def __str__(self) -> str:
        if self.votes:
            return f"votes:{self.votes}/{self.frames}"
        return f"average:{self.frames}" if self.frames > 1 else "none"


def parse_smoothing(text: str) -> Smoothing:
    """Reads ``none``, ``average:N`` or ``votes:K/N``.

    Raises:
        ConfigError: If text is none of these, N is not 1 to MOST_FRAMES, or K is not 1 to N.
    """
    kind, _, numbers = text.partition(":")
    votes, slash, frames = numbers.partition("/")
    match kind, _whole(votes), slash, _whole(frames):
        case "none", None, "", None if not numbers and text == "none":
            return Smoothing(1)
        case "average", int(n), "", None if 1 <= n <= MOST_FRAMES:
            return Smoothing(n)
        case "votes", int(k), "/", int(n) if 1 <= k <= n <= MOST_FRAMES:
            return Smoothing(n, k)
    raise ConfigError(
        f"smooth is {text!r}, expected none, average:N or votes:K/N with K up to N and N from 1 to {MOST_FRAMES}",
        _EXAMPLES,
    )


def _whole(digits: str) -> int | None:
    # isascii: int() takes every script's digits. Four of them are more than MOST_FRAMES has.
    return int(digits) if digits.isascii() and digits.isdigit() and len(digits) <= 4 else None


class MovingAverage:
    """The mean of the last score vectors."""

    def __init__(self, frames: int, classes: int):
        self._last = np.zeros((frames, classes))
        self._sum = np.zeros(classes)
        self._next = self._filled = 0

    def add(self, scores: np.ndarray) -> np.ndarray:
        """Takes a frame's scores in and gives the mean of the last frames, of fewer at the start.

        Args:
            scores: Shape (classes,), float32.

        Returns:
            Shape (classes,), float32, in memory of its own.
        """
        frames = len(self._last)
        self._sum += scores
        self._sum -= self._last[self._next]
        self._last[self._next] = scores
        self._next = (self._next + 1) % frames
        self._filled = min(self._filled + 1, frames)
        if not self._next:  # once a round: what rounding left in the sum would add up over months
            np.add.reduce(self._last, out=self._sum)
        # To float32: frames that all score the same have exactly that mean, and meet a threshold that each meets.
        return (self._sum / self._filled).astype(np.float32)


class Votes:
    """What the last frames voted for."""

    def __init__(self, frames: int):
        self._last: deque[int | None] = deque(maxlen=frames)

    def add(self, vote: int | None) -> None:
        """Takes a frame's vote in: a class, or None for none."""
        self._last.append(vote)

    def winner(self, needed: int, in_view: int | None) -> int | None:
        """The class with the most votes, if these are as many as needed.

        Of equals it is the one that is in view, else the one with the lowest id.
        """
        counts = Counter(vote for vote in self._last if vote is not None)
        if not counts:
            return None
        best = min(counts, key=lambda vote: (-counts[vote], vote != in_view, vote))
        return best if counts[best] >= needed else None
