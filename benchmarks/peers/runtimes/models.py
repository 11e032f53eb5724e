"""What is compared: a model file, and the same network in floats."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.peers.runtimes.programs.settings import Settings
from benchmarks.peers.runtimes.rows import INT8, Row
from edge_runtime import Classifier
from edge_runtime.errors import LitelensError
from edge_runtime.interpreter import Interpreter


class NotTheSameModel(LitelensError):
    """The float model is no twin of the model file."""


@dataclass(frozen=True)
class Models:
    """Both, and how many threads they may use."""

    classifier: Classifier
    """The model file, loaded here: its preprocessing, and the reference that conversions are held against."""
    float_model: Path | None
    """A .tflite that takes floats."""
    threads: int

    @classmethod
    def load(cls, model: Path, float_model: Path | None, threads: int) -> "Models":
        """Looks whether they fit each other.

        Raises:
            ModelFileError: If the model file is damaged or foreign.
            InterpreterError: If the interpreter refuses one.
            NotTheSameModel: If the second takes no floats, or has other shapes than the first.
        """
        classifier = Classifier(model, threads)
        if float_model:
            twin, ours = Interpreter(float_model, threads), classifier.interpreter
            found = str(twin.input.dtype), twin.input.shape, twin.output.shape
            expected = "float32", ours.input.shape, ours.output.shape
            if found != expected:
                raise NotTheSameModel(
                    f"{float_model} takes {found[0]} of shape {found[1]} and answers with shape {found[2]}, "
                    f"expected {expected[0]}, {expected[1]} and {expected[2]}, like {model}",
                    "name the float candidate of the same run: runs/NAME/candidates/float-*.tflite",
                )
        return cls(classifier, float_model, threads)

    def path(self, kind: str) -> Path | None:
        """The .tflite of a kind: rows.INT8 or rows.FLOAT."""
        return self.classifier.model_file.path if kind == INT8 else self.float_model

    def settings(self, row: Row, path: Path) -> Settings:
        """What a row's program is told; path is the model or what was made of it."""
        given, answer = self.classifier.interpreter.input, self.classifier.interpreter.output
        return Settings(
            model=str(path.absolute()),
            labels=self.classifier.labels,
            size=self.classifier.input_size,
            input_scale=given.scale,
            input_zero_point=given.zero_point,
            output_scale=answer.scale,
            output_zero_point=answer.zero_point,
            threads=self.threads,
            resize=row.resize,
        )

    def inputs(self, frames: np.ndarray) -> np.ndarray:
        """What the model file is fed for frames: uint8, shape (frames, height, width, 3)."""
        return np.concatenate([self.classifier.preprocess(np.array(frame)) for frame in frames])

    def probabilities(self, kind: str, inputs: np.ndarray) -> np.ndarray:
        """What LiteRT answers here to what `inputs` gave: shape (frames, classes)."""
        if kind == INT8:
            ours = self.classifier
            return np.array([ours.probabilities(ours.invoke(picture[np.newaxis])) for picture in inputs])
        twin, spec = Interpreter(self.float_model, self.threads), self.classifier.interpreter.input
        real = (inputs - np.float32(spec.zero_point)) * np.float32(spec.scale)
        return np.array([twin.invoke(picture[np.newaxis])[0] for picture in real])


def sha256(path: Path) -> str:
    """Of a whole file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()
