"""Quantization-aware training of the small network."""

import numpy as np
import pytest

from edge_runtime.interpreter import Interpreter

pytestmark = pytest.mark.slow


@pytest.fixture
def train(small_pictures):
    """quantization_aware with the arguments that are alike in all tests."""
    from exporter.quantization_aware import quantization_aware

    def run(model, *, epochs, **options):
        return quantization_aware(model, small_pictures, epochs=epochs, batch_size=16, seed=0, **options)

    return run


@pytest.fixture
def learning_rate(monkeypatch):
    """Sets a rate: the real one moves a network of four layers too little to see."""
    return lambda rate: monkeypatch.setattr("exporter.quantization_aware.LEARNING_RATE", rate)


def weights(quantized, layer: str) -> dict[str, np.ndarray]:
    """{kernel, range end and so on: value} of a layer of the float model."""
    return {
        weight.name.split("/")[-1]: weight.numpy() for weight in quantized.get_layer(f"quant_{layer}").weights
    }


def score(quantized, model, pictures) -> tuple[float, float]:
    """(agreement, minus divergence) on what `train` holds back of the pictures."""
    from exporter.normalisation import MINUS_ONE_TO_ONE

    held_back = MINUS_ONE_TO_ONE(pictures[np.random.default_rng(0).permutation(64)[:6]])
    wanted, answers = model(held_back).numpy(), quantized(held_back).numpy()
    divergence = (wanted * np.log(wanted / answers)).sum(axis=1).mean()
    return (wanted.argmax(axis=1) == answers.argmax(axis=1)).mean(), -divergence


def test_without_epochs_it_is_the_calibrated_model(small_net, small_pictures, train):
    from exporter.normalisation import MINUS_ONE_TO_ONE
    from trainer.legacy_keras import tf

    model = small_net()
    before = model.get_weights()
    quantized = train(model, epochs=0)
    for old, new in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new, "the float model has changed")
    pictures = MINUS_ONE_TO_ONE(small_pictures)
    # tensorflow-model-optimization starts every range at [-6, 6].
    features = tf.keras.Model(model.input, model.get_layer("features").output)(pictures).numpy()
    found = weights(quantized, "features")
    assert found["output_max:0"] == pytest.approx(features.max(), rel=1e-6)
    assert found["output_min:0"] == 0
    assert np.abs(quantized(pictures).numpy() - model(pictures).numpy()).max() < 0.05


def test_frozen_layers_keep_kernels_and_ranges_to_the_bit(small_net, train, learning_rate):
    learning_rate(1e-4)
    model = small_net()
    first_open = [layer.name for layer in model.layers].index("project")
    start = train(model, epochs=0)
    trained = train(model, epochs=6, freeze_below=first_open)
    for layer in model.layers[1:first_open]:
        after = weights(trained, layer.name)
        for name, value in weights(start, layer.name).items():
            np.testing.assert_array_equal(value, after[name], f"{layer.name} {name}")
    for layer, name in (
        ("project", "kernel:0"),
        ("probabilities", "kernel:0"),
        ("project_relu", "output_max:0"),
    ):
        assert (weights(trained, layer)[name] != weights(start, layer)[name]).any(), layer


@pytest.mark.parametrize("rate, improves", [(1e-4, True), (1.0, False)])
def test_of_all_epochs_the_best_comes_back_and_the_start_is_one(
    small_net, small_pictures, train, learning_rate, rate, improves
):
    learning_rate(rate)
    model = small_net()
    start, trained = train(model, epochs=0), train(model, epochs=6)
    before, after = (score(quantized, model, small_pictures) for quantized in (start, trained))
    assert (after > before) if improves else (after == before)
    if not improves:  # a rate of 1 ruins any model, so what comes back is the start
        for old, new in zip(start.get_weights(), trained.get_weights(), strict=True):
            np.testing.assert_array_equal(old, new)


def test_training_stops_when_it_gets_no_better(small_net, train, learning_rate, capsys):
    from exporter.quantization_aware import PATIENCE

    learning_rate(1.0)
    train(small_net(), epochs=40)
    assert len([line for line in capsys.readouterr().err.splitlines() if "epoch" in line]) == PATIENCE


def with_rescaling(model):
    from trainer.legacy_keras import tf

    image = tf.keras.Input((32, 32, 3))
    x = tf.keras.layers.Rescaling(2.0)(image)
    for layer in model.layers[1:]:
        x = layer(x)
    return tf.keras.Model(image, x)


def with_a_model_inside(model):
    from trainer.legacy_keras import tf

    image = tf.keras.Input((32, 32, 3))
    return tf.keras.Model(image, model(image))


@pytest.mark.parametrize("built", [with_rescaling, with_a_model_inside])
def test_a_model_that_cannot_be_quantized_is_an_instruction(small_net, train, built):
    from exporter.quantization_aware import CannotQuantize

    with pytest.raises(CannotQuantize, match="cannot be trained quantization-aware: .*uantiz") as raised:
        train(built(small_net()), epochs=0)
    assert "--candidates ptq" in raised.value.hint


@pytest.mark.parametrize(
    "epochs, mean, std, scale, zero_point",
    [
        (0, 0, 255, 1 / 255, 0),
        pytest.param(2, 0, 255, 1 / 255, 0, marks=pytest.mark.soak),
        pytest.param(0, 127.5, 127.5, 2 / 255, 128, marks=pytest.mark.soak),
        (2, 127.5, 127.5, 2 / 255, 128),
        (0, 128, 64, 1 / 64, 128),
    ],
)
def test_the_input_takes_every_byte_in_the_models_own_normalisation(
    small_net, small_pictures, train, tmp_path, epochs, mean, std, scale, zero_point
):
    from exporter.conversion import to_int8_by_qat
    from exporter.fidelity import check_fidelity
    from exporter.normalisation import Normalisation

    normalisation = Normalisation(mean, std)
    quantized = train(small_net(), epochs=epochs, normalisation=normalisation)
    model = to_int8_by_qat(quantized)
    (tmp_path / "model.tflite").write_bytes(model)
    given = Interpreter(tmp_path / "model.tflite", 1).input
    assert given.scale == pytest.approx(scale, rel=1e-5) and abs(given.zero_point - zero_point) <= 1
    assert check_fidelity(quantized, model, small_pictures, normalisation).agreement == 1
