"""Loads a model into whichever TFLite interpreter the device has, and runs it."""

import importlib
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

import numpy as np

from edge_runtime.errors import InterpreterError

LIBRARIES = {
    "ai_edge_litert": ("ai_edge_litert.interpreter", "ai-edge-litert"),
    "tflite_runtime": ("tflite_runtime.interpreter", "tflite-runtime"),
}
"""Name to (module with Interpreter, distribution), in the order they are tried: LiteRT is the one kept up."""


@dataclass(frozen=True)
class TensorSpec:
    """What the model says of its input or output."""

    shape: tuple[int, ...]
    dtype: np.dtype
    scale: float
    """Real value = (stored value - zero_point) * scale; 0.0 where the tensor is float."""
    zero_point: int


class Interpreter:
    """One model in one interpreter, with one input and one output."""

    def __init__(self, path: Path, threads: int, library: str | None = None):
        """Loads the model.

        Args:
            path: A TFLite model; anything after the flatbuffer is ignored.
            threads: How many threads one invoke may use.
            library: A key of LIBRARIES; None takes the first that is installed.

        Raises:
            InterpreterError: If no interpreter is installed or the model cannot be loaded by it.
        """
        self.library, module = _load_library(library)
        self.version = metadata.version(LIBRARIES[self.library][1])
        self.threads = threads
        try:
            self._interpreter = module.Interpreter(model_path=str(path), num_threads=threads)
            self._interpreter.allocate_tensors()
        # SystemError is what tflite-runtime 2.14.0 raises under NumPy 2.
        except (ValueError, RuntimeError, SystemError) as problem:
            raise InterpreterError(
                f"{self.library} {self.version} cannot load {path}: "
                f"{str(problem).strip() or type(problem).__name__}",
                "export the model again; with tflite-runtime, NumPy must be below 2: pip install 'numpy<2'",
            ) from problem
        inputs, outputs = self._interpreter.get_input_details(), self._interpreter.get_output_details()
        if len(inputs) != 1 or len(outputs) != 1:
            raise InterpreterError(
                f"{path} has {len(inputs)} inputs and {len(outputs)} outputs, expected one of each",
                "litelens runs image classifiers",
            )
        self.input, self.output = _spec(inputs[0]), _spec(outputs[0])
        self._input_index, self._output_index = inputs[0]["index"], outputs[0]["index"]

    def invoke(self, picture: np.ndarray) -> np.ndarray:
        """Runs the model once on an array of the input's shape and dtype; returns a copy of its output."""
        self._interpreter.set_tensor(self._input_index, picture)
        self._interpreter.invoke()
        return self._interpreter.get_tensor(self._output_index)


def _load_library(wanted: str | None):
    for name, (module, _) in LIBRARIES.items():
        if wanted in (None, name) and (loaded := _import(module)) is not None:
            return name, loaded
    raise InterpreterError(
        f"no TFLite interpreter is installed; looked for {wanted or ', '.join(LIBRARIES)}",
        "pip install ai-edge-litert",
    )


def _import(module: str):
    try:
        return importlib.import_module(module)
    except ImportError:
        return None


def _spec(details: dict) -> TensorSpec:
    scale, zero_point = details["quantization"]
    return TensorSpec(
        tuple(int(n) for n in details["shape"]), np.dtype(details["dtype"]), float(scale), int(zero_point)
    )
