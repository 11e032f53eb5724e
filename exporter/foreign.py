"""Models that litelens did not train: a Keras file, a SavedModel or a float .tflite becomes one kind of .tflite."""

import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter

from edge_runtime.errors import ForeignModelError
from exporter.conversion import saved_model_to_float, to_float
from exporter.graph import TENSOR_TYPES, add_operator, add_tensor, read_graph, write_graph
from trainer.legacy_keras import tf

PROBABILITY_SLACK = 1e-3
"""How far float32 probabilities of many classes may be from summing to 1."""
EXPECTED = "expected a Keras file (.keras, .h5), a SavedModel folder or a float .tflite"

# What Keras 2 and 3 raise on files of each other, of foreign layers, and on damaged ones (h5py: RuntimeError).
_NOT_LOADED = (
    ValueError,
    OSError,
    KeyError,
    TypeError,
    AttributeError,
    ImportError,
    RuntimeError,
    zipfile.BadZipFile,
)
_QUANTIZED = ("FLOAT16", "INT4", "INT8", "UINT8", "INT16")


@dataclass(frozen=True)
class ForeignModel:
    """A model that was brought, as float32 TFLite."""

    tflite: bytes
    """One float32 input of shape (1, height, width, 3), one float32 output of shape (1, classes)."""
    size: tuple[int, int]
    """(height, width) of its input."""
    classes: int
    keras: tf.keras.Model | None
    """None if quantization-aware training cannot start from it."""
    no_training: str
    """Why `keras` is None, or ""."""


def load_foreign(path: Path) -> ForeignModel:
    """Reads an image classifier.

    Raises:
        ForeignModelError: If there is no such model, it cannot be read or converted, or it has not one float32 image
            as input and one vector as output.
    """
    if path.suffix == ".tflite" and path.is_file():
        model, keras, no_training = path.read_bytes(), None, "a .tflite cannot be trained further"
    elif (path / "saved_model.pb").is_file():
        model, keras = _convert(path, saved_model_to_float, path), None
        no_training = "a SavedModel has no Keras layers to train further"
    elif path.suffix in (".keras", ".h5") and path.is_file():
        loaded = _load_keras(path)
        model = _convert(path, to_float, loaded)
        keras = loaded if isinstance(loaded, tf.keras.Model) else None
        no_training = "" if keras else "Keras 3 saved it, and tensorflow-model-optimization quantizes Keras 2"
    else:
        raise ForeignModelError(
            f"--from {path}: {'something else' if path.exists() else 'nothing'} is there, {EXPECTED}",
            "give the path of a model",
        )
    size, classes = _check_tensors(path, model)
    return ForeignModel(_with_signature(model), size, classes, keras, no_training)


def with_probabilities(path: Path, model: bytes, pictures: np.ndarray) -> tuple[bytes, bool]:
    """Adds a softmax to a model that gives logits.

    Args:
        path: Where the model came from, for messages.
        model: Float32 TFLite.
        pictures: Normalised, float32 of shape (n, height, width, 3).

    Returns:
        (the model, whether a softmax was added).

    Raises:
        ForeignModelError: If its answers are neither probabilities nor logits of one label a picture.
    """
    interpreter = Interpreter(model_content=model)
    interpreter.allocate_tensors()
    answers = []
    for picture in pictures:
        interpreter.set_tensor(interpreter.get_input_details()[0]["index"], picture[np.newaxis])
        interpreter.invoke()
        answers.append(interpreter.get_tensor(interpreter.get_output_details()[0]["index"])[0])
    answers = np.array(answers)
    if not np.isfinite(answers).all():
        raise ForeignModelError(
            f"{path} answers with {answers[~np.isfinite(answers)][0]}, expected finite numbers",
            "check the model, --mean and --std",
        )
    if answers.min() < 0 or answers.max() > 1 + PROBABILITY_SLACK:
        return _add_softmax(model), True
    if np.abs(answers.sum(axis=1) - 1).max() > PROBABILITY_SLACK:
        raise ForeignModelError(
            f"{path} gives scores from 0 to 1 that sum to {answers.sum(axis=1)[0]:.3f}, expected probabilities of one "
            "label a picture, which sum to 1, or logits",
            "litelens exports single-label classifiers: end the model with a softmax, or with nothing",
        )
    return model, False


def _load_keras(path: Path):
    """By Keras 2, which can be quantized, and else by Keras 3."""
    try:
        return tf.keras.models.load_model(path, compile=False)
    except _NOT_LOADED as problem:
        by_keras_2 = problem
    import keras  # Keras 3, for files that Keras 2 cannot read

    try:
        return keras.models.load_model(path, compile=False)
    except _NOT_LOADED as problem:
        raise ForeignModelError(
            f"{path} can be loaded neither by Keras 2 ({first_line(by_keras_2)}) "
            f"nor by Keras 3 ({first_line(problem)})",
            "save the whole model again as .keras or as a SavedModel, without layers of your own",
        ) from problem


def _convert(path: Path, convert, *arguments) -> bytes:
    try:
        return convert(*arguments)
    # ConverterError is an Exception of TensorFlow's own; the others come from models that are no image classifiers.
    except (tf.errors.OpError, ValueError, TypeError, AttributeError, OSError, _converter_error()) as problem:
        raise ForeignModelError(
            f"{path} cannot be converted to TFLite: {first_line(problem)}",
            "litelens exports image classifiers with one input and one output",
        ) from problem


def _converter_error() -> type[Exception]:
    from tensorflow.lite.python.convert import ConverterError

    return ConverterError


def _check_tensors(path: Path, model: bytes) -> tuple[tuple[int, int], int]:
    """((height, width), classes)"""
    try:
        interpreter = Interpreter(model_content=model)
        _check_fixed_size(path, interpreter.get_input_details())
        interpreter.allocate_tensors()
    except (ValueError, RuntimeError) as problem:
        raise ForeignModelError(f"{path} cannot be loaded: {first_line(problem)}", EXPECTED) from problem
    inputs, outputs = interpreter.get_input_details(), interpreter.get_output_details()
    if len(inputs) != 1 or len(outputs) != 1:
        raise ForeignModelError(
            f"{path} has {len(inputs)} inputs and {len(outputs)} outputs, expected one of each",
            "litelens exports image classifiers",
        )
    shape, answer = inputs[0]["shape"], outputs[0]["shape"]
    if inputs[0]["dtype"] != np.float32 or outputs[0]["dtype"] != np.float32:
        raise ForeignModelError(
            f"{path} takes {inputs[0]['dtype'].__name__} and gives {outputs[0]['dtype'].__name__}, expected float32",
            "give the float model from which it was quantized",
        )
    if len(shape) != 4 or shape[0] != 1 or shape[3] != 3 or min(shape) < 1:
        raise ForeignModelError(
            f"{path} takes shape {tuple(map(int, shape))}, expected (1, height, width, 3)",
            "litelens exports classifiers of RGB pictures, channels last, of a fixed size",
        )
    if len(answer) != 2 or answer[1] < 2:
        raise ForeignModelError(
            f"{path} gives shape {tuple(map(int, answer))}, expected (1, classes) with at least 2 classes",
            "litelens exports classifiers; a single sigmoid becomes two classes with a softmax",
        )
    _check_not_quantized(path, model)
    return (int(shape[1]), int(shape[2])), int(answer[1])


def _check_fixed_size(path: Path, inputs: list[dict]) -> None:
    """Comes before the tensors get their memory: an interpreter takes an unknown height or width as 1."""
    for given in inputs:
        signature = tuple(map(int, given["shape_signature"]))
        if any(length < 1 for length in signature[1:]):
            raise ForeignModelError(
                f"{path} takes shape {signature}, expected (1, height, width, 3) of a fixed size",
                "save the model with the height and width that it was trained with",
            )


def _check_not_quantized(path: Path, model: bytes) -> None:
    """A quantized model may still take and give float32; quantized once more it would be another model."""
    for subgraph in read_graph(model).subgraphs:
        for tensor in subgraph.tensors:
            if TENSOR_TYPES[tensor.type] in _QUANTIZED:
                raise ForeignModelError(
                    f"{path} has {TENSOR_TYPES[tensor.type].lower()} inside, expected float32 throughout",
                    "give the float model from which it was quantized",
                )


def _with_signature(model: bytes) -> bytes:
    """Names the input and output, as litelens's own conversion does, and fixes the batch at one."""
    graph = read_graph(model)
    subgraph = graph.subgraphs[0]
    for tensor in subgraph.tensors:
        tensor.shapeSignature = None
    if not graph.signatureDefs:
        signature = schema.SignatureDefT()
        signature.signatureKey, signature.subgraphIndex = b"serving_default", 0
        signature.inputs = [_tensor_map(b"image", subgraph.inputs[0])]
        signature.outputs = [_tensor_map(b"output_0", subgraph.outputs[0])]
        graph.signatureDefs = [signature]
    return write_graph(graph)


def _tensor_map(name: bytes, index: int) -> schema.TensorMapT:
    entry = schema.TensorMapT()
    entry.name, entry.tensorIndex = name, int(index)
    return entry


def _add_softmax(model: bytes) -> bytes:
    graph = read_graph(model)
    subgraph = graph.subgraphs[0]
    logits = int(subgraph.outputs[0])
    probabilities = add_tensor(
        subgraph, b"probabilities", schema.TensorType.FLOAT32, subgraph.tensors[logits].shape
    )
    softmax = add_operator(graph, "SOFTMAX", 1, [logits], probabilities)
    softmax.builtinOptions.beta = 1.0
    subgraph.operators.append(softmax)
    subgraph.outputs = [probabilities]
    for signature in graph.signatureDefs:
        signature.outputs = [_tensor_map(b"output_0", probabilities)]
    return write_graph(graph)


def first_line(problem: Exception) -> str:
    """What an error of a library says first, short enough for a message."""
    return (str(problem).strip().splitlines() or [type(problem).__name__])[0][:200]
