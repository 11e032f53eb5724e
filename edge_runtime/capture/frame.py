"""The contract of everything that hands out frames."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from time import monotonic, time
from typing import Protocol

import numpy as np


@dataclass(frozen=True, eq=False)
class Frame:
    """One picture of a source."""

    image: np.ndarray
    """RGB, uint8, shape (height, width, 3)."""
    source: str
    """The picture's or video's path, or the camera as the user named it."""
    number: int
    """From 0, in the order of the source; a live camera counts the frames that nobody took, too."""
    time: float = field(default_factory=time)
    """Wall clock at capture, seconds since 1970: for people and logs, as it may jump."""
    captured_s: float = field(default_factory=monotonic)
    """time.monotonic() at capture: ages are computed from it."""


class Source(Protocol):
    """Frames to iterate over in a ``with`` block, which gives the device back even on Ctrl-C."""

    live: bool
    """Whether frames come at their own rate, so that only the newest is worth looking at."""

    def __enter__(self) -> "Source": ...

    def __exit__(self, *exception: object) -> None: ...

    def __iter__(self) -> Iterator[Frame]: ...
