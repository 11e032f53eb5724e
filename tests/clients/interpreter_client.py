"""What a program with only a TFLite interpreter and NumPy does: MODULE MODEL.tflite INPUTS.npy to JSON.

Run by test_interpreters.py with the python of a client's own environment; nothing of litelens is there.
"""

import importlib
import json
import sys
import zipfile

import numpy as np


def main(module: str, model: str, inputs: str) -> None:
    interpreter = importlib.import_module(module).Interpreter(model)
    interpreter.allocate_tensors()
    (given,), (answer,) = interpreter.get_input_details(), interpreter.get_output_details()

    def invoke(picture: np.ndarray) -> list[int]:
        interpreter.set_tensor(given["index"], picture[np.newaxis])
        interpreter.invoke()
        return interpreter.get_tensor(answer["index"])[0].tolist()

    with zipfile.ZipFile(model) as archive:
        vectors = json.loads(archive.read("litelens.json"))["selftest"]
    size = given["shape"][1:3]
    facts = {
        "dtypes": [np.dtype(given["dtype"]).name, np.dtype(answer["dtype"]).name],
        "outputs": [invoke(picture) for picture in np.load(inputs)],
        "selftest": [invoke(made_by_arithmetic(vector["coefficients"], size)) for vector in vectors],
    }
    print(json.dumps(facts))


def made_by_arithmetic(coefficients: list[int], size: tuple[int, int]) -> np.ndarray:
    """As docs/model-file.md says it: pixel (y, x, channel) is (y * a + x * b + channel * c) mod 256."""
    y, x, channel = np.ogrid[: size[0], : size[1], :3]
    a, b, c = coefficients
    return ((y * a + x * b + channel * c) % 256).astype(np.uint8)


main(*sys.argv[1:])
