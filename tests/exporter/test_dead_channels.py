import numpy as np
import pytest

pytestmark = pytest.mark.slow  # imports TensorFlow


@pytest.fixture
def model_with_dead_channels():
    """A convolution and a depthwise convolution, each with one channel as ImageNet training leaves them."""
    from trainer.legacy_keras import tf

    tf.keras.utils.set_random_seed(0)
    image = x = tf.keras.Input((8, 8, 3))
    for layer in (
        tf.keras.layers.Conv2D(6, 3, use_bias=False),
        tf.keras.layers.DepthwiseConv2D(3, use_bias=False),
    ):
        norm = tf.keras.layers.BatchNormalization()
        x = norm(layer(x))
        (kernel,) = layer.get_weights()
        kernel[(..., 2, 0) if isinstance(layer, tf.keras.layers.DepthwiseConv2D) else (..., 2)] *= 1e-20
        layer.set_weights([kernel])
        gamma, beta, mean, variance = norm.get_weights()
        beta[2], variance[2], mean[2] = 1.5, 1e-36, 1e-19
        norm.set_weights([gamma, beta, mean, variance])
    return tf.keras.Model(image, x)


def test_settling_keeps_the_answer_and_gives_dead_kernels_a_size(model_with_dead_channels):
    from exporter.dead_channels import SETTLED_KERNEL, settle_dead_channels

    model = model_with_dead_channels
    pictures = np.random.default_rng(0).uniform(-1, 1, (4, 8, 8, 3)).astype(np.float32)
    before = model.predict(pictures, verbose=0)
    assert settle_dead_channels(model) == 2
    # A settled kernel adds at most itself times the input.
    np.testing.assert_allclose(model.predict(pictures, verbose=0), before, atol=3 * SETTLED_KERNEL)
    for layer in model.layers:
        if layer.name.startswith(("conv2d", "depthwise")):
            assert (
                np.abs(
                    layer.get_weights()[0][..., 2]
                    if "depth" not in layer.name
                    else layer.get_weights()[0][:, :, 2]
                ).max()
                >= 9e-5
            )
    assert settle_dead_channels(model) == 0


def test_a_healthy_backbone_is_left_as_it_is():
    from exporter.dead_channels import settle_dead_channels
    from trainer.backbone import build_model

    model = build_model(2, backbone="mobilenet_v2", size=32, alpha=0.35, weights="none")
    before = model.get_weights()
    assert settle_dead_channels(model) == 0
    for old, new in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)
