"""The frame that is classified where no pictures are given."""

import numpy as np

FRAME_SIZE = (480, 640)
"""(height, width): what most cameras give unless asked for more."""


def synthetic_frame() -> np.ndarray:
    """Seeded noise, RGB, uint8, of FRAME_SIZE: the time of no stage depends on what is in the picture."""
    return np.random.default_rng(0).integers(0, 256, (*FRAME_SIZE, 3), dtype=np.uint8)
