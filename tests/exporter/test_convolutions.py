"""Which convolutions may be rescaled: only those whose BatchNorm can undo it, seen by nobody."""

import numpy as np
import pytest

pytestmark = pytest.mark.slow  # imports TensorFlow


def then_norm(convolution, **options):
    """A model: the convolution, its BatchNorm, and a mean."""
    from trainer.legacy_keras import tf

    image = tf.keras.Input((8, 8, 3))
    x = tf.keras.layers.BatchNormalization(name="norm", **options)(convolution(image))
    return tf.keras.Model(image, tf.keras.layers.GlobalAveragePooling2D()(x))


def read_twice():
    from trainer.legacy_keras import tf

    image = tf.keras.Input((8, 8, 3))
    x = tf.keras.layers.Conv2D(4, 3, use_bias=False)(image)
    return tf.keras.Model(image, tf.keras.layers.Add()([tf.keras.layers.BatchNormalization()(x), x]))


def one_norm_for_two():
    from trainer.legacy_keras import tf

    image = tf.keras.Input((8, 8, 3))
    norm = tf.keras.layers.BatchNormalization()
    branches = [norm(tf.keras.layers.DepthwiseConv2D(3, use_bias=False)(image)) for _ in range(2)]
    return tf.keras.Model(image, tf.keras.layers.Add()(branches))


def one_convolution_for_two():
    from trainer.legacy_keras import tf

    image = tf.keras.Input((8, 8, 3))
    convolution = tf.keras.layers.DepthwiseConv2D(3, use_bias=False)
    inputs = (image, tf.keras.layers.ReLU()(image))
    branches = [tf.keras.layers.BatchNormalization()(convolution(x)) for x in inputs]
    return tf.keras.Model(image, tf.keras.layers.Add()(branches))


def norm_of_the_input():
    from trainer.legacy_keras import tf

    image = tf.keras.Input((8, 8, 3))
    return tf.keras.Model(image, tf.keras.layers.BatchNormalization()(image))


def in_sequence():
    from trainer.legacy_keras import tf

    layers = tf.keras.layers
    return tf.keras.Sequential(
        [tf.keras.Input((8, 8, 3)), layers.Conv2D(4, 3, use_bias=False), layers.BatchNormalization()]
    )


def layer(kind: str, *arguments, **options):
    """Made when a test runs: TensorFlow is not imported to collect the tests."""

    def make():
        from trainer.legacy_keras import tf

        return getattr(tf.keras.layers, kind)(*arguments, **options)

    return make


def model(of_layer, **norm):
    return lambda: then_norm(of_layer(), **norm)


FOUND = {
    "convolution": model(layer("Conv2D", 4, 3, use_bias=False)),
    "depthwise": model(layer("DepthwiseConv2D", 3, use_bias=False)),
    "in groups": model(layer("Conv2D", 6, 3, groups=3, use_bias=False)),
    "strided and dilated": model(layer("Conv2D", 4, 3, padding="same", dilation_rate=2, use_bias=False)),
    "sequential": in_sequence,
}
SKIPPED = {
    "bias": model(layer("Conv2D", 4, 3)),
    "depthwise bias": model(layer("DepthwiseConv2D", 3)),
    "activation": model(layer("Conv2D", 4, 3, use_bias=False, activation="relu")),
    "norm without scale": model(layer("Conv2D", 4, 3, use_bias=False), scale=False),
    "norm without centre": model(layer("Conv2D", 4, 3, use_bias=False), center=False),
    "norm of rows": model(layer("Conv2D", 6, 3, use_bias=False), axis=1),
    "separable": model(layer("SeparableConv2D", 4, 3, use_bias=False)),
    "transposed": model(layer("Conv2DTranspose", 4, 3, use_bias=False)),
    "depth multiplier 2": model(layer("DepthwiseConv2D", 3, depth_multiplier=2, use_bias=False)),
    "pooling": model(layer("AveragePooling2D")),
    "two readers": read_twice,
    "one norm for two": one_norm_for_two,
    "one convolution for two": one_convolution_for_two,
    "norm of the input": norm_of_the_input,
}


def randomised(make):
    """With weights of every size and a dead channel, as if BatchNorm had been folded and had died."""
    from trainer.legacy_keras import tf

    tf.keras.utils.set_random_seed(0)
    made = make()
    random = np.random.default_rng(0)
    for one in made.layers:
        weights = [w * 10 ** random.uniform(-2, 2, w.shape[-2:]) for w in one.get_weights() if w.ndim == 4]
        for kernel in weights:
            kernel[..., 0, 0] *= 1e-9
        weights += [random.uniform(0.5, 2, w.shape) for w in one.get_weights() if w.ndim != 4]
        one.set_weights(weights)
    return made


@pytest.mark.parametrize("name", [*FOUND, *SKIPPED])
def test_only_convolutions_that_their_norm_can_undo_are_found_and_answers_stay(name):
    from exporter.channel_scaling import equalise_depthwise_kernels
    from exporter.convolutions import convolutions_with_norms
    from exporter.dead_channels import settle_dead_channels

    made = randomised((FOUND | SKIPPED)[name])
    found = list(convolutions_with_norms(made))
    assert len(found) == (name in FOUND)
    pictures = np.random.default_rng(1).uniform(-1, 1, (4, 8, 8, 3)).astype(np.float32)
    before, weights = made(pictures, training=False).numpy(), made.get_weights()
    settle_dead_channels(made)
    equalise_depthwise_kernels(made)
    np.testing.assert_allclose(made(pictures, training=False), before, rtol=1e-3, atol=2e-3)
    if name in SKIPPED:
        for old, new in zip(weights, made.get_weights(), strict=True):
            np.testing.assert_array_equal(old, new)
