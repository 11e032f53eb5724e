"""From a camera's byte to the value that a float model expects."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Normalisation:
    """A float model's input is (pixel - mean) / std, alike for red, green and blue."""

    mean: float
    std: float

    @property
    def range(self) -> tuple[float, float]:
        """What the bytes 0 and 255 become."""
        return (0 - self.mean) / self.std, (255 - self.mean) / self.std

    def __call__(self, pictures: np.ndarray) -> np.ndarray:
        """float32 of the same shape, for uint8 pictures."""
        return (pictures.astype(np.float32) - np.float32(self.mean)) / np.float32(self.std)

    def of_unit(self, values):
        """From values in [-1, 1], as trainer.augmentation gives them; any array or tensor."""
        return values * (127.5 / self.std) + (127.5 - self.mean) / self.std


MINUS_ONE_TO_ONE = Normalisation(127.5, 127.5)
"""MobileNetV2's, and that of every model that litelens trains (trainer.augmentation.normalise)."""
