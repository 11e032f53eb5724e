import numpy as np
import pytest

pytestmark = pytest.mark.slow  # imports TensorFlow


def spread(model) -> None:
    """Has depthwise channels differ in size by four decades, as folded BatchNorm leaves them; answers stay."""
    from trainer.legacy_keras import tf

    random = np.random.default_rng(0)
    for norm in model.layers:
        if isinstance(norm, tf.keras.layers.BatchNormalization):
            convolution = norm.inbound_nodes[0].inbound_layers
            if isinstance(convolution, tf.keras.layers.DepthwiseConv2D):
                (kernel,) = convolution.get_weights()
                gamma, beta, mean, variance = norm.get_weights()
                size = 10 ** random.uniform(-2, 2, len(gamma))
                convolution.set_weights([kernel * size[:, None]])
                norm.set_weights([gamma / size, beta, mean * size, variance])


@pytest.fixture
def small(small_net, small_pictures):
    """A network with one depthwise convolution, the layer to look at, pictures of it."""
    return small_net(), "project_relu", small_pictures


@pytest.fixture
def backbone():
    """The default backbone: what seventeen of them lose together."""
    from edge_runtime.rendering import CLASSES, render_picture
    from trainer.backbone import build_model
    from trainer.legacy_keras import tf

    tf.keras.utils.set_random_seed(0)
    model = build_model(4, backbone="mobilenet_v2", size=32, alpha=0.35, weights="starter")
    pictures = [render_picture(label, np.random.default_rng(7), size=(32, 32)) for label in CLASSES * 4]
    return model, "out_relu", np.stack(pictures)


def features(model, name: str, pictures) -> np.ndarray:
    from trainer.augmentation import normalise
    from trainer.legacy_keras import tf

    layer = next(layer for layer in model.layers if layer.name.removeprefix("quant_") == name)
    return tf.keras.Model(model.input, layer.output)(normalise(pictures), training=False).numpy().ravel()


def cosine(a, b):
    return float(a @ b / np.linalg.norm(a) / np.linalg.norm(b))


@pytest.mark.parametrize(
    "network, before, after",
    [("small", 0.8, 0.99), pytest.param("backbone", 0.6, 0.95, marks=pytest.mark.soak)],
)
def test_scaling_keeps_the_answer_and_saves_quantization_aware_training(request, network, before, after):
    from exporter.channel_scaling import equalise_depthwise_kernels
    from exporter.quantization_aware import quantization_aware
    from trainer.legacy_keras import tf

    model, name, pictures = request.getfixturevalue(network)
    spread(model)

    def kept() -> float:
        quantized = quantization_aware(model, pictures, epochs=0, batch_size=8, seed=0)
        return cosine(features(quantized, name, pictures), wanted)

    wanted = features(model, name, pictures)
    assert kept() < before
    equalise_depthwise_kernels(model)
    np.testing.assert_allclose(features(model, name, pictures), wanted, atol=1e-3)
    for layer in model.layers:
        if isinstance(layer, tf.keras.layers.DepthwiseConv2D):
            np.testing.assert_allclose(np.abs(layer.get_weights()[0]).max(axis=(0, 1, 3)), 1, rtol=1e-5)
    assert kept() > after
