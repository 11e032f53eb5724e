"""What the frozen layers make of each picture, computed once a picture and augmented view."""

import time
from dataclasses import dataclass

import numpy as np

from trainer.augmentation import augment, normalise
from trainer.batches import Rows, gather, traced
from trainer.legacy_keras import tf
from trainer.progress import say
from trainer.storage import Storage


@dataclass(frozen=True)
class Features:
    """Outputs of the frozen layers for some pictures; row v * n + i is of picture i in view v."""

    boundary: np.ndarray | None
    """At the layer from which phase 2 trains: float32 of shape (views * n, ...); None if phase 2 does not run."""
    pooled: np.ndarray
    """What the head sees: float32 of shape (views * n, features)."""

    @property
    def lowest(self) -> np.ndarray:
        """What the lowest layer that is ever trained sees."""
        return self.pooled if self.boundary is None else self.boundary


class FrozenLayers:
    """The layers below a boundary, traced once for all splits: a trace of MobileNetV2 takes seconds."""

    def __init__(self, lower: tf.keras.Model):
        """Takes pictures to [pooled], or to [boundary, pooled]."""
        self.shapes = [output.shape[1:] for output in lower.outputs]
        """Of each output, for one picture."""
        self._forward = traced(lower)

    def __call__(self, batch: tf.Tensor) -> list[tf.Tensor]:
        """The outputs for normalised pictures (batch, height, width, 3)."""
        return tf.nest.flatten(self._forward(batch))


def compute_features(
    frozen: FrozenLayers,
    pictures: Rows,
    *,
    name: str,
    views: int,
    policy: str,
    seed: int,
    batch_size: int,
    storage: Storage,
) -> Features:
    """Runs the frozen layers over every picture as it is, and over `views` augmentations of it.

    Args:
        frozen: What runs.
        pictures: uint8 of shape (n, height, width, 3).
        name: Of the split, for people and files.
        views: Augmented views beside the picture itself.
        policy: Of the augmentation.
        seed: The same seed gives the same views.
        batch_size: Pictures at once.
        storage: Where the features are kept.

    Raises:
        WriteError: If they fit neither memory nor disk.
    """
    started = time.monotonic()
    count = len(pictures)
    kinds = ("boundary", "pooled")[-len(frozen.shapes) :]
    outputs = [
        storage.array(f"{name}-{kind}", ((views + 1) * count, *shape), np.float32)
        for kind, shape in zip(kinds, frozen.shapes, strict=True)
    ]
    for view in range(views + 1):
        row = view * count
        for batch in _view(pictures, view, policy, seed, batch_size):
            for array, values in zip(outputs, frozen(batch), strict=True):
                array[row : row + len(batch)] = values.numpy()
            row += len(batch)
    seconds = time.monotonic() - started
    say(f"features of {count} {name} pictures in {views + 1} views: {seconds:.0f} s")
    return Features(outputs[0] if len(outputs) == 2 else None, outputs[-1])


def _view(pictures: Rows, view: int, policy: str, seed: int, batch_size: int) -> tf.data.Dataset:
    """Normalised batches of one view of all pictures; view 0 is the pictures as they are."""

    def draw(number: tf.Tensor, index: tf.Tensor) -> tf.Tensor:
        batch = gather(pictures, index)
        if view == 0:
            return normalise(batch)
        # Epochs draw with (batch, seed); views with the numbers below zero, which no epoch has.
        return augment(batch, tf.cast(tf.stack([-(view * 2**20 + number), seed]), tf.int32), policy)

    numbers = tf.data.Dataset.range(len(pictures)).batch(batch_size).enumerate()
    return numbers.map(draw, num_parallel_calls=tf.data.AUTOTUNE).prefetch(2)
