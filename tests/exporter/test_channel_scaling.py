import numpy as np
import pytest

pytestmark = pytest.mark.slow  # imports TensorFlow


@pytest.fixture(scope="module")
def folded():
    """A small backbone whose depthwise channels differ in size by four decades, as folded BatchNorm leaves them."""
    from trainer.backbone import build_model
    from trainer.legacy_keras import tf

    tf.keras.utils.set_random_seed(0)
    model = build_model(4, backbone="mobilenet_v2", size=32, alpha=0.35, weights="starter")
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
    return model


@pytest.fixture(scope="module")
def pictures():
    from edge_runtime.rendering import CLASSES, render_picture

    return np.stack([render_picture(label, np.random.default_rng(7), size=(32, 32)) for label in CLASSES * 4])


def features(model, pictures):
    from trainer.augmentation import normalise
    from trainer.legacy_keras import tf

    name = next(layer.name for layer in model.layers if layer.name.removeprefix("quant_") == "out_relu")
    return (
        tf.keras.Model(model.input, model.get_layer(name).output)(normalise(pictures), training=False)
        .numpy()
        .ravel()
    )


def cosine(a, b):
    return float(a @ b / np.linalg.norm(a) / np.linalg.norm(b))


def test_scaling_keeps_the_answer_and_saves_quantization_aware_training(folded, pictures):
    from exporter.channel_scaling import equalise_depthwise_kernels
    from exporter.quantization_aware import quantization_aware
    from trainer.legacy_keras import tf

    def quantized(model):
        return quantization_aware(model, pictures, epochs=0, batch_size=8, seed=0)

    wanted = features(folded, pictures)
    before = cosine(features(quantized(folded), pictures), wanted)
    equalise_depthwise_kernels(folded)
    np.testing.assert_allclose(features(folded, pictures), wanted, atol=1e-3)
    for layer in folded.layers:
        if isinstance(layer, tf.keras.layers.DepthwiseConv2D):
            np.testing.assert_allclose(np.abs(layer.get_weights()[0]).max(axis=(0, 1, 3)), 1, rtol=1e-5)
    after = cosine(features(quantized(folded), pictures), wanted)
    assert before < 0.6 and after > 0.95, (before, after)
