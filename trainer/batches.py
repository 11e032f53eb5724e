"""tf.data pipelines over arrays that may lie on disk."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from trainer.augmentation import augment, normalise
from trainer.legacy_keras import tf


@dataclass(frozen=True)
class Rows:
    """Some rows of a large array, without a copy of them."""

    array: np.ndarray
    rows: np.ndarray
    """int64 of shape (n,)."""

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index) -> np.ndarray:
        """A copy of the rows that the index picks: a number, a slice or an array of numbers."""
        return self.array[self.rows[index]]

    @property
    def shape(self) -> tuple[int, ...]:
        return (len(self), *self.array.shape[1:])

    @property
    def dtype(self) -> np.dtype:
        return self.array.dtype


def gather(rows: Rows | np.ndarray, index: tf.Tensor) -> tf.Tensor:
    """Rows of an array that is no tensor: tf.constant would hold it in memory a second time."""
    picked = tf.numpy_function(lambda numbers: np.asarray(rows[numbers]), [index], rows.dtype, stateful=False)
    picked.set_shape((None, *rows.shape[1:]))
    return picked


def traced(model: tf.keras.Model) -> Callable[[tf.Tensor], list[tf.Tensor] | tf.Tensor]:
    """The model in inference mode, as one trace for every batch size: the last batch of a split is smaller."""
    signature = [tf.TensorSpec((None, *model.input_shape[1:]), tf.float32)]
    return tf.function(lambda batch: model(batch, training=False), signature)


def in_order(rows: Rows | np.ndarray, batch_size: int) -> tf.data.Dataset:
    """Batches for measuring: from first to last, pictures (uint8) normalised, features as they are."""

    def read(index: tf.Tensor) -> tf.Tensor:
        picked = gather(rows, index)
        return normalise(picked) if rows.dtype == np.uint8 else picked

    return tf.data.Dataset.range(len(rows)).batch(batch_size).map(read).prefetch(2)


def epochs(
    inputs: Rows | np.ndarray,
    targets: np.ndarray,
    weights: np.ndarray,
    *,
    order: Callable[[int], np.ndarray],
    first: int,
    last: int,
    batch_size: int,
    augmentation: tuple[str, int] | None,
) -> tf.data.Dataset:
    """Batches of (inputs, one-hot targets, weights) of the epochs first, ..., last - 1, each in an order of its own.

    An epoch's order and augmentation depend on its number alone, so a training that goes on after an interruption
    sees what it would have seen.

    Args:
        inputs: Pictures (uint8), or features; of shape (n, ...).
        targets: float32 of shape (m, classes). Row i of inputs is of target i % m: views follow each other.
        weights: float32 of shape (m,).
        order: Epoch number to rows, int64.
        first: Epoch to begin with.
        last: Epoch to end before.
        batch_size: The last batch of an epoch may be smaller.
        augmentation: (policy, seed) for pictures; None for features.
    """

    def of_epoch(epoch: tf.Tensor) -> tf.data.Dataset:
        rows = tf.numpy_function(lambda number: order(int(number)), [epoch], tf.int64, stateful=False)
        rows.set_shape((None,))
        batches = tf.data.Dataset.from_tensor_slices(rows).batch(batch_size)
        return batches.enumerate().map(lambda number, index: (epoch, number, index))

    def read(epoch: tf.Tensor, number: tf.Tensor, index: tf.Tensor):
        picked = gather(inputs, index)
        if augmentation is not None:
            policy, seed = augmentation
            # Epoch and batch number are told apart for a million batches an epoch.
            picked = augment(picked, tf.cast(tf.stack([epoch * 2**20 + number, seed]), tf.int32), policy)
        row = index % len(targets)
        return picked, tf.gather(targets, row), tf.gather(weights, row)

    return (
        tf.data.Dataset.range(first, last)
        .flat_map(of_epoch)
        .map(read, num_parallel_calls=tf.data.AUTOTUNE)
        .prefetch(2)
    )
