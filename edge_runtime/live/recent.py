"""How fast the last frames were."""

from time import monotonic

import numpy as np

FRAMES = 100
"""So many of the last frames are looked at."""
WINDOW_S = 5.0
"""The rate is that of the last so many seconds."""


class Recent:
    """Ages, durations and rate of the last frames; written by the loop, read from any thread without a lock."""

    def __init__(self):
        self.count = 0
        """Frames since the start."""
        self._began_s = monotonic()
        self._ages_ms, self._invokes_ms, self._ended_s = (np.zeros(FRAMES) for _ in range(3))

    def add(self, age_ms: float, invoke_ms: float) -> None:
        """Takes in a frame that was just classified."""
        place = self.count % FRAMES
        self._ages_ms[place], self._invokes_ms[place], self._ended_s[place] = age_ms, invoke_ms, monotonic()
        self.count += 1

    @property
    def age_ms(self) -> float | None:
        """The median; None before the first frame."""
        return self._median(self._ages_ms)

    @property
    def invoke_ms(self) -> float | None:
        """The median; None before the first frame."""
        return self._median(self._invokes_ms)

    @property
    def fps(self) -> float:
        """Frames a second over the last WINDOW_S, over FRAMES where these came sooner, or since the start."""
        now_s, ended_s = monotonic(), self._ended_s[: self.count]
        within = int(np.count_nonzero(ended_s > now_s - WINDOW_S))
        if within == FRAMES:
            return FRAMES / (now_s - float(ended_s.min()))
        return within / min(WINDOW_S, max(now_s - self._began_s, 1e-3))

    def _median(self, values: np.ndarray) -> float | None:
        return float(np.median(values[: self.count])) if self.count else None
