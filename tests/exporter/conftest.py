"""What an export starts from, in a few KB, and what litert-quantizer makes of it; no TensorFlow."""

from pathlib import Path

import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter

from exporter.normalisation import Normalisation
from exporter.post_training import to_int8

BYTES_AS_FLOATS = Normalisation(0, 1)
"""What tiny_float.tflite expects."""


@pytest.fixture(scope="session")
def tiny_float() -> bytes:
    """A float32 model whose answer is the dominant colour, made by tests/make_tiny_model.py."""
    return (Path(__file__).parents[1] / "data" / "tiny_float.tflite").read_bytes()


@pytest.fixture(scope="session")
def frames(coloured) -> np.ndarray:
    """Thirty frames of the tiny models' size: coloured ones and noise, uint8."""
    noise = np.random.default_rng(0).integers(0, 256, (27, 8, 8, 3), np.uint8)
    return np.concatenate([[coloured(label, (8, 8)) for label in ("blue", "green", "red")], noise])


@pytest.fixture(scope="session")
def tiny_int8(tiny_float, frames) -> bytes:
    """The tiny float model in int8, as litert-quantizer writes it: int8 in, int8 out."""
    return to_int8(tiny_float, frames, BYTES_AS_FLOATS, per_tensor_dense=False)


@pytest.fixture(scope="session")
def raw_answers():
    """Runs a model on pictures of its input's type and returns what its output holds."""

    def run(model: bytes, pictures: np.ndarray) -> np.ndarray:
        interpreter = Interpreter(model_content=model)
        interpreter.allocate_tensors()
        given, answer = interpreter.get_input_details()[0], interpreter.get_output_details()[0]
        answers = []
        for picture in pictures:
            interpreter.set_tensor(given["index"], picture[np.newaxis])
            interpreter.invoke()
            answers.append(interpreter.get_tensor(answer["index"])[0])
        return np.array(answers)

    return run
