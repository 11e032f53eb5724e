"""Frames of a camera as the model's input, made in the capture thread while the interpreter works on the one before."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from edge_runtime.capture.frame import Frame, Source
from edge_runtime.deciding.region import Region
from edge_runtime.errors import FrameError
from edge_runtime.preprocessing import Resizer, check_frame


@dataclass(frozen=True, eq=False)
class PreparedFrame(Frame):
    """A frame, or the region of it that is looked at, and the model's input for it."""

    picture: np.ndarray | None = None
    """Uint8, shape (1, height, width, 3)."""


class Preparing:
    """A live source that hands out PreparedFrames.

    A frame that cannot be prepared is handed on as it is: the loop finds out why, and counts it.
    """

    live = True

    def __init__(self, source: Source, region: Region | None, size: Callable[[], tuple[int, int]]):
        """Takes an opened source, what is looked at, and what tells the (height, width) of the model's input."""
        self._source, self._region, self._size = source, region, size

    def __enter__(self) -> "Preparing":
        self._source.__enter__()
        return self

    def __exit__(self, *exception: object) -> None:
        self._source.__exit__(*exception)

    def __iter__(self) -> Iterator[Frame]:
        resizer, size = None, None
        for frame in self._source:
            if size != self._size():
                size = self._size()
                resizer = Resizer(size)
            yield self._prepared(frame, resizer, size)

    def _prepared(self, frame: Frame, resizer: Resizer, size: tuple[int, int]) -> Frame:
        try:
            check_frame(frame.image)
            image = self._region.crop(frame.image) if self._region else frame.image
        except FrameError:
            return frame
        picture = np.empty((1, *size, 3), np.uint8)
        resizer.write(image, picture[0])
        return PreparedFrame(image, frame.source, frame.number, frame.time, frame.captured_s, picture)
