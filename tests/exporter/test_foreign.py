"""Models as other people save them: by Keras 2 and 3, as SavedModel, as .tflite; and what is none of ours."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from edge_runtime.errors import DataError, ForeignModelError
from exporter.normalisation import MINUS_ONE_TO_ONE, Normalisation

pytestmark = pytest.mark.slow  # imports TensorFlow

LABELS = ("blue", "green", "red")
KERAS_3 = "Keras 3 saved it, and tensorflow-model-optimization quantizes Keras 2"
SAVED_MODEL = "a SavedModel has no Keras layers to train further"
TFLITE = "a .tflite cannot be trained further"


def keras_of(version: int):
    """Keras 2 or 3, both beside each other, as load_foreign has them."""
    from trainer.legacy_keras import tf

    if version == 2:
        return tf.keras
    import keras

    return keras


def classifier(version: int, shape=(8, 8, 3), outputs: int = 3, activation: str | None = "softmax"):
    """Random weights, large enough for logits that are no probabilities."""
    layers = keras_of(version).layers
    image = keras_of(version).Input(shape)
    x = layers.Conv2D(4, 3, padding="same", use_bias=False)(image)
    x = layers.GlobalAveragePooling2D()(layers.ReLU()(layers.BatchNormalization()(x)))
    return keras_of(version).Model(image, layers.Dense(outputs, activation=activation)(x))


def with_two_inputs(version: int):
    layers = keras_of(version).layers
    images = [keras_of(version).Input((8, 8, 3)) for _ in range(2)]
    x = layers.GlobalAveragePooling2D()(layers.Add()(images))
    return keras_of(version).Model(images, layers.Dense(3, activation="softmax")(x))


def with_two_outputs(version: int):
    layers = keras_of(version).layers
    image = keras_of(version).Input((8, 8, 3))
    x = layers.GlobalAveragePooling2D()(image)
    return keras_of(version).Model(image, [layers.Dense(3)(x), layers.Dense(3)(x)])


def with_a_layer_of_its_own(version: int):
    layers = keras_of(version).layers

    class Own(layers.Layer):
        def call(self, x):
            return x * 2

    image = keras_of(version).Input((8, 8, 3))
    return keras_of(version).Model(image, layers.Dense(3)(layers.GlobalAveragePooling2D()(Own()(image))))


def save(version: int, path: Path, model) -> Path:
    """As a Keras file, or as the SavedModel that this Keras writes for serving."""
    if path.suffix or version == 2:
        model.save(path)
    else:
        model.export(path, verbose=False)
    return path


def converted(path: Path, model, **settings) -> Path:
    """By TensorFlow's converter as its guide shows it: the batch stays open."""
    from trainer.legacy_keras import tf

    converter = tf.lite.TFLiteConverter.from_keras_model(model)
    for name, value in settings.items():
        setattr(converter, name, value)
    path.write_bytes(converter.convert())
    return path


def quantized(path: Path, model, *, edges: str = "float32") -> Path:
    from trainer.legacy_keras import tf

    pictures = np.random.default_rng(0).uniform(-1, 1, (10, 1, 8, 8, 3)).astype(np.float32)
    return converted(
        path,
        model,
        optimizations=[tf.lite.Optimize.DEFAULT],
        representative_dataset=lambda: ([picture] for picture in pictures),
        inference_input_type=getattr(tf, edges),
        inference_output_type=getattr(tf, edges),
    )


def damaged(path: Path) -> Path:
    """Forty bytes of it are others."""
    content = bytearray(path.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 40] = bytes(byte ^ 0x55 for byte in content[middle : middle + 40])
    path.write_bytes(content)
    return path


def written(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


@pytest.mark.parametrize(
    "make, no_training",
    [
        pytest.param(lambda folder: save(2, folder / "m.keras", classifier(2)), "", id="Keras 2 .keras"),
        pytest.param(lambda folder: save(2, folder / "m.h5", classifier(2)), "", id="Keras 2 .h5"),
        pytest.param(lambda folder: save(3, folder / "m.keras", classifier(3)), KERAS_3, id="Keras 3 .keras"),
        pytest.param(lambda folder: save(3, folder / "m.h5", classifier(3)), KERAS_3, id="Keras 3 .h5"),
        pytest.param(lambda folder: save(2, folder / "saved", classifier(2)), SAVED_MODEL, id="Keras 2 folder"),
        pytest.param(lambda folder: save(3, folder / "saved", classifier(3)), SAVED_MODEL, id="Keras 3 folder"),
        pytest.param(lambda folder: converted(folder / "m.tflite", classifier(2)), TFLITE, id=".tflite"),
    ],
)  # fmt: skip
def test_every_kind_becomes_one_kind_of_tflite(tmp_path, frames, raw_answers, make, no_training):
    from ai_edge_litert.interpreter import Interpreter

    from exporter.foreign import load_foreign, with_probabilities
    from exporter.post_training import to_int8

    path = make(tmp_path)
    model = load_foreign(path)
    assert (model.size, model.classes, model.no_training) == ((8, 8), 3, no_training)
    assert (model.keras is None) == bool(no_training)
    interpreter = Interpreter(model_content=model.tflite)
    for details in interpreter.get_input_details() + interpreter.get_output_details():
        assert details["shape"].tolist() == details["shape_signature"].tolist()
    pictures = MINUS_ONE_TO_ONE(frames)
    answers = raw_answers(model.tflite, pictures)
    assert with_probabilities(path, model.tflite, pictures) == (model.tflite, False)
    if model.keras is not None:
        np.testing.assert_allclose(model.keras(pictures, training=False), answers, atol=1e-5)
    # What was loaded can be quantized: litert-quantizer asks for a signature.
    int8 = to_int8(model.tflite, frames, MINUS_ONE_TO_ONE, per_tensor_dense=False)
    shifted = (frames.astype(np.int16) - 128).astype(np.int8)
    np.testing.assert_allclose((raw_answers(int8, shifted) + 128.0) / 256, answers, atol=0.03)


@pytest.mark.parametrize(
    "make, says",
    [
        (lambda folder: folder / "absent.keras", "nothing is there"),
        (lambda folder: folder / "absent.tflite", "nothing is there"),
        (lambda folder: folder, "something else is there"),
        (lambda folder: written(folder / "m.txt", b"a text"), "something else is there"),
        (lambda folder: written(folder / "m.keras", b""), "neither by Keras 2 .* nor by Keras 3"),
        (lambda folder: written(folder / "m.h5", b"a text"), "neither by Keras 2 .* nor by Keras 3"),
        (lambda folder: damaged(save(2, folder / "m.keras", classifier(2))), "neither by Keras 2 .*CRC"),
        (lambda folder: damaged(save(3, folder / "m.keras", classifier(3))), "neither by Keras 2 .*CRC"),
        (lambda folder: save(2, folder / "m.keras", with_a_layer_of_its_own(2)), "neither by Keras 2"),
        (lambda folder: save(3, folder / "m.keras", with_a_layer_of_its_own(3)), "neither by Keras 2"),
        (lambda folder: written(folder / "m.tflite", b""), "cannot be loaded"),
        (lambda folder: written(folder / "m.tflite", b"a text" * 100), "cannot be loaded"),
        (lambda folder: quantized(folder / "m.tflite", classifier(2), edges="uint8"), "takes uint8 and gives"),
        (lambda folder: quantized(folder / "m.tflite", classifier(2)), "has int8 inside"),
        (lambda folder: save(2, folder / "m.keras", with_two_inputs(2)), "cannot be converted"),
        (lambda folder: save(3, folder / "m.keras", with_two_inputs(3)), "cannot be converted"),
        (lambda folder: save(2, folder / "saved", with_two_inputs(2)), "cannot be converted"),
        (lambda folder: converted(folder / "m.tflite", with_two_inputs(2)), "has 2 inputs and 1 outputs"),
        (lambda folder: save(2, folder / "m.keras", with_two_outputs(2)), "has 1 inputs and 2 outputs"),
        (lambda folder: save(2, folder / "m.keras", classifier(2, (8, 8, 1))), r"takes shape \(1, 8, 8, 1\)"),
        (lambda folder: save(2, folder / "m.keras", classifier(2, (None, None, 3))), "of a fixed size"),
        (lambda folder: save(3, folder / "saved", classifier(3, (None, 8, 3))), "of a fixed size"),
        (lambda folder: converted(folder / "m.tflite", classifier(2, (8, None, 3))), "of a fixed size"),
        (lambda folder: save(2, folder / "m.keras", classifier(2, outputs=1)), "at least 2 classes"),
    ],
)  # fmt: skip
def test_what_is_no_image_classifier_is_refused_by_name_and_with_a_hint(tmp_path, make, says):
    from exporter.foreign import load_foreign

    path = make(tmp_path)
    with pytest.raises(ForeignModelError, match=says) as caught:
        load_foreign(path)
    assert str(path) in str(caught.value) and len(caught.value.hint) > 10
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "name, why", [("without", "no signature serving_default"), ("damaged", "Cannot parse")]
)
def test_a_saved_model_that_cannot_be_served_is_an_instruction(tmp_path, name, why):
    from exporter.foreign import load_foreign
    from trainer.legacy_keras import tf

    if name == "without":
        tf.saved_model.save(tf.Module(), str(tmp_path / name))
    else:
        (tmp_path / name).mkdir()
        (tmp_path / name / "saved_model.pb").write_bytes(b"garbage")
    with pytest.raises(ForeignModelError, match=why) as caught:
        load_foreign(tmp_path / name)
    assert str(tmp_path / name) in str(caught.value) and caught.value.hint


@pytest.mark.parametrize("quantize", ["to_float16", "to_dynamic_range"])
def test_a_smaller_tflite_is_refused(tmp_path, tiny_float, quantize):
    from exporter import post_training
    from exporter.foreign import load_foreign

    path = written(tmp_path / "m.tflite", getattr(post_training, quantize)(tiny_float))
    with pytest.raises(ForeignModelError, match=f"{path} has (float16|int8) inside"):
        load_foreign(path)


@pytest.fixture
def data(tmp_path, coloured):
    """Five noisy pictures of each colour, in class folders that are not split."""
    folder = tmp_path / "pictures"
    random = np.random.default_rng(0)
    for label in LABELS:
        (folder / label).mkdir(parents=True)
        for number in range(5):
            noise = random.integers(0, 60, (20, 24, 3))
            picture = np.clip(coloured(label, (20, 24)).astype(int) // 2 + noise, 0, 255)
            Image.fromarray(picture.astype(np.uint8)).save(folder / label / f"{number}.png")
    return folder


@pytest.fixture
def labels_file(tmp_path):
    (tmp_path / "labels.txt").write_text("\n".join(LABELS) + "\n")
    return tmp_path / "labels.txt"


@pytest.fixture
def tiny_path(tmp_path, tiny_float):
    return written(tmp_path / "tiny_float.tflite", tiny_float)


BYTES_AS_FLOATS = Normalisation(0, 1)


def test_a_tflite_with_pictures_is_ready_to_be_exported(
    tiny_path, tiny_float, labels_file, data, raw_answers
):
    from exporter.float_model import from_foreign

    found = from_foreign(tiny_path, labels_file, data, BYTES_AS_FLOATS)
    assert (found.labels, found.size, found.resize) == (LABELS, (8, 8), "centre-crop")
    assert (found.keras, found.no_training, found.notes) == (None, TFLITE, ())
    assert {split: len(pictures) for split, pictures in found.splits.items()} == {
        "train": 9,
        "validation": 3,
        "test": 3,
    }
    assert found.held_back == "test" and found.cache_folder is None
    assert found.config == {"from": "tiny_float.tflite", "data": "pictures", "mean": 0, "std": 1}
    pictures = found.load_pictures("test")
    answers = raw_answers(found.to_tflite(), BYTES_AS_FLOATS(pictures))
    assert answers.argmax(axis=1).tolist() == [picture.class_id for picture in found.splits["test"]]
    np.testing.assert_array_equal(found.load_pictures("test", [2, 0]), pictures[[2, 0]])
    np.testing.assert_array_equal(answers, raw_answers(tiny_float, BYTES_AS_FLOATS(pictures)))


def test_labels_are_in_the_models_order_and_not_the_folders(tiny_path, tmp_path, data, labels_file):
    from exporter.float_model import from_foreign

    labels_file.write_bytes("\ufeffred\r\ngreen\r\nblue".encode())  # as an editor on Windows leaves it
    found = from_foreign(tiny_path, labels_file, data, BYTES_AS_FLOATS)
    assert found.labels == ("red", "green", "blue")
    for pictures in found.splits.values():
        assert all(found.labels[picture.class_id] == picture.path.parent.name for picture in pictures)


def test_logits_get_a_softmax_and_it_is_said(tmp_path, labels_file, data, raw_answers):
    from exporter.float_model import from_foreign

    model = classifier(2, activation=None)
    *_, dense = model.layers
    dense.set_weights([weights * 20 for weights in dense.get_weights()])
    found = from_foreign(save(2, tmp_path / "m.keras", model), labels_file, data, MINUS_ONE_TO_ONE)
    assert found.notes == ("The model gave logits: a softmax was put behind them.",)
    assert found.keras is None and "logits" in found.no_training
    pictures = MINUS_ONE_TO_ONE(found.load_pictures("test"))
    logits = model(pictures, training=False).numpy().astype(np.float64)
    assert logits.min() < 0 or logits.max() > 1.001, "no logits"
    wanted = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(raw_answers(found.to_tflite(), pictures), wanted, atol=1e-5)


def test_a_keras_2_model_can_be_trained_further_and_answers_the_same(
    tmp_path, labels_file, data, raw_answers
):
    from exporter.float_model import from_foreign

    path = save(2, tmp_path / "m.keras", classifier(2))
    found = from_foreign(path, labels_file, data, MINUS_ONE_TO_ONE)
    assert found.no_training == "" and found.notes == ()
    pictures = MINUS_ONE_TO_ONE(found.load_pictures("test"))
    np.testing.assert_allclose(
        found.keras(pictures, training=False), raw_answers(found.to_tflite(), pictures), atol=1e-5
    )


@pytest.mark.parametrize(
    "activation, bias, says",
    [
        ("sigmoid", (0, 0, 0), "gives scores from 0 to 1 that sum to"),
        ("softmax", (float("nan"), 0, 0), "answers with nan, expected finite numbers"),
    ],
)
def test_answers_that_are_not_of_one_label_are_refused(tmp_path, labels_file, data, activation, bias, says):
    from exporter.float_model import from_foreign

    model = classifier(2, activation=activation)
    *_, dense = model.layers
    dense.set_weights([dense.get_weights()[0], np.array(bias)])
    path = save(2, tmp_path / "m.keras", model)
    with pytest.raises(ForeignModelError, match=says) as caught:
        from_foreign(path, labels_file, data, MINUS_ONE_TO_ONE)
    assert str(path) in str(caught.value) and caught.value.hint


def absent_labels(labels: Path, data: Path) -> None:
    labels.unlink()


def labels_are(content: bytes):
    return lambda labels, data: labels.write_bytes(content)


def other_folder(labels: Path, data: Path) -> None:
    (data / "red").rename(data / "rot")


def no_folder(labels: Path, data: Path) -> None:
    shutil.rmtree(data)


def one_class_less(labels: Path, data: Path) -> None:
    shutil.rmtree(data / "red")


def split_without_a_class(labels: Path, data: Path) -> None:
    """train and validation as litelens reads them, and red in neither."""
    for split in ("train", "validation"):
        for label in LABELS[:2]:
            shutil.copytree(data / label, data / split / label)
    for label in LABELS:
        shutil.rmtree(data / label)


@pytest.mark.parametrize(
    "change, error, names, says",
    [
        (absent_labels, ForeignModelError, "labels", "cannot read the labels"),
        (labels_are(b"\xff\xfe\x00"), ForeignModelError, "labels", "cannot read the labels"),
        (labels_are(b""), ForeignModelError, "labels", "empty or repeated lines"),
        (labels_are(b"blue\n\ngreen\n"), ForeignModelError, "labels", "empty or repeated lines"),
        (labels_are(b"blue\ngreen\nred\n\n"), ForeignModelError, "labels", "empty or repeated lines"),
        (labels_are(b"blue\nred\nred\n"), ForeignModelError, "labels", "empty or repeated lines"),
        (labels_are(b"blue\nred\n"), ForeignModelError, "labels", "has 3 outputs, .* has 2 labels"),
        (other_folder, DataError, "data", "class folder rot, which is not in"),
        (no_folder, DataError, "data", "is not there"),
        (one_class_less, DataError, None, "the train split has no picture of 'red'"),
        (split_without_a_class, DataError, None, "the train split has no picture of 'red'"),
    ],
)
def test_pictures_and_labels_that_do_not_fit_the_model_are_an_instruction(
    tiny_path, labels_file, data, change, error, names, says
):
    from exporter.float_model import from_foreign

    change(labels_file, data)
    with pytest.raises(error, match=says) as caught:
        from_foreign(tiny_path, labels_file, data, BYTES_AS_FLOATS)
    assert caught.value.hint and "litelens export runs" not in caught.value.hint
    if names:
        assert str({"labels": labels_file, "data": data}[names]) in str(caught.value)
