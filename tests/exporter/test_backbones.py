"""Every kind of network that the trainer builds answers on the device as in Keras, for the same RGB bytes."""

import numpy as np
import pytest

from edge_runtime.classifier import Classifier
from edge_runtime.model_file import ModelFile

pytestmark = pytest.mark.soak  # converts networks

LABELS = ("a", "b", "c", "d")


@pytest.fixture(scope="module")
def network(small_pictures):
    """Builds a backbone of random weights at 32 px whose answers on small_pictures are spread over the classes."""

    def make(name: str):
        from trainer.backbone import FEATURES, build_model
        from trainer.config import ALPHAS
        from trainer.freezing import lower
        from trainer.legacy_keras import tf

        tf.keras.utils.set_random_seed(0)
        width = ALPHAS.get(name, (1.0,))[0]
        model = build_model(len(LABELS), backbone=name, size=32, alpha=width, weights="none")
        pictures = small_pictures.astype(np.float32) / 127.5 - 1
        for layer in model.layers:
            if isinstance(layer, tf.keras.layers.BatchNormalization):
                layer.momentum = 0.0  # takes these pictures' statistics
        model(pictures, training=True)
        last = model.get_layer("probabilities")
        seen = tf.keras.Model(lower(model, FEATURES).input, last.input)(pictures, training=False).numpy()
        centred = seen - seen.mean(axis=0)
        kernel = np.linalg.svd(centred, full_matrices=False)[2][: len(LABELS)].T
        kernel *= 2 / (centred @ kernel).std(axis=0)
        last.set_weights([kernel, -seen.mean(axis=0) @ kernel])
        return model

    return make


@pytest.fixture
def on_the_device(tmp_path):
    """A model's probabilities for pictures, by the device's own code."""

    def run(model: bytes, pictures: np.ndarray) -> np.ndarray:
        path = tmp_path / "model.tflite"
        path.write_bytes(model)
        classifier = Classifier(ModelFile(path, None, LABELS, len(model)))
        return np.array([classifier.probabilities(classifier.invoke(picture[None])) for picture in pictures])

    return run


# Random layers pass on rounding that trained ones drop, the more the more there are: 27 convolutions in mobilenet.
# Answers to other pictures are 0.23 (mobilenet) to 0.3 away.
@pytest.mark.parametrize("name, rounding", [("small_cnn", 0.02), ("mobilenet", 0.12), ("vgg16", 0.02)])
def test_a_backbone_is_carried_to_the_device(network, on_the_device, small_pictures, name, rounding):
    from exporter.byte_tensors import give_bytes, state_int8_versions, take_bytes
    from exporter.channel_scaling import equalise_depthwise_kernels
    from exporter.conversion import to_float
    from exporter.dead_channels import settle_dead_channels
    from exporter.normalisation import MINUS_ONE_TO_ONE
    from exporter.post_training import to_int8

    model = network(name)
    wanted = model(MINUS_ONE_TO_ONE(small_pictures), training=False).numpy()
    assert len(set(wanted.argmax(axis=1))) > 1
    assert settle_dead_channels(model) == 0
    equalise_depthwise_kernels(model)
    converted = to_float(model)
    got = on_the_device(take_bytes(converted, MINUS_ONE_TO_ONE), small_pictures)
    np.testing.assert_allclose(got, wanted, atol=1e-3)

    int8 = to_int8(converted, small_pictures, MINUS_ONE_TO_ONE, per_tensor_dense=True)
    quantized = give_bytes(take_bytes(state_int8_versions(int8), MINUS_ONE_TO_ONE))
    got = on_the_device(quantized, small_pictures)
    assert np.abs(got - wanted).mean() < rounding


def test_small_cnn_is_trained_quantization_aware(network, on_the_device, small_pictures):
    from exporter.conversion import to_int8_by_qat
    from exporter.normalisation import MINUS_ONE_TO_ONE
    from exporter.quantization_aware import quantization_aware

    model = network("small_cnn")
    wanted = model(MINUS_ONE_TO_ONE(small_pictures), training=False).numpy()
    quantized = quantization_aware(model, small_pictures, epochs=1, batch_size=16, seed=0)
    got = on_the_device(to_int8_by_qat(quantized), small_pictures)
    assert np.abs(got - wanted).mean() < 0.02
