"""From a frame to labels: the code that runs on the device, and that measures on the workstation."""

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edge_runtime.decision import UNKNOWN, TemperedLevels, temper
from edge_runtime.errors import ModelFileError
from edge_runtime.interpreter import Delegate, Interpreter, TensorSpec
from edge_runtime.model_file import EXPORT_AGAIN, LABELS_NAME, ModelFile, SelfTestVector, read_model_file
from edge_runtime.preprocessing import Resizer, check_frame, resize


@dataclass(frozen=True)
class Prediction:
    """One class and how likely the model thinks it."""

    class_id: int
    """Index into the model's output."""
    label: str
    score: float
    """0 to 1: the model's probability, tempered by the manifest's decision rule."""


@dataclass(frozen=True)
class SelfTest:
    """How far this device's outputs are from those the exporter saw.

    Of the vector that comes closest to its tolerance, or goes furthest above it.
    """

    largest_difference: int
    """In steps of the output."""
    tolerance: int
    """The largest difference that passes."""

    @property
    def passed(self) -> bool:
        return self.largest_difference <= self.tolerance


def default_threads() -> int:
    """All cores of a small board, at most four: more do not speed up one small model."""
    return min(4, os.cpu_count() or 1)


class Classifier:
    """A model file, ready to classify RGB frames.

    One thread at a time may `classify`, `feed` or `invoke`: they share the model's memory and the resizer's. What
    is made of an output (`scores`, `postprocess`, `answer`) any thread may ask for.

    Example:
        >>> classifier = Classifier("parts.tflite")                      # doctest: +SKIP
        >>> classifier.classify(frame)[0]                                # doctest: +SKIP
        Prediction(class_id=3, label='hex_nut', score=0.98828125)
    """

    def __init__(
        self,
        model: str | Path | ModelFile,
        threads: int | None = None,
        library: str | None = None,
        delegate: Delegate | None = None,
        interpreter: Interpreter | None = None,
    ):
        """Loads a model file.

        Args:
            model: The path of a file written by ``litelens export``; or a ModelFile, which the exporter makes of
                a candidate that has no manifest yet.
            threads: How many threads one invoke may use; None is `default_threads`.
            library: Which interpreter, a key of edge_runtime.interpreter.LIBRARIES; None takes the first
                installed.
            delegate: What runs a model that was compiled for it; edge_runtime.device chooses both.
            interpreter: One that has loaded the model already, or stands in for one; None: it is loaded into an
                Interpreter of these threads, library and delegate.

        Raises:
            ModelFileError: If the file is damaged, foreign, or its labels do not fit its output.
            InterpreterError: If there is no interpreter, or it refuses the model or the delegate.
        """
        self.model_file = model if isinstance(model, ModelFile) else read_model_file(model)
        self.labels = self.model_file.labels
        self.interpreter = interpreter or Interpreter(
            self.model_file.path, threads or default_threads(), library, delegate
        )
        self._check_tensors()
        self.input_size = self.interpreter.input.shape[1:3]
        self._resizer = Resizer(self.input_size)
        self._levels = _probabilities_of_levels(self.interpreter.output)
        self._tempered_levels = None
        if self._levels is not None:
            self._tempered_levels = TemperedLevels(self._levels, self._temperature, self.half_step)

    @property
    def half_step(self) -> float:
        """Half a step of the output, as a probability; 0.0 where the output is float."""
        return self.interpreter.output.scale / 2

    def classify(self, frame: np.ndarray, top_k: int = 3) -> list[Prediction]:
        """Labels one frame, best first.

        Args:
            frame: RGB, uint8, shape (height, width, 3), any size.
            top_k: How many predictions, at most one a class.

        Raises:
            FrameError: If frame is no RGB uint8 picture.
            InterpreterError: If the model cannot be run.
        """
        self.feed(frame)
        return self.postprocess(self.invoke(), top_k)

    def feed(self, frame: np.ndarray) -> None:
        """Writes the model's input for a frame to where the model reads it; `invoke` is next.

        Raises:
            FrameError: If frame is no RGB uint8 picture.
        """
        check_frame(frame)  # before there is a view of the input, which an exception would keep alive
        self._resizer.write(frame, self.interpreter.input_memory()[0])

    def preprocess(self, frame: np.ndarray) -> np.ndarray:
        """The model's input for a frame: uint8 of shape (1, height, width, 3)."""
        return resize(frame, self.input_size)[np.newaxis]

    def invoke(self, picture: np.ndarray | None = None) -> np.ndarray:
        """The model's raw output: shape (classes,), the output's dtype.

        Args:
            picture: What `preprocess` gave; None: what `feed` wrote.

        Raises:
            InterpreterError: If the model cannot be run.
        """
        return self.interpreter.invoke(picture)[0]

    def probabilities(self, output: np.ndarray) -> np.ndarray:
        """A raw output as the model's own probabilities, before any temperature: shape (classes,), float32."""
        if self._levels is not None:
            return self._levels.take(output.view(np.uint8))
        return _probabilities(output, self.interpreter.output)

    def scores(self, output: np.ndarray) -> np.ndarray:
        """A raw output as probabilities, tempered by the manifest's decision rule: shape (classes,), float32."""
        if self._tempered_levels:
            return self._tempered_levels.scores(output)
        return temper(self.probabilities(output), self._temperature, self.half_step)

    def postprocess(self, output: np.ndarray, top_k: int = 3) -> list[Prediction]:
        """The `top_k` best predictions of a raw output, best first; ties go to the lower class id."""
        scores = self.scores(output)
        # The model's own output orders the classes: two of them may be one score.
        return [Prediction(i, self.labels[i], scores.item(i)) for i in _best(output, top_k)]

    def answer(self, predictions: list[Prediction]) -> str:
        """The best label, or `UNKNOWN` where its score is below its class's threshold.

        Args:
            predictions: What `classify` or `postprocess` gave, best first; at least one.
        """
        best, manifest = predictions[0], self.model_file.manifest
        if manifest and best.score < manifest.decision.thresholds[best.class_id]:
            return UNKNOWN
        return best.label

    def selftest(self) -> SelfTest:
        """Replays the manifest's self-test vectors."""
        found = [
            SelfTest(self._difference(vector), vector.tolerance)
            for vector in self.model_file.manifest.selftest
        ]
        return max(found, key=lambda test: test.largest_difference - test.tolerance)

    @property
    def _temperature(self) -> float:
        manifest = self.model_file.manifest
        return manifest.decision.temperature if manifest else 1.0

    def _difference(self, vector: SelfTestVector) -> int:
        output = self.invoke(vector.picture(self.input_size)[np.newaxis]).astype(int)
        return int(np.abs(output - vector.expected).max())

    def _check_tensors(self) -> None:
        path, given, answer = self.model_file.path, self.interpreter.input, self.interpreter.output
        if len(given.shape) != 4 or given.shape[0] != 1 or given.shape[3] != 3 or given.dtype != np.uint8:
            raise ModelFileError(
                f"{path} takes {given.dtype} of shape {given.shape}, "
                "expected uint8 of shape (1, height, width, 3)",
                EXPORT_AGAIN,
            )
        if answer.shape != (1, len(self.labels)):
            raise ModelFileError(
                f"{path}: {LABELS_NAME} has {len(self.labels)} labels, the model's output has shape "
                f"{answer.shape}, expected (1, {len(self.labels)})",
                EXPORT_AGAIN,
            )
        for vector in self.model_file.manifest.selftest if self.model_file.manifest else ():
            if len(vector.expected) != len(self.labels):
                raise ModelFileError(
                    f"{path}: a self-test vector expects {len(vector.expected)} outputs, "
                    f"the model has {len(self.labels)}",
                    EXPORT_AGAIN,
                )


def _best(output: np.ndarray, count: int) -> list[int]:
    """The classes of the highest values, best first; of equals the lower class id is before."""
    left, best = output.astype(np.float32), []
    for _ in range(min(count, len(left))):
        best.append(int(left.argmax()))  # the first of equals
        left[best[-1]] = -np.inf
    return best


def _probabilities(output: np.ndarray, spec: TensorSpec) -> np.ndarray:
    real = output.astype(np.float32)
    return (real - spec.zero_point) * spec.scale if spec.scale else real


def _probabilities_of_levels(spec: TensorSpec) -> np.ndarray | None:
    """What each of the 256 values of an 8-bit output stands for, in the order of their bits; None: it has more."""
    if spec.dtype.itemsize > 1:
        return None
    return _probabilities(np.arange(256, dtype=np.uint8).view(spec.dtype), spec)
