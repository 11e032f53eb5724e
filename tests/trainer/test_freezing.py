import numpy as np
import pytest

from trainer.config import ALPHAS, BACKBONES

pytestmark = pytest.mark.slow  # builds networks

# Two stand for all where time is short: the default, and the one with another head.
EACH_BACKBONE = [
    name if name in ("mobilenet_v2", "small_cnn") else pytest.param(name, marks=pytest.mark.soak)
    for name in BACKBONES
]


@pytest.fixture(scope="module")
def build():
    """A backbone of random weights at 96 px (small_cnn 28), narrow where it can be; built once.

    BatchNorm takes the statistics of two pictures: as built, some networks answer alike whatever they see.
    """
    from trainer.backbone import build_model
    from trainer.legacy_keras import tf

    built = {}

    def make(name: str):
        if name not in built:
            tf.keras.utils.set_random_seed(0)
            size = 28 if name == "small_cnn" else 96
            width = ALPHAS.get(name, (1.0,))[0]
            built[name] = model = build_model(3, backbone=name, size=size, alpha=width, weights="none")
            for layer in model.layers:
                if isinstance(layer, tf.keras.layers.BatchNormalization):
                    layer.momentum = 0.0
            model(some_pictures(model), training=True)
        return built[name]

    return make


def some_pictures(model) -> np.ndarray:
    return np.random.default_rng(0).uniform(-1, 1, (2, *model.input_shape[1:])).astype(np.float32)


def kinds(model) -> list[str]:
    return [type(layer).__name__ for layer in model.layers]


@pytest.mark.parametrize("fine_tune_at", [0, 1, 100, 10_000])
@pytest.mark.parametrize("name", ["mobilenet_v2", "vgg16", "small_cnn"])
def test_freeze_opens_the_head_and_the_layers_from_an_index_up_but_never_batchnorm(build, name, fine_tune_at):
    from trainer.freezing import freeze

    model = build(name)
    freeze(model, fine_tune_at)
    above = [layer.name for layer in model.layers].index("features")
    for index, (layer, kind) in enumerate(zip(model.layers, kinds(model), strict=True)):
        fixed = kind == "BatchNormalization" or layer.name == "preprocessing"
        assert layer.trainable == (index > above or (index >= fine_tune_at and not fixed)), layer.name


@pytest.mark.parametrize("name, trained", [("mobilenet_v2", 2), ("small_cnn", 4)])
def test_phase_1_trains_the_head_alone(build, name, trained):
    from trainer.freezing import freeze

    model = build(name)
    freeze(model, None)
    assert len(model.trainable_weights) == trained
    of_head = {layer.name for layer in model.layers if layer.trainable and layer.weights}
    assert of_head == ({"probabilities"} if trained == 2 else {"dense", "probabilities"})


@pytest.mark.parametrize(
    "name, fine_tune_at, wanted",
    [
        ("mobilenet_v2", 0, "image"),
        ("mobilenet_v2", 1, "image"),
        ("mobilenet_v2", 98, "block_10_project_BN"),
        ("mobilenet_v2", 100, "block_10_project_BN"),
        ("mobilenet_v2", 107, "block_11_add"),
        # The wide tensors before a strided convolution are six times the narrow one they are made from.
        ("mobilenet_v2", 120, "block_12_add"),
        # Nothing below the head has weights to train from here.
        ("mobilenet_v2", 153, "features"),
        ("mobilenet", 55, "conv_pw_8_relu"),
        ("vgg16", 1, "image"),
        ("vgg16", 15, "block4_pool"),
        ("small_cnn", 0, "image"),
        ("small_cnn", 3, "features"),
    ],
)
def test_the_cut_is_the_last_narrow_place_below_what_is_trained(build, name, fine_tune_at, wanted):
    from trainer.freezing import cut

    assert cut(build(name), fine_tune_at) == wanted


@pytest.mark.parametrize("name", EACH_BACKBONE)
def test_the_two_parts_are_the_model_and_all_that_is_trained_is_above_the_cut(build, name):
    from trainer.freezing import cut, freeze, head, lower, upper

    model = build(name)
    pictures = some_pictures(model)
    wanted = model(pictures, training=False).numpy()
    # Two answers, so that the parts cannot agree by ignoring the picture.
    assert np.abs(wanted[0] - wanted[1]).max() > 1e-5
    for fine_tune_at in {0, BACKBONES[name].fine_tune_at, len(model.layers) - 6}:
        place = cut(model, fine_tune_at)
        freeze(model, fine_tune_at)
        below = lower(model, place)
        kept, features = below(pictures, training=False)
        above = upper(model, place)
        np.testing.assert_allclose(above(kept, training=False), wanted, atol=1e-6, err_msg=place)
        np.testing.assert_allclose(head(model)(features, training=False), wanted, atol=1e-6)
        assert [w.name for w in above.trainable_weights] == [w.name for w in model.trainable_weights]
        up_to_cut = type(model)(model.input, model.get_layer(place).output)
        assert not up_to_cut.trainable_weights


def test_what_the_upper_part_learns_the_model_knows(build):
    from trainer.freezing import cut, freeze, lower, upper

    model = build("small_cnn")
    freeze(model, 2)
    place = cut(model, 2)
    above = upper(model, place)
    pictures = np.random.default_rng(0).uniform(-1, 1, (8, 28, 28, 3)).astype(np.float32)
    kept = lower(model, place)(pictures, training=False)[0]
    before = model(pictures, training=False).numpy()
    above.compile("adam", "sparse_categorical_crossentropy")
    above.fit(kept, np.zeros(8, np.int32), epochs=2, verbose=0)
    after = model(pictures, training=False).numpy()
    assert (after[:, 0] > before[:, 0]).all()
    np.testing.assert_allclose(above(kept, training=False), after, atol=1e-6)
