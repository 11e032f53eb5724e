import numpy as np
import pytest

from edge_runtime.errors import WeightsError

pytestmark = pytest.mark.slow  # builds MobileNetV2


@pytest.fixture(scope="module")
def backbone():
    from trainer import backbone

    return backbone


@pytest.fixture(scope="module")
def model(backbone):
    return backbone.build_model(3, size=32, alpha=0.35, weights="starter")


def test_the_graph_is_flat_and_ends_in_probabilities(model):
    assert not [layer.name for layer in model.layers if hasattr(layer, "layers")]
    probabilities = model.predict(np.zeros((2, 32, 32, 3), np.float32), verbose=0)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-5)
    assert probabilities.shape == (2, 3)


def test_the_starter_sets_every_weight_of_the_backbone(backbone, model):
    with np.load(backbone.STARTER_FILE) as stored:
        names = {weight.name for weight in model.weights if not weight.name.startswith("probabilities")}
        assert set(stored.files) == names
        for weight in model.weights:
            if weight.name in names:
                np.testing.assert_array_equal(weight.numpy(), stored[weight.name].astype(np.float32))


def test_the_starter_is_small_and_finite(backbone):
    assert backbone.STARTER_FILE.stat().st_size <= 1_200_000
    with np.load(backbone.STARTER_FILE) as stored:
        assert all(
            stored[name].dtype == np.float16 and np.isfinite(stored[name]).all() for name in stored.files
        )


@pytest.mark.parametrize("fine_tune_at, open_from", [(0, 0), (100, 100), (10_000, None)])
def test_freeze_opens_the_layers_from_an_index_up_but_never_batchnorm(
    backbone, model, fine_tune_at, open_from
):
    backbone.freeze(model, fine_tune_at)
    for index, layer in enumerate(model.layers[:-1]):
        norm = layer.__class__.__name__ == "BatchNormalization"
        assert layer.trainable == (open_from is not None and index >= open_from and not norm), layer.name
    assert model.get_layer("probabilities").trainable


def test_weights_saved_by_keras_are_taken_by_path(backbone, tmp_path):
    from trainer.legacy_keras import tf

    source = tf.keras.applications.MobileNetV2(
        input_shape=(32, 32, 3), alpha=0.35, include_top=False, weights=None
    )
    source.save_weights(tmp_path / "own.h5")
    model = backbone.build_model(3, size=64, alpha=0.35, weights=str(tmp_path / "own.h5"))
    np.testing.assert_array_equal(
        model.get_layer("Conv1").get_weights()[0], source.get_layer("Conv1").get_weights()[0]
    )
    with pytest.raises(WeightsError, match="alpha 0.5"):
        backbone.build_model(3, size=64, alpha=0.5, weights=str(tmp_path / "own.h5"))


@pytest.mark.parametrize("content", [None, b"", b"no weights at all"])
def test_a_weight_file_that_is_none_is_an_instruction(backbone, tmp_path, content):
    path = tmp_path / "bad.h5"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(WeightsError) as caught:
        backbone.build_model(3, size=32, alpha=0.35, weights=str(path))
    assert str(path) in str(caught.value) and caught.value.hint


def test_imagenet_has_no_weights_for_an_odd_alpha(backbone):
    with pytest.raises(WeightsError, match="alpha 0.4"):
        backbone.build_model(3, size=96, alpha=0.4, weights="imagenet")


def test_imagenet_without_network_names_the_ways_out(backbone, monkeypatch, tmp_path):
    # A closed port on loopback stands for the absent network: Keras's own download code meets it.
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    import tf_keras.src.applications.mobilenet_v2 as module

    monkeypatch.setattr(module, "BASE_WEIGHT_PATH", "http://127.0.0.1:9/")
    monkeypatch.setattr("os.path.expanduser", lambda path: path.replace("~", str(tmp_path)))
    with pytest.raises(WeightsError) as caught:
        backbone.build_model(3, size=96, alpha=0.35, weights="imagenet")
    assert "--weights starter" in caught.value.hint and "--weights PATH" in caught.value.hint
