"""What the float model and the int8 model say of a picture."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edge_runtime.classifier import Classifier
from edge_runtime.errors import ModelFileError
from trainer.augmentation import normalise
from trainer.explain.logits import Logits
from trainer.legacy_keras import tf
from trainer.run_folder import Run


@dataclass(frozen=True)
class Answer:
    """What a model says of one picture."""

    answer: str
    """A label; of a model file it may be "unknown", where the best score is below its class's threshold."""
    scores: dict[str, float]
    """{label: 0 to 1}, best first."""


def ask_float(logits: Logits, labels: tuple[str, ...], picture: np.ndarray) -> Answer:
    """What the float Keras model says.

    Args:
        logits: Of the model.
        labels: One a class.
        picture: RGB, uint8, shape (size, size, 3): the model's input.
    """
    scores = tf.nn.softmax(logits(normalise(picture[np.newaxis])))[0].numpy()
    best_first = np.argsort(-scores, kind="stable")
    found = {labels[class_id]: float(scores[class_id]) for class_id in best_first}
    return Answer(next(iter(found)), found)


def ask_int8(classifier: Classifier, picture: np.ndarray) -> Answer:
    """What a device says, its thresholds applied: picture is RGB, uint8, of any size."""
    predictions = classifier.classify(picture, top_k=len(classifier.labels))
    return Answer(classifier.answer(predictions), {p.label: p.score for p in predictions})


def open_int8(model: Path, run: Run) -> Classifier:
    """Loads the model file of a run.

    Raises:
        ModelFileError: If it is no model file, or its labels or its input are not the run's.
        InterpreterError: If it cannot be run here.
    """
    classifier = Classifier(model)
    size = (run.config.size, run.config.size)
    again = f"export this run: litelens export {run.folder} --out NAME.tflite"
    if classifier.labels != run.labels:
        raise ModelFileError(
            f"{model} has the labels {_some(classifier.labels)}, expected those of {run.folder}: {_some(run.labels)}",
            again,
        )
    if classifier.input_size != size:
        raise ModelFileError(
            f"{model} takes {classifier.input_size} pixels, expected {size} as {run.folder} does", again
        )
    return classifier


def _some(labels: tuple[str, ...]) -> str:
    return ", ".join(labels[:10]) + (f" and {len(labels) - 10} more" if len(labels) > 10 else "")
