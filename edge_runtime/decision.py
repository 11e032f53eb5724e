"""From the model's probabilities to an answer: temperature, a threshold a class, and "unknown" below it."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

UNKNOWN = "unknown"
"""The answer where no class is sure enough."""


@dataclass(frozen=True)
class DecisionRule:
    """How sure the model must be before it answers; fitted by the exporter, applied on the device."""

    temperature: float
    """Above 0; see `temper`. 1.0 leaves the model's probabilities as they are."""
    thresholds: tuple[float, ...]
    """One a label, in their order, 0 to 1: a lower score is answered with `UNKNOWN`; 0.0 always answers."""
    precision: float
    """0 to 1: the share of right answers that was asked for, of each class, on the fitting split."""
    split: str
    """Where temperature and thresholds were fitted: "validation"."""
    pictures: int
    """How many pictures that split has."""


def temper(probabilities: np.ndarray, temperature: float, half_step: float) -> np.ndarray:
    """Softens (temperature above 1) or sharpens (below 1) probabilities; keeps the order of the classes.

    p ** (1 / T), normalised, is softmax(logits / T): temperature scaling needs no logits (Guo et al., "On
    calibration of modern neural networks", ICML 2017). An 8-bit output cannot tell a probability below half a
    step from 0. So the classes of a row that show 0 share half a step between them: 255 and 0 is not certainty,
    and the tail of 120 classes does not swamp the answer.

    Args:
        probabilities: Shape (..., classes), float32; at least one above 0 in each row.
        temperature: T, above 0. At 1.0 the probabilities come back as they are, with nothing shared.
        half_step: Half a step of the model's output, as a probability; 0.0 where the output is float.

    Returns:
        The shape of `probabilities`, float32; unless T is 1.0, each row sums to 1.
    """
    if temperature == 1.0:
        return probabilities
    unseen = probabilities <= 0
    # float64 until the end: its powers differ in the last bit from one machine to the next, and rounding to
    # float32 hides that. A score must meet a threshold that was fitted elsewhere exactly.
    tempered = probabilities.astype(np.float64)
    share = half_step / np.maximum(np.add.reduce(unseen, axis=-1, dtype=np.intp, keepdims=True), 1)
    np.copyto(tempered, share, where=unseen)
    tempered /= np.maximum.reduce(tempered, axis=-1, keepdims=True)  # the best stays 1 where T is tiny
    tempered **= 1 / temperature
    tempered /= np.add.reduce(tempered, axis=-1, keepdims=True)
    return tempered.astype(np.float32)


class TemperedLevels:
    """`temper` for one frame after the other of a model with an 8-bit output: of 256 levels, powers are looked up.

    A frame has few values, so calls are what it costs; this makes half as many. To the bit what `temper` gives.
    """

    def __init__(self, probabilities: np.ndarray, temperature: float, half_step: float):
        """Takes what `temper` takes.

        Args:
            probabilities: Of each of the 256 bit patterns of an output's value: shape (256,), float32.
            temperature: As in `temper`.
            half_step: As in `temper`.
        """
        self._probabilities = probabilities
        self._temperature, self._half_step = temperature, half_step
        self._unseen = [bytes([level]) for level in np.flatnonzero(probabilities <= 0)]
        self._powers = lru_cache(maxsize=256)(self._powers_beside)  # 2 KB each

    def scores(self, output: np.ndarray) -> np.ndarray:
        """Tempered probabilities of an output, int8 or uint8, shape (classes,): float32, the same shape."""
        levels = output.view(np.uint8)
        if self._temperature == 1.0:
            return self._probabilities.take(levels)
        content = output.tobytes()
        unseen = sum(map(content.count, self._unseen))
        tempered = self._powers(levels.item(output.argmax()), unseen).take(levels)
        tempered /= np.add.reduce(tempered)
        return tempered.astype(np.float32)

    def _powers_beside(self, best: int, unseen: int) -> np.ndarray:
        """Each level's power where `best` is the highest level of a frame, and so many classes show 0."""
        tempered = self._probabilities.astype(np.float64)
        tempered[self._probabilities <= 0] = self._half_step / max(unseen, 1)
        tempered /= tempered[best]
        np.minimum(tempered, 1, out=tempered)  # levels above it do not come up, and might overflow
        tempered **= 1 / self._temperature
        return tempered
