"""Random flips and small rotations, on batches in the graph; normalisation to the model's input range."""

import math

from trainer.legacy_keras import tf

LARGEST_ROTATION = math.radians(10)
"""Cameras are mounted a little askew; more would turn a 6 into a 9."""


def normalise(pictures: tf.Tensor) -> tf.Tensor:
    """RGB bytes to the float model's range: (pixel - 127.5) / 127.5, MobileNetV2's convention."""
    return tf.cast(pictures, tf.float32) / 127.5 - 1.0


def augment(pictures: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """Mirrors half of the pictures and rotates each by up to LARGEST_ROTATION around its centre.

    Args:
        pictures: Normalised, shape (batch, height, width, 3).
        seed: Two int32, as TensorFlow's stateless functions take; the same seed gives the same pictures.

    Returns:
        float32 of the same shape; corners that turn into view repeat the edge's mirror image.
    """
    batch = tf.shape(pictures)[0]
    size = tf.cast(tf.shape(pictures)[1:3], tf.float32)
    centre_y, centre_x = (size[0] - 1) / 2, (size[1] - 1) / 2
    angle = tf.random.stateless_uniform([batch], seed, -LARGEST_ROTATION, LARGEST_ROTATION)
    mirror = tf.where(tf.random.stateless_uniform([batch], seed + 1) < 0.5, -1.0, 1.0)
    cos, sin = tf.cos(angle), tf.sin(angle)
    # Output (x, y) samples the input at R (x - c) + c, with x mirrored first: eight numbers a picture.
    a, b = mirror * cos, -sin
    c, d = mirror * sin, cos
    zero = tf.zeros([batch])
    transforms = tf.stack(
        [
            a,
            b,
            centre_x - a * centre_x - b * centre_y,
            c,
            d,
            centre_y - c * centre_x - d * centre_y,
            zero,
            zero,
        ],
        axis=1,
    )
    return tf.raw_ops.ImageProjectiveTransformV3(
        images=pictures,
        transforms=transforms,
        output_shape=tf.shape(pictures)[1:3],
        fill_value=0.0,
        interpolation="BILINEAR",
        fill_mode="REFLECT",
    )


def batches(pictures, class_ids, *, batch_size: int, seed: int | None) -> tf.data.Dataset:
    """A tf.data pipeline of (normalised pictures, class ids).

    Args:
        pictures: uint8 of shape (n, height, width, 3).
        class_ids: int32 of shape (n,).
        batch_size: The last batch may be smaller.
        seed: None for measuring: in order, as they are. Otherwise each pass is shuffled and augmented anew.
    """
    # Indices are shuffled, not pictures: a shuffle buffer would hold the set a second time.
    stored, answers = tf.constant(pictures), tf.constant(class_ids)
    order = tf.data.Dataset.range(len(pictures))
    if seed is not None:
        order = order.shuffle(len(pictures), seed=seed)
    order = order.batch(batch_size)
    if seed is None:
        return order.map(
            lambda index: (normalise(tf.gather(stored, index)), tf.gather(answers, index))
        ).prefetch(2)
    seeds = tf.data.Dataset.random(seed=seed, rerandomize_each_iteration=True).batch(2)

    def draw(index: tf.Tensor, number: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        pair = tf.cast(number % 2**31, tf.int32)
        return augment(normalise(tf.gather(stored, index)), pair), tf.gather(answers, index)

    return tf.data.Dataset.zip((order, seeds)).map(draw, num_parallel_calls=tf.data.AUTOTUNE).prefetch(2)
