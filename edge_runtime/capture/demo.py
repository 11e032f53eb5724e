"""A camera that is drawn: parts on a conveyor belt, one after another, for as long as anyone looks."""

import io
import time
from collections.abc import Iterator

import numpy as np
from PIL import Image

from edge_runtime.capture.frame import Frame

FPS = 15
SEED = 2
"""The model of `litelens demo` names every frame of this belt right."""


class Demo:
    """The belt of `render_video` with every kind of part once, over and over, at FPS frames a second.

    A part takes 24 frames, so the one in view changes every 1.6 s.
    """

    live = True

    def __init__(self, name: str):
        """Takes what frames give as their source."""
        self.name = name

    def __enter__(self) -> "Demo":
        return self

    def __exit__(self, *exception: object) -> None:
        """There is nothing to close."""

    def __iter__(self) -> Iterator[Frame]:
        """Yields frames without end: RGB, uint8, shape rendering.PICTURE_SIZE + (3,)."""
        due_s = time.monotonic()
        for number, picture in enumerate(_belt()):
            time.sleep(max(0.0, due_s - time.monotonic()))
            # Not from when it was due: a board that cannot draw so fast is not made to catch up.
            due_s = max(due_s, time.monotonic()) + 1 / FPS
            yield Frame(picture, self.name, number)


def _belt() -> Iterator[np.ndarray]:
    """The first round is drawn, which takes up to 40 ms a frame; it is kept as JPEG, 2 MB, for the rounds to come."""
    # Not at the top: 40 ms that no other camera's start should wait for.
    from edge_runtime.rendering import CLASSES, render_video

    kept = []
    for picture, _ in render_video(SEED, parts=len(CLASSES)):
        packed = io.BytesIO()
        Image.fromarray(picture).save(packed, "JPEG", quality=95)
        kept.append(packed)
        yield picture
    while True:
        yield from (np.array(Image.open(packed)) for packed in kept)
