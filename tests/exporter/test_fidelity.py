"""What was trained and what is written are one model; dead channels part them (stack.md, trap 0)."""

import re
from pathlib import Path

import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter

from edge_runtime.errors import FidelityError

pytestmark = pytest.mark.slow

SHARED = Path(__file__).parents[3] / "shared"
IMAGENET = SHARED / "weights" / "mobilenet_v2_weights_tf_dim_ordering_tf_kernels_0.35_128_no_top.h5"
CATS_DOGS = SHARED / "data" / "cats_dogs" / "train"


def convert(model, pictures):
    """(the quantization-aware model, its .tflite), ranges calibrated and nothing trained."""
    from exporter.conversion import to_int8_by_qat
    from exporter.quantization_aware import quantization_aware

    quantized = quantization_aware(model, pictures, epochs=0, batch_size=32, seed=0)
    return quantized, to_int8_by_qat(quantized)


def check_before_and_after_settling(model, pictures):
    """(how many channels were dead, the error before, the fidelity after)."""
    from exporter.dead_channels import settle_dead_channels
    from exporter.fidelity import check_fidelity

    with pytest.raises(FidelityError) as raised:
        check_fidelity(*convert(model, pictures), pictures)
    settled = settle_dead_channels(model)
    fidelity = check_fidelity(*convert(model, pictures), pictures)
    print(f"{settled} dead channels\nbefore: {raised.value}\nafter: {fidelity}")
    return settled, raised.value, fidelity


def cosine_in(error: FidelityError) -> float:
    return float(re.search(r"features have a cosine of (-?[\d.]+)", str(error))[1])


@pytest.fixture
def dead_net(small_net):
    """The small network, in which four channels of both convolutions are dead as ImageNet training leaves them."""
    model = small_net()
    for name in ("stem", "project"):
        convolution, norm = model.get_layer(name), model.get_layer(f"{name}_norm")
        (kernel,) = convolution.get_weights()
        kernel[..., :4] *= 1e-20
        convolution.set_weights([kernel])
        gamma, beta, mean, variance = norm.get_weights()
        gamma[:4], beta[:4], mean[:4], variance[:4] = 0.01, [1.5, 2.5, 1.0, 3.0], 1e-19, 1e-36
        norm.set_weights([gamma, beta, mean, variance])
    return model


def test_dead_channels_are_caught_and_settling_mends_them(dead_net, small_pictures):
    settled, error, fidelity = check_before_and_after_settling(dead_net, small_pictures)
    assert settled == 8
    # The first layer already lost its constants.
    assert "they part at the layer stem_relu" in str(error) and "stem_relu" in error.hint
    assert cosine_in(error) < 0.3
    assert fidelity.agreement == 1 and fidelity.feature_cosine > 0.999


@pytest.mark.soak
@pytest.mark.skipif(
    not (IMAGENET.is_file() and CATS_DOGS.is_dir()), reason="no ImageNet weights or cats_dogs in ../shared"
)
def test_imagenets_dead_channels_are_caught_and_settling_mends_them():
    from exporter.normalisation import MINUS_ONE_TO_ONE
    from trainer.backbone import FEATURES, build_model
    from trainer.dataset import LabelledPicture, load_arrays
    from trainer.legacy_keras import tf

    found = [
        LabelledPicture(path, class_id)
        for class_id, label in enumerate(("cats", "dogs"))
        for path in sorted((CATS_DOGS / label).iterdir())[:100]
    ]
    pictures, class_ids = load_arrays(found, (128, 128))
    model = build_model(2, backbone="mobilenet_v2", size=128, alpha=0.35, weights=str(IMAGENET))
    features = tf.keras.Model(model.input, model.get_layer(FEATURES).output)(MINUS_ONE_TO_ONE(pictures))
    head = tf.keras.Sequential([tf.keras.Input(features.shape[1:]), model.get_layer("probabilities")])
    head.compile(tf.keras.optimizers.Adam(1e-3), "sparse_categorical_crossentropy")
    head.fit(features, class_ids, epochs=30, verbose=0)

    settled, error, fidelity = check_before_and_after_settling(model, pictures)
    assert settled == 14
    # These 200 pictures gave 82.5 % and a cosine of 0.490 before, 100 % and 0.992 after.
    assert "they part at the layer block_1_expand_relu" in str(error)
    assert cosine_in(error) < 0.7
    assert fidelity.agreement >= 0.99 and fidelity.feature_cosine > 0.985


@pytest.fixture(scope="module")
def other_head(small_net, small_pictures):
    """A quantization-aware model whose head was changed after its .tflite was made: features alike, answers not.

    With them [a picture that both answer alike, one that they do not, one that Keras is torn over].
    """
    from exporter.normalisation import MINUS_ONE_TO_ONE

    quantized, model = convert(small_net(), small_pictures)
    interpreter = Interpreter(model_content=model)
    interpreter.allocate_tensors()
    given, answer = interpreter.get_input_details()[0]["index"], interpreter.get_output_details()[0]["index"]
    answers = []
    for picture in small_pictures:
        interpreter.set_tensor(given, picture[np.newaxis])
        interpreter.invoke()
        answers.append(int(interpreter.get_tensor(answer)[0].argmax()))
    bias = next(w for w in quantized.get_layer("quant_probabilities").weights if "bias" in w.name)
    bias.assign_add([0.5, 0, 0, 0])
    wanted = quantized(MINUS_ONE_TO_ONE(small_pictures)).numpy()
    behind = wanted.max(axis=1) - wanted[np.arange(64), answers]
    kinds = [np.flatnonzero(kind)[0] for kind in (behind == 0, behind > 0.12, (behind > 0) & (behind < 0.08))]
    return quantized, model, small_pictures[kinds]


@pytest.mark.parametrize(
    "alike, different, torn, agreement",
    [
        (20, 0, 0, 1.0),
        (10, 0, 10, 1.0),  # rounding turns a tie about
        (19, 1, 0, 0.95),  # one picture of fewer than a hundred is more than 1 %, and proves nothing
        (18, 2, 0, None),
        (198, 2, 0, 0.99),
        (197, 3, 0, None),
    ],
)
def test_other_answers_are_an_error_ties_are_not(other_head, alike, different, torn, agreement):
    from exporter.fidelity import check_fidelity

    quantized, model, kinds = other_head
    pictures = kinds.repeat([alike, different, torn], axis=0)
    if agreement is None:
        with pytest.raises(FidelityError, match="give the same answer on 9.*they part at the layer"):
            check_fidelity(quantized, model, pictures)
    else:
        assert check_fidelity(quantized, model, pictures).agreement == pytest.approx(agreement)
