"""Loads a model into whichever TFLite interpreter the device has, and runs it."""

import importlib
from dataclasses import dataclass
from functools import cached_property
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


@dataclass(frozen=True)
class Delegate:
    """A shared library that runs operators of a model in the interpreter's place."""

    library: str
    """As the dynamic linker finds it: "libedgetpu.so.1"."""
    options: tuple[tuple[str, str], ...] = ()
    """Name and value, as the library defines them."""


class Interpreter:
    """One model in one interpreter, with one input and one output; for one thread at a time."""

    def __init__(
        self, path: Path, threads: int, library: str | None = None, delegate: Delegate | None = None
    ):
        """Loads the model.

        Args:
            path: A TFLite model; anything after the flatbuffer is ignored.
            threads: How many threads one invoke may use.
            library: A key of LIBRARIES; None takes the first that is installed.
            delegate: What runs the operators it can; it may abort the process, so edge_runtime.device tries it in
                another one first.

        Raises:
            InterpreterError: If no interpreter is installed, or it cannot load the model or the delegate.
        """
        self.library, module = _load_library(library)
        self.threads = threads
        delegates = [_load_delegate(module, delegate)] if delegate else None
        try:
            # Read, not mapped: a file that is written over in place would end a process that has mapped it (SIGBUS).
            self._interpreter = module.Interpreter(
                model_content=path.read_bytes(), num_threads=threads, experimental_delegates=delegates
            )
            self._interpreter.allocate_tensors()
        # SystemError is what tflite-runtime 2.14.0 raises under NumPy 2.
        except (ValueError, RuntimeError, SystemError, OSError) as problem:
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

    @cached_property
    def version(self) -> str:
        """Of the library."""
        # Here, as it takes a tenth of the time from the start of the process to the first label.
        from importlib import metadata

        return metadata.version(LIBRARIES[self.library][1])

    def input_memory(self) -> np.ndarray:
        """The input itself, to be written to. Nobody may hold it, or a part of it, when `invoke` is called."""
        return self._interpreter.tensor(self._input_index)()

    def invoke(self, picture: np.ndarray | None = None) -> np.ndarray:
        """Runs the model once.

        Args:
            picture: Of the input's shape and dtype; None: what was written to `input_memory`.

        Returns:
            A copy of the output.

        Raises:
            InterpreterError: If the model cannot be run, as when a delegate's hardware was unplugged.
        """
        if picture is not None:
            self._interpreter.set_tensor(self._input_index, picture)
        try:
            self._interpreter.invoke()
        except (ValueError, RuntimeError) as problem:
            raise InterpreterError(
                f"{self.library} {self.version} cannot run the model: {str(problem).strip()}",
                "see whether the Edge TPU is still there: litelens doctor; or run on the CPU: --device cpu",
            ) from problem
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


def _load_delegate(module, delegate: Delegate):
    try:
        return module.load_delegate(delegate.library, dict(delegate.options))
    # No such library; one that is no delegate; one that finds nothing to run on.
    except (OSError, AttributeError, ValueError) as problem:
        raise InterpreterError(
            f"cannot load the delegate {delegate.library}: {' '.join(str(problem).split())}",
            "litelens doctor says what is missing; or run on the CPU: --device cpu",
        ) from problem


def _spec(details: dict) -> TensorSpec:
    scale, zero_point = details["quantization"]
    return TensorSpec(
        tuple(int(n) for n in details["shape"]), np.dtype(details["dtype"]), float(scale), int(zero_point)
    )
