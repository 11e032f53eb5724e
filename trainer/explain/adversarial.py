"""A picture that people see as what it is and the model as what we name."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from trainer.augmentation import normalise
from trainer.explain.ideal import total_variation
from trainer.explain.logits import Logits
from trainer.legacy_keras import tf

EPSILONS = (1, 2, 4, 8, 16)
"""Largest changes of a byte that are tried, smallest first; 8 of 255 is what papers call hard to see."""
# Four attacks on cats and dogs at 128 and 160 px, epsilon 4: the target's score stays above 0.99 and the RMS falls from
# 2.4 to between 0.9 and 1.7 of 255; with ten times the weight one got no further than 0.85.
VARIATION_WEIGHT = 0.1


@dataclass(frozen=True)
class Attack:
    """A picture made to be called something else; whether it is, is for the caller to judge."""

    picture: np.ndarray
    """RGB, uint8, as the original."""
    epsilon: int
    """No byte was allowed to change by more."""


@dataclass(frozen=True)
class Distance:
    """How far two pictures are apart, in bytes (0 to 255)."""

    largest: int
    """L-infinity: the largest change of a byte."""
    rms: float
    """L2: root of the mean squared change."""
    psnr_db: float | None
    """Peak signal-to-noise ratio, 20 log10(255 / rms); None if the pictures are equal."""
    total_variation: float
    """Of the difference: 0 for one even shade."""


def attack(
    logits: Logits, picture: np.ndarray, target: int, *, epsilon: int | None, steps: int, seed: int
) -> Attack:
    """Looks for a picture near another that is called `target`.

    Projected gradient descent (Madry et al., "Towards Deep Learning Models Resistant to Adversarial Attacks", 2017):
    targeted, in the L-infinity ball around the picture, from a random start in it, by the gradient's sign, with their
    step of 2.5 epsilon / steps. The loss is the target's cross-entropy plus the total variation of the change: once
    the model is sure, what is not needed is smoothed away.

    Args:
        logits: Of the model.
        picture: RGB, uint8, shape (size, size, 3): the model's input.
        target: Class id that the model is to answer.
        epsilon: Largest change of a byte; None takes the first of EPSILONS that is enough, or the last.
        steps: Of gradient descent, for each epsilon.
        seed: Of the random start; the same seed gives the same picture, but for the rounding of float sums.
    """
    original = tf.constant(picture[np.newaxis], tf.float32)
    move = _mover(logits, original, target)
    start = np.random.default_rng(seed).uniform(-1, 1, original.shape)
    for bound in EPSILONS if epsilon is None else (epsilon,):
        change = tf.clip_by_value(original + tf.constant(bound * start, tf.float32), 0.0, 255.0) - original
        for _ in range(steps):
            change = move(
                change, tf.constant(bound, tf.float32), tf.constant(2.5 * bound / steps, tf.float32)
            )
        # A file holds bytes. Rounding stays within the bound: the original and the bound are whole numbers.
        attacked = np.rint((original + change).numpy()[0]).astype(np.uint8)
        if int(np.argmax(logits(normalise(attacked[np.newaxis]))[0])) == target:
            break
    return Attack(attacked, bound)


def _mover(logits: Logits, original: tf.Tensor, target: int) -> Callable[..., tf.Tensor]:
    """One step: (change, epsilon, step), all float32 and in bytes, to the next change."""

    @tf.function
    def move(change: tf.Tensor, epsilon: tf.Tensor, step: tf.Tensor) -> tf.Tensor:
        with tf.GradientTape() as tape:
            tape.watch(change)
            found = logits(normalise(original + change))
            entropy = tf.nn.sparse_softmax_cross_entropy_with_logits([target], found)[0]
            rough = tf.image.total_variation(change)[0] / tf.size(change, tf.float32)
            loss = entropy + VARIATION_WEIGHT * rough
        moved = change - step * tf.sign(tape.gradient(loss, change))
        return tf.clip_by_value(original + tf.clip_by_value(moved, -epsilon, epsilon), 0.0, 255.0) - original

    return move


def distance(original: np.ndarray, changed: np.ndarray) -> Distance:
    """Compares two pictures.

    Args:
        original: RGB, uint8.
        changed: The same shape.
    """
    difference = changed.astype(np.int16) - original
    rms = float(np.sqrt(np.mean(np.square(difference, dtype=np.float64))))
    psnr_db = float(20 * np.log10(255 / rms)) if rms else None
    return Distance(int(np.abs(difference).max()), rms, psnr_db, total_variation(difference))
