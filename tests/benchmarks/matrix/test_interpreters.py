"""In one process: LiteRT's two interfaces bear each other. All three interpreters side by side are in test_cli.py."""

import numpy as np
import pytest

from benchmarks.matrix.candidates import find_candidates
from benchmarks.matrix.interpreters import COMPILED_MODEL, TakesBytes, install_command, matrix_classifier
from benchmarks.matrix.tflite_file import Normalisation
from edge_runtime.classifier import Classifier
from edge_runtime.errors import InterpreterError, ModelFileError
from edge_runtime.interpreter import TensorSpec

pytest.importorskip("ai_edge_litert.compiled_model", reason="needs ai-edge-litert 2 or later")


@pytest.fixture(params=["ai_edge_litert", COMPILED_MODEL])
def interpreter(request) -> str:
    return request.param


def test_the_device_s_model_answers_as_on_the_device(tiny, interpreter):
    (candidate,) = find_candidates([tiny])
    frames = np.random.default_rng(0).integers(0, 256, (5, 48, 64, 3), dtype=np.uint8)
    here, there = matrix_classifier(candidate, interpreter, 2), Classifier(tiny, 2)
    assert [here.classify(frame) for frame in frames] == [there.classify(frame) for frame in frames]
    assert here.interpreter.threads == 2 and here.interpreter.version
    assert here.selftest().passed


def test_a_float_model_answers(run_folder, coloured, interpreter):
    (candidate,) = find_candidates([run_folder])
    classifier = matrix_classifier(candidate, interpreter, 1)
    for label in ("blue", "green", "red"):
        assert classifier.classify(coloured(label))[0].label == label


def test_a_model_without_labels_can_still_be_run(tiny_float, coloured, interpreter):
    (candidate,) = find_candidates([tiny_float])
    predictions = matrix_classifier(candidate, interpreter, 1).classify(coloured("red"))
    assert {prediction.label for prediction in predictions} == {"0", "1", "2"}


def test_what_an_interpreter_refuses_is_an_error(damaged, interpreter):
    with pytest.raises(InterpreterError, match=r"cannot load .*damaged\.tflite"):
        matrix_classifier(find_candidates([damaged])[0], interpreter, 1)


def test_labels_that_do_not_fit_the_output_are_an_error(run_folder, interpreter):
    (run_folder / "labels.txt").write_text("blue\ngreen\n")
    with pytest.raises(ModelFileError, match="has 2 labels, the model's output has shape"):
        matrix_classifier(find_candidates([run_folder])[0], interpreter, 1)


class Echo:
    """Stands for a model that answers with its input: only so can be seen what a model is given."""

    library, version, threads = "echo", "0", 1

    def __init__(self, dtype: type, scale: float, zero_point: int):
        self.input = self.output = TensorSpec((1, 1, 256, 3), np.dtype(dtype), scale, zero_point)
        self._memory = np.zeros(self.input.shape, dtype)

    def input_memory(self) -> np.ndarray:
        return self._memory

    def invoke(self) -> np.ndarray:
        return self._memory.copy()


@pytest.mark.parametrize(
    "inner, normalisation, expected",
    [
        (Echo(np.float32, 0.0, 0), Normalisation((0.0,), (1.0,)), lambda p: p),
        (Echo(np.float32, 0.0, 0), Normalisation((127.5,), (127.5,)), lambda p: p / 127.5 - 1),
        (
            Echo(np.float32, 0.0, 0),
            Normalisation((123.7, 116.3, 103.5), (58.4, 57.1, 57.4)),
            lambda p: (p - [123.7, 116.3, 103.5]) / [58.4, 57.1, 57.4],
        ),
        (
            Echo(np.int8, 1 / 127.5, -1),
            Normalisation((127.5,), (127.5,)),
            lambda p: np.floor(p - 127.5 - 1 + 0.5),
        ),
        (Echo(np.int8, 1.0, -128), Normalisation((0.0,), (1.0,)), lambda p: p - 128),
        (Echo(np.int8, 0.01, 0), Normalisation((0.0,), (1.0,)), lambda p: np.where(p > 1, 127, p * 100)),
    ],
    ids=[
        "bytes as floats",
        "-1 to 1",
        "a colour each",
        "int8, -1 to 1",
        "int8, bytes",
        "int8, beyond its range",
    ],
)
def test_bytes_become_what_the_model_takes(inner, normalisation, expected):
    pixels = np.repeat(np.arange(256, dtype=np.uint8), 3).reshape(1, 1, 256, 3)
    outer = TakesBytes(inner, normalisation)
    assert outer.input.dtype == np.uint8 and outer.input.shape == pixels.shape
    outer.input_memory()[:] = pixels
    np.testing.assert_allclose(outer.invoke(), expected(pixels.astype(float)), atol=1e-4)
    np.testing.assert_array_equal(outer.invoke(pixels), outer.invoke())


def test_what_is_not_installed_is_told_with_its_command(monkeypatch):
    from benchmarks.matrix import interpreters

    assert install_command("ai_edge_litert") == ""
    monkeypatch.setitem(interpreters.INTERPRETERS, "absent", ("absent_runtime.interpreter", "absent-runtime"))
    monkeypatch.setitem(interpreters.INTERPRETERS, "old", ("ai_edge_litert.absent", "ai-edge-litert"))
    assert install_command("absent") == "pip install --upgrade absent-runtime"
    assert install_command("old") == "pip install --upgrade ai-edge-litert"
