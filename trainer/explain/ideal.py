"""The picture that a class's score likes best."""

from dataclasses import dataclass

import numpy as np

from trainer.augmentation import normalise
from trainer.explain.logits import Logits
from trainer.legacy_keras import tf
from trainer.progress import say

# Tried on cats and dogs, MobileNetV2 0.35 at 128 px and 1.0 at 160 px: with half the weight of total variation
# the picture is fine noise, with twice it is nearly grey; in between, dogs get eyes, noses and ears.
VARIATION_WEIGHT = 0.2
FIRST_STEP = 0.1
NOISE = 0.05
"""Standard deviation around grey that the picture starts from, in the model's range of -1 to 1."""
JITTER = 1 / 16
"""Largest shift in a step, as a share of the side."""
SAID_EVERY = 50


@dataclass(frozen=True)
class LossTerms:
    """How a picture stands, without jitter."""

    score: float
    """Softmax probability of the class."""
    logit: float
    """Of the class: what is maximised."""
    total_variation: float
    """Anisotropic, in bytes a value of the picture: what is minimised."""


@dataclass(frozen=True)
class Ideal:
    """A picture made for a class."""

    picture: np.ndarray
    """RGB, uint8, shape (size, size, 3)."""
    before: LossTerms
    """Of the grey with a little noise that it started from."""
    after: LossTerms
    """Of `picture`, rounded to bytes."""


def make_ideal(logits: Logits, class_id: int, *, size: int, steps: int, seed: int) -> Ideal:
    """Climbs a class's logit from grey and a little noise.

    Gradient ascent on the picture (Simonyan, Vedaldi, Zisserman, "Deep Inside Convolutional Networks", 2013), with
    total variation as the price of roughness (Mahendran, Vedaldi, "Understanding Deep Image Representations by
    Inverting Them", 2015) and a random shift in each step, so that the class is seen and not a pattern that fits
    the strides (Olah, Mordvintsev, Schubert, "Feature Visualization", 2017). The logit's gradient is divided by its
    standard deviation, so that one weight and one step serve all models; the step falls linearly to nothing.

    Args:
        logits: Of the model.
        class_id: Which class.
        size: Height and width of the model's input in pixels.
        steps: Of gradient ascent.
        seed: Of noise and shifts; the same seed gives the same picture, but for the rounding of float sums.
    """
    draw = np.random.default_rng(seed)
    picture = tf.constant(draw.normal(0, NOISE, (1, size, size, 3)), tf.float32)
    start = _to_bytes(picture)
    shifts = draw.integers(-round(size * JITTER), round(size * JITTER), (steps, 2), endpoint=True)

    @tf.function
    def climb(
        picture: tf.Tensor, shift: tf.Tensor, step: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        with tf.GradientTape(persistent=True) as tape:
            tape.watch(picture)
            logit = logits(tf.roll(picture, shift, (1, 2)))[0, class_id]
            variation = tf.image.total_variation(picture)[0]
        up = tape.gradient(logit, picture)
        up /= tf.math.reduce_std(up) + 1e-12  # a picture without any slope stays where it is
        rougher = tape.gradient(variation, picture)
        moved = picture + step * (up - VARIATION_WEIGHT * rougher)
        return tf.clip_by_value(moved, -1.0, 1.0), logit, variation

    for number, shift in enumerate(shifts):
        step = FIRST_STEP * (1 - number / steps)
        picture, logit, variation = climb(
            picture, tf.constant(shift, tf.int32), tf.constant(step, tf.float32)
        )
        if number % SAID_EVERY == 0:
            rough = float(variation) / picture.numpy().size * 127.5
            say(f"step {number}/{steps}  logit {float(logit):.2f}  total variation {rough:.2f}")
    finished = _to_bytes(picture)
    return Ideal(finished, _terms(logits, start, class_id), _terms(logits, finished, class_id))


def total_variation(picture: np.ndarray) -> float:
    """Anisotropic total variation a value of a picture or difference, in the picture's own unit.

    Args:
        picture: Any real type, shape (height, width, 3).
    """
    return float(tf.image.total_variation(tf.constant(picture, tf.float32))) / picture.size


def _to_bytes(picture: tf.Tensor) -> np.ndarray:
    return np.rint((picture.numpy()[0].clip(-1, 1) + 1) * 127.5).astype(np.uint8)


def _terms(logits: Logits, picture: np.ndarray, class_id: int) -> LossTerms:
    found = logits(normalise(picture[np.newaxis]))[0]
    return LossTerms(float(tf.nn.softmax(found)[class_id]), float(found[class_id]), total_variation(picture))
