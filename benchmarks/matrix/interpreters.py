"""The interpreters that a matrix measures, each behind the device's own Classifier."""

import importlib.util
from importlib import metadata

import numpy as np

from benchmarks.matrix.candidates import Candidate
from benchmarks.matrix.tflite_file import Normalisation
from edge_runtime.classifier import Classifier
from edge_runtime.errors import InterpreterError
from edge_runtime.interpreter import LIBRARIES, Interpreter, TensorSpec

COMPILED_MODEL = "compiled_model"
INTERPRETERS = {
    "ai_edge_litert": LIBRARIES["ai_edge_litert"],
    COMPILED_MODEL: ("ai_edge_litert.compiled_model", "ai-edge-litert"),
    "tflite_runtime": LIBRARIES["tflite_runtime"],
}
"""Name to (module, distribution): those of edge_runtime.interpreter, and LiteRT's newer interface."""

UNKNOWN = Normalisation((127.5,), (127.5,))
"""Stands in where a float model's normalisation is unknown: the time does not depend on it."""


def install_command(name: str) -> str:
    """What installs an interpreter; "" where it is installed."""
    module, distribution = INTERPRETERS[name]
    try:
        found = importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:
        found = False
    return "" if found else f"pip install --upgrade {distribution}"


def version(name: str) -> str:
    """Of an installed interpreter's distribution."""
    return metadata.version(INTERPRETERS[name][1])


def matrix_classifier(candidate: Candidate, name: str, threads: int) -> Classifier:
    """The device's Classifier, on an interpreter that the device does not use or a model that it does not take.

    Args:
        candidate: Any of a matrix's.
        name: A key of INTERPRETERS.
        threads: How many threads one invoke may use.

    Raises:
        ModelFileError: If the labels do not fit the output.
        InterpreterError: If the interpreter refuses the model.
    """
    path = candidate.model_file.path
    loaded = Interpreter(path, threads, "ai_edge_litert" if name == COMPILED_MODEL else name)
    if name == COMPILED_MODEL:
        loaded = CompiledModel(path, loaded)
    if loaded.input.dtype != np.uint8:
        loaded = TakesBytes(loaded, candidate.normalisation or UNKNOWN)
    return Classifier(candidate.model_file, interpreter=loaded)


class CompiledModel:
    """LiteRT's CompiledModel in the place of its Interpreter."""

    def __init__(self, path, interpreter: Interpreter):
        """Loads the model once more.

        Args:
            path: The model.
            interpreter: The same model in LiteRT's Interpreter: CompiledModel does not tell scales and zero points.

        Raises:
            InterpreterError: If it cannot load the model, or is too old to be given a number of threads.
        """
        self.library, self.version, self.threads = COMPILED_MODEL, interpreter.version, interpreter.threads
        self.input, self.output = interpreter.input, interpreter.output
        try:
            module = importlib.import_module(INTERPRETERS[COMPILED_MODEL][0])
            options = module.Options(cpu_options=module.CpuOptions(num_threads=self.threads))
            self._content = path.read_bytes()  # kept: it is not copied
            self._model = module.CompiledModel.from_buffer(self._content, options=options)
            self._inputs, self._outputs = (
                self._model.create_input_buffers(0),
                self._model.create_output_buffers(0),
            )
        except (AttributeError, TypeError, ImportError) as problem:
            raise InterpreterError(
                f"ai-edge-litert {self.version} has no CompiledModel that is given a number of threads: {problem}",
                "pip install --upgrade ai-edge-litert",
            ) from problem
        except (ValueError, RuntimeError, OSError) as problem:
            raise InterpreterError(
                f"CompiledModel {self.version} cannot load {path}: {' '.join(str(problem).split())}",
                "measure it with the other interpreters: --interpreter ai_edge_litert",
            ) from problem
        self._memory = np.zeros(self.input.shape, self.input.dtype)

    def input_memory(self) -> np.ndarray:
        """What `invoke` hands over, to be written to."""
        return self._memory

    def invoke(self, picture: np.ndarray | None = None) -> np.ndarray:
        """As edge_runtime.interpreter.Interpreter's."""
        try:
            self._inputs[0].write(self._memory if picture is None else picture)
            self._model.run_by_index(0, self._inputs, self._outputs)
            answer = self._outputs[0].read(int(np.prod(self.output.shape)), self.output.dtype)
        except (ValueError, RuntimeError) as problem:
            raise InterpreterError(
                f"CompiledModel {self.version} cannot run the model: {' '.join(str(problem).split())}",
                "measure it with the other interpreters: --interpreter ai_edge_litert",
            ) from problem
        return answer.reshape(self.output.shape)


class TakesBytes:
    """A model that takes floats or signed bytes, behind an input of a camera's bytes."""

    def __init__(self, interpreter: Interpreter | CompiledModel, normalisation: Normalisation):
        """Takes an interpreter and what its model's input stands for."""
        self._inner = interpreter
        self.library, self.version, self.threads = (
            interpreter.library,
            interpreter.version,
            interpreter.threads,
        )
        inner = interpreter.input
        self.input = TensorSpec(inner.shape, np.dtype(np.uint8), 0.0, 0)
        self.output = interpreter.output
        # (pixel - mean) / std, and of an integer input that by its scale, in one multiplication and one addition.
        step = np.array(normalisation.std, np.float32) * (inner.scale or 1.0)
        self._factor = np.float32(1) / step
        self._offset = inner.zero_point - np.array(normalisation.mean, np.float32) / step
        self._memory = np.zeros(inner.shape, np.uint8)
        self._floats = np.zeros(inner.shape, np.float32)

    def input_memory(self) -> np.ndarray:
        """The bytes, to be written to."""
        return self._memory

    def invoke(self, picture: np.ndarray | None = None) -> np.ndarray:
        """As edge_runtime.interpreter.Interpreter's."""
        self._fill(self._memory if picture is None else picture)
        return self._inner.invoke()

    def _fill(self, picture: np.ndarray) -> None:
        memory = self._inner.input_memory()
        floats = memory if memory.dtype == np.float32 else self._floats
        np.multiply(picture, self._factor, out=floats)
        np.add(floats, self._offset, out=floats)
        if floats is not memory:
            limits = np.iinfo(memory.dtype)
            np.clip(np.floor(floats + 0.5), limits.min, limits.max, out=memory, casting="unsafe")
