"""Random changes to training pictures by named policies, on batches in the graph; normalisation to the model's input.

Policies:
    none: The pictures as they are.
    light: Mirrored, and rotated a little: what a camera's mounting does.
    strong: Also zoomed and moved, in other brightness, contrast, saturation and colour balance.
    camera: Light, and then what a cheap moving camera does: motion blur, wrong exposure, sensor noise, JPEG.
"""

import math

from trainer.legacy_keras import tf

LARGEST_ROTATION = math.radians(10)
"""Cameras are mounted a little askew; more would turn a 6 into a 9."""
LARGEST_ZOOM = 1.25
"""Strong: things look up to so much larger, or smaller."""
LARGEST_SHIFT = 0.1
"""Strong: of the height and of the width."""
LARGEST_SATURATION, LARGEST_CONTRAST, LARGEST_BRIGHTNESS, LARGEST_CAST = 1.5, 1.4, 0.15, 1.1
"""Strong: factors, their inverse as often; brightness is added, of 0 to 1; the cast is a factor a channel."""
LUMA = (0.299, 0.587, 0.114)
"""Share of red, green and blue in brightness: ITU-R BT.601, as JPEG has it."""
FAULT_PROBABILITY = 0.5
"""Camera: each fault hits so many of the pictures, whatever the others do."""
LARGEST_EXPOSURE = 1.0
"""Camera: in stops, over and under; a stop is twice the light."""
LARGEST_GAMMA = 1.3
"""Camera: exponent of the tone curve, its inverse as often."""
LONGEST_BLUR = 0.05
"""Camera: of the height; a hand or a conveyor in a dark room."""
SHOT_NOISE, READ_NOISE = 0.003, 0.015
"""Camera: at most, on a scale of 0 to 1: variance at full white, and standard deviation in black."""
JPEG_QUALITY = (30, 95)
"""Camera: cheap streams have about 50; 95 is as good as none."""
DISPLAY_GAMMA = 2.2
"""Pixel values are about the light's 1/2.2th power (sRGB)."""


def normalise(pictures: tf.Tensor) -> tf.Tensor:
    """RGB bytes to the float model's range: (pixel - 127.5) / 127.5, for every backbone (see trainer.backbone)."""
    return tf.cast(pictures, tf.float32) / 127.5 - 1.0


def augment(pictures: tf.Tensor, seed: tf.Tensor, policy: str) -> tf.Tensor:
    """Changes each picture of a batch at random, and normalises it.

    Args:
        pictures: RGB uint8 of shape (batch, height, width, 3).
        seed: Two int32, as TensorFlow's stateless functions take; the same seed gives the same pictures.
        policy: none, light, strong or camera; see the module.

    Returns:
        float32 in [-1, 1] of the same shape; where an edge comes into view, the picture's mirror image goes on.
    """
    draws = _Draws(seed, tf.shape(pictures)[0])
    unit = tf.cast(pictures, tf.float32) / 255.0
    if policy == "light":
        unit = _move(unit, draws)
    elif policy == "strong":
        unit = _recolour(_move(unit, draws, zoom=LARGEST_ZOOM, shift=LARGEST_SHIFT), draws)
    elif policy == "camera":
        unit = _photograph(_move(unit, draws), draws)
    elif policy != "none":
        raise ValueError(f"policy is {policy!r}, expected none, light, strong or camera")
    return unit * 2.0 - 1.0


class _Draws:
    """Random numbers for the pictures of a batch, in turn, all from one seed."""

    def __init__(self, seed: tf.Tensor, batch: tf.Tensor):
        self._seed, self._batch, self._drawn = seed, batch, 0

    def seed(self) -> tf.Tensor:
        """Another one each time."""
        self._drawn += 1
        return tf.random.fold_in(self._seed, self._drawn)

    def uniform(self, lowest: float, highest: float) -> tf.Tensor:
        """One number a picture, shape (batch, 1, 1, 1)."""
        return tf.random.stateless_uniform([self._batch, 1, 1, 1], self.seed(), lowest, highest)

    def factor(self, largest: float) -> tf.Tensor:
        """One number a picture from 1/largest to largest, as often above 1 as below; shape (batch, 1, 1, 1)."""
        return tf.exp(self.uniform(-math.log(largest), math.log(largest)))

    def chosen(self, probability: float) -> tf.Tensor:
        """Which pictures, bool of shape (batch, 1, 1, 1)."""
        return self.uniform(0.0, 1.0) < probability


def _move(pictures: tf.Tensor, draws: _Draws, zoom: float = 1.0, shift: float = 0.0) -> tf.Tensor:
    """Mirrors half of the pictures, rotates each by up to LARGEST_ROTATION around its centre, zooms and shifts it."""
    size = tf.cast(tf.shape(pictures)[1:3], tf.float32)
    angle = draws.uniform(-LARGEST_ROTATION, LARGEST_ROTATION)
    scale = draws.factor(zoom)
    mirror = tf.where(draws.chosen(0.5), -1.0, 1.0)
    down, right = size[0] * draws.uniform(-shift, shift), size[1] * draws.uniform(-shift, shift)
    return _sample(pictures, scale * tf.cos(angle), scale * tf.sin(angle), mirror, down, right)


# Compiled: tf.raw_ops.ImageProjectiveTransformV3 does the same in four times the time (2.4 ms for 160 x 160 pixels).
@tf.function(jit_compile=True, autograph=False)
def _sample(
    pictures: tf.Tensor, cos: tf.Tensor, sin: tf.Tensor, mirror: tf.Tensor, down: tf.Tensor, right: tf.Tensor
) -> tf.Tensor:
    """Each picture seen through a similarity about its centre, bilinear; outside is the picture's mirror image.

    Args:
        pictures: float32 of shape (batch, height, width, 3).
        cos, sin: Of the rotation, times the step in input pixels for one output pixel; as all below (batch, 1, 1, 1).
        mirror: -1 or 1.
        down, right: Where the centre comes from, in pixels from the input's centre.
    """
    batch, height, width = (tf.shape(pictures)[axis] for axis in range(3))
    centre_y, centre_x = (tf.cast(length - 1, tf.float32) / 2 for length in (height, width))
    y = tf.reshape(tf.cast(tf.range(height), tf.float32) - centre_y, [1, -1, 1, 1])
    x = tf.reshape(tf.cast(tf.range(width), tf.float32) - centre_x, [1, 1, -1, 1])
    from_y, from_x = sin * x + cos * y + down + centre_y, mirror * (cos * x - sin * y) + right + centre_x
    top, left = tf.floor(from_y), tf.floor(from_x)
    below, beside = from_y - top, from_x - left
    rows, columns = tf.cast(top, tf.int32)[..., 0], tf.cast(left, tf.int32)[..., 0]
    first = tf.reshape(tf.range(batch) * height, [-1, 1, 1])
    values = tf.reshape(pictures, [-1, 3])

    def pixels(row: tf.Tensor, column: tf.Tensor) -> tf.Tensor:
        return tf.gather(values, (first + _reflect(row, height)) * width + _reflect(column, width))

    above = pixels(rows, columns) * (1 - beside) + pixels(rows, columns + 1) * beside
    under = pixels(rows + 1, columns) * (1 - beside) + pixels(rows + 1, columns + 1) * beside
    return above * (1 - below) + under * below


def _reflect(index: tf.Tensor, length: tf.Tensor) -> tf.Tensor:
    """Folds -1, -2, ... to 0, 1, ... and length, length + 1, ... to length - 1, length - 2, ..."""
    index = tf.where(index < 0, -1 - index, index)
    return tf.clip_by_value(tf.where(index >= length, 2 * length - 1 - index, index), 0, length - 1)


def _recolour(pictures: tf.Tensor, draws: _Draws) -> tf.Tensor:
    """Changes saturation, contrast, brightness and the balance of red, green and blue."""
    gains = tf.concat([draws.factor(LARGEST_CAST) for _ in range(3)], axis=-1)
    saturation, contrast = draws.factor(LARGEST_SATURATION), draws.factor(LARGEST_CONTRAST)
    return _recoloured(
        pictures, saturation, contrast, draws.uniform(-LARGEST_BRIGHTNESS, LARGEST_BRIGHTNESS), gains
    )


@tf.function(jit_compile=True, autograph=False)
def _recoloured(
    pictures: tf.Tensor, saturation: tf.Tensor, contrast: tf.Tensor, brightness: tf.Tensor, gains: tf.Tensor
) -> tf.Tensor:
    grey = tf.reduce_sum(pictures * LUMA, axis=-1, keepdims=True)
    mean = tf.reduce_mean(grey, axis=[1, 2], keepdims=True)
    coloured = grey + (pictures - grey) * saturation
    return tf.clip_by_value((mean + (coloured - mean) * contrast + brightness) * gains, 0.0, 1.0)


def _photograph(pictures: tf.Tensor, draws: _Draws) -> tf.Tensor:
    """What happens on the way through a camera, in its order."""
    for fault in (_blur, _expose, _add_noise, _compress):
        pictures = fault(pictures, draws)
    return pictures


def _blur(pictures: tf.Tensor, draws: _Draws) -> tf.Tensor:
    """Smears each picture along a line of its own."""
    shape = tf.shape(pictures)
    batch, height, width = shape[0], shape[1], shape[2]
    reach = tf.maximum(1, tf.cast(tf.math.ceil(LONGEST_BLUR * tf.cast(height, tf.float32) / 2), tf.int32))
    angle = draws.uniform(0.0, math.pi)
    half = draws.uniform(0.0, 1.0) * tf.cast(reach, tf.float32)
    offsets = tf.cast(tf.range(-reach, reach + 1), tf.float32)
    x, y = offsets[tf.newaxis, tf.newaxis, :, tf.newaxis], offsets[tf.newaxis, :, tf.newaxis, tf.newaxis]
    along, across = x * tf.cos(angle) + y * tf.sin(angle), y * tf.cos(angle) - x * tf.sin(angle)
    # A line of the width of a pixel, its ends and sides fading over one.
    line = tf.nn.relu(1 - tf.abs(across)) * tf.clip_by_value(half + 1 - tf.abs(along), 0.0, 1.0)
    line /= tf.reduce_sum(line, axis=[1, 2], keepdims=True)  # (batch, side, side, 1)
    unchanged = tf.cast((x == 0) & (y == 0), tf.float32)
    line = tf.where(draws.chosen(FAULT_PROBABILITY), line, unchanged)
    # A kernel a picture: the batch becomes channels of one picture.
    kernels = tf.repeat(tf.transpose(line, [1, 2, 0, 3]), 3, axis=2)
    channels = tf.reshape(tf.transpose(pictures, [1, 2, 0, 3]), [1, height, width, batch * 3])
    padded = tf.pad(channels, [[0, 0], [reach, reach], [reach, reach], [0, 0]], "REFLECT")
    smeared = tf.nn.depthwise_conv2d(padded, kernels, [1, 1, 1, 1], "VALID")
    return tf.transpose(tf.reshape(smeared, [height, width, batch, 3]), [2, 0, 1, 3])


def _expose(pictures: tf.Tensor, draws: _Draws) -> tf.Tensor:
    """Too much or too little light, and another tone curve."""
    chosen = draws.chosen(FAULT_PROBABILITY)
    # Twice the light is 2^(1/gamma) times the pixel's value.
    gain = tf.where(chosen, draws.factor(2 ** (LARGEST_EXPOSURE / DISPLAY_GAMMA)), 1.0)
    return _exposed(pictures, gain, tf.where(chosen, draws.factor(LARGEST_GAMMA), 1.0))


@tf.function(jit_compile=True, autograph=False)
def _exposed(pictures: tf.Tensor, gain: tf.Tensor, gamma: tf.Tensor) -> tf.Tensor:
    return tf.clip_by_value(gain * tf.pow(tf.clip_by_value(pictures, 0.0, 1.0), gamma), 0.0, 1.0)


def _add_noise(pictures: tf.Tensor, draws: _Draws) -> tf.Tensor:
    """Of the light's particles, which grows with the light's root, and of the sensor's electronics."""
    chosen = tf.where(tf.reshape(draws.chosen(FAULT_PROBABILITY), [-1]))
    noisy = tf.gather_nd(pictures, chosen)  # only these: random numbers are what this costs
    own = _Draws(draws.seed(), tf.shape(noisy)[0])
    shot, read = own.uniform(0.0, SHOT_NOISE), own.uniform(0.0, READ_NOISE)
    noise = tf.random.stateless_normal(tf.shape(noisy), own.seed())
    noisy = tf.clip_by_value(noisy + noise * tf.sqrt(shot * noisy + read**2), 0.0, 1.0)
    return tf.tensor_scatter_nd_update(pictures, chosen, noisy)


def _compress(pictures: tf.Tensor, draws: _Draws) -> tf.Tensor:
    """To JPEG and back."""
    chosen = tf.reshape(draws.chosen(FAULT_PROBABILITY), [-1])
    quality = tf.cast(tf.reshape(draws.uniform(*JPEG_QUALITY), [-1]), tf.int32)

    def compress(one: tuple[tf.Tensor, tf.Tensor, tf.Tensor]) -> tf.Tensor:
        picture, is_chosen, how_good = one
        return tf.cond(is_chosen, lambda: tf.image.adjust_jpeg_quality(picture, how_good), lambda: picture)

    signature = tf.TensorSpec(pictures.shape[1:], tf.float32)
    return tf.map_fn(compress, (pictures, chosen, quality), fn_output_signature=signature)


def batches(pictures, class_ids, *, batch_size: int, seed: int | None) -> tf.data.Dataset:
    """A tf.data pipeline of (normalised pictures, class ids).

    Args:
        pictures: uint8 of shape (n, height, width, 3).
        class_ids: int32 of shape (n,).
        batch_size: The last batch may be smaller.
        seed: None for measuring: in order, as they are. Otherwise each pass is shuffled and lightly augmented anew.
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
        return augment(tf.gather(stored, index), pair, "light"), tf.gather(answers, index)

    return tf.data.Dataset.zip((order, seeds)).map(draw, num_parallel_calls=tf.data.AUTOTUNE).prefetch(2)
