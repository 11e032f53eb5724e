import numpy as np
import pytest

from edge_runtime.errors import WeightsError
from trainer.config import ALPHAS, BACKBONES

pytestmark = pytest.mark.slow  # builds networks

# Two stand for all where time is short: the default, and the one with another head.
EACH_BACKBONE = [
    name if name in ("mobilenet_v2", "small_cnn") else pytest.param(name, marks=pytest.mark.soak)
    for name in BACKBONES
]


@pytest.fixture(scope="module")
def backbone():
    from trainer import backbone

    return backbone


@pytest.fixture(scope="module")
def build(backbone):
    """build_model with what most tests do not care about; the narrow backbones in their narrowest width."""

    def make(
        name: str = "mobilenet_v2", *, size: int = 32, alpha: float | None = None, weights: str = "none"
    ):
        width = alpha or ALPHAS.get(name, (1.0,))[0]
        return backbone.build_model(3, backbone=name, size=size, alpha=width, weights=weights)

    return make


@pytest.fixture(scope="module")
def model(build):
    return build(weights="starter")


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


@pytest.mark.parametrize("name", EACH_BACKBONE)
def test_every_backbone_is_one_flat_graph_from_a_picture_to_probabilities(backbone, build, name):
    size = 71 if name == "xception" else 32
    built = build(name, size=size)
    assert not [layer.name for layer in built.layers if hasattr(layer, "layers")]
    assert built.layers[0].name == "image" and built.input_shape == (None, size, size, 3)
    assert len(built.get_layer(backbone.FEATURES).output_shape) == 2
    assert built.get_layer("dropout") and built.layers[-1].name == "probabilities"
    probabilities = built(np.zeros((2, size, size, 3), np.float32), training=False).numpy()
    assert probabilities.shape == (2, 3)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-5)
    has_mean = backbone.PREPROCESSING in [layer.name for layer in built.layers]
    assert has_mean == (name in ("vgg16", "resnet50"))
    assert (backbone.PREPROCESSING in backbone.preprocessing(name)) == has_mean
    assert backbone.preprocessing(name).startswith("RGB bytes / 127.5 - 1")


def test_small_cnn_has_the_parameters_of_keras_mnist_transfer_cnn(build):
    # 320 + 9,248 + 589,952 + 645 for grey pictures and five classes; 576 more for colour, 258 fewer for three.
    assert build("small_cnn", size=28).count_params() == 320 + 9_248 + 589_952 + 645 + 576 - 258


@pytest.mark.parametrize("name, module", [("vgg16", "vgg16"), pytest.param("resnet50", "resnet50", marks=pytest.mark.soak)])
def test_the_mean_layer_and_flipped_kernels_are_keras_preprocessing(backbone, build, tmp_path, name, module):
    from trainer.legacy_keras import tf

    theirs = {"vgg16": tf.keras.applications.VGG16, "resnet50": tf.keras.applications.ResNet50}[name](
        input_shape=(32, 32, 3), include_top=False, weights=None, pooling="avg"
    )
    theirs.save_weights(tmp_path / "own.h5")
    ours = build(name, weights=str(tmp_path / "own.h5"))
    pictures = np.random.default_rng(0).integers(0, 256, (4, 32, 32, 3), np.uint8)
    preprocess = getattr(tf.keras.applications, module).preprocess_input
    wanted = theirs(preprocess(pictures.astype(np.float32)), training=False).numpy()
    features = tf.keras.Model(ours.input, ours.get_layer(backbone.FEATURES).output)
    got = features(pictures.astype(np.float32) / 127.5 - 1, training=False).numpy()
    np.testing.assert_allclose(got, wanted, rtol=1e-4, atol=1e-4 * np.abs(wanted).max())
    assert wanted.std(axis=0).max() > 1e-3 * np.abs(wanted).max()  # the pictures are told apart


def test_weights_saved_by_keras_are_taken_by_path(backbone, build, tmp_path):
    from trainer.legacy_keras import tf

    source = tf.keras.applications.MobileNetV2(
        input_shape=(32, 32, 3), alpha=0.35, include_top=False, weights=None
    )
    source.save_weights(tmp_path / "own.h5")
    taken = build(size=64, weights=str(tmp_path / "own.h5"))
    np.testing.assert_array_equal(
        taken.get_layer("Conv1").get_weights()[0], source.get_layer("Conv1").get_weights()[0]
    )
    for name, alpha, message in (
        ("mobilenet_v2", 0.5, "mobilenet_v2 of alpha 0.5"),
        ("vgg16", None, "weights of vgg16"),
    ):
        with pytest.raises(WeightsError, match=message):
            build(name, alpha=alpha, weights=str(tmp_path / "own.h5"))


@pytest.mark.parametrize("content", [None, b"", b"no weights at all"])
def test_a_weight_file_that_is_none_is_an_instruction(build, tmp_path, content):
    path = tmp_path / "bad.h5"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(WeightsError) as caught:
        build(weights=str(path))
    assert str(path) in str(caught.value) and caught.value.hint


@pytest.mark.parametrize(
    "name, alpha, weights, message",
    [
        ("mobilenet_v2", 0.4, "imagenet", "no ImageNet weights for mobilenet_v2 of alpha 0.4"),
        ("mobilenet", 1.4, "imagenet", "no ImageNet weights for mobilenet of alpha 1.4"),
        ("mobilenet_v2", 1.0, "starter", "does not fit mobilenet_v2 of alpha 1.0"),
        ("vgg16", 1.0, "starter", "does not fit vgg16, it is for mobilenet_v2 of alpha 0.35"),
        ("small_cnn", 1.0, "imagenet", "small_cnn has no published weights"),
    ],
)
def test_weights_that_do_not_exist_are_an_instruction(build, name, alpha, weights, message):
    with pytest.raises(WeightsError, match=message) as caught:
        build(name, alpha=alpha, weights=weights)
    assert caught.value.hint


@pytest.mark.parametrize("name", EACH_BACKBONE[:-1])  # small_cnn has none
def test_imagenet_without_network_names_the_ways_out(build, monkeypatch, tmp_path, name):
    # An empty cache, and a closed port on loopback for the absent network: Keras's own download code meets it.
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    with pytest.raises(WeightsError, match=f"ImageNet weights of {name}.* downloaded") as caught:
        build(name, size=96, weights="imagenet")
    assert "--weights starter" in caught.value.hint
    assert f"--weights PATH with a Keras {name} file" in caught.value.hint
