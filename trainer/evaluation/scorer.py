"""What gives probabilities: a run's float Keras model, or a model file through the device's own code."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

import numpy as np

from edge_runtime.capture.files import OnSkipped
from edge_runtime.capture.frame import Frame
from edge_runtime.classifier import Classifier
from edge_runtime.errors import PictureError, RunFolderError
from edge_runtime.extras import extra
from edge_runtime.pictures import read_picture
from edge_runtime.preprocessing import resize
from trainer.dataset import LabelledPicture

BATCH_SIZE = 32


@dataclass(frozen=True, eq=False)
class Scorer:
    """A classifier, whatever runs it."""

    path: Path
    """The run folder or the model file."""
    labels: tuple[str, ...]
    size: tuple[int, int]
    """(height, width) of the input in pixels."""
    score: Callable[[np.ndarray], np.ndarray]
    """Pictures, uint8 of shape (n, height, width, 3), to probabilities, float32 of shape (n, classes)."""
    data: str = ""
    """Where the run's own pictures came from; "" for a model file, which has none."""
    splits: dict[str, list[LabelledPicture]] = field(default_factory=dict)
    """The run's own pictures."""


def open_scorer(path: Path) -> Scorer:
    """Opens a run folder or a .tflite model file; TensorFlow is imported for a run folder only.

    Raises:
        RunFolderError: If path is not there, or the run folder is incomplete.
        DataError: If the run's pictures are gone.
        ModelFileError: If the model file is damaged or foreign.
        InterpreterError: If there is no interpreter for it.
        MissingExtraError: If it is a run folder and TensorFlow is not installed.
    """
    if not path.exists():
        raise RunFolderError(
            f"{path} is not there, expected a run folder or a .tflite model file",
            f"train first: litelens train --data DIR --out {path}",
        )
    return _of_run(path) if path.is_dir() else _of_model_file(path)


def score_frames(scorer: Scorer, frames: Iterable[Frame]) -> Iterator[tuple[str, np.ndarray]]:
    """Yields (source, probabilities of shape (classes,)) for each frame, in order; holds a batch of them at a time."""
    resized = ((frame.source, resize(frame.image, scorer.size)) for frame in frames)
    while batch := list(islice(resized, BATCH_SIZE)):
        sources, pictures = zip(*batch, strict=True)
        yield from zip(sources, scorer.score(np.stack(pictures)), strict=True)


def read_frames(paths: Iterable[Path], on_skipped: OnSkipped) -> Iterator[Frame]:
    """Yields the pictures at these paths; on_skipped is told of those that cannot be read."""
    for number, path in enumerate(paths):
        try:
            yield Frame(read_picture(path), str(path), number)
        except PictureError as problem:
            on_skipped(problem)


def _of_run(folder: Path) -> Scorer:
    with extra("train", "a run's float model"):
        from trainer.augmentation import normalise
        from trainer.legacy_keras import tf
        from trainer.run_folder import load_model, read

    run = read(folder)
    model = load_model(run)

    # One trace for every batch size: the last batch is smaller.
    @tf.function(input_signature=[tf.TensorSpec((None, *model.input_shape[1:]), tf.uint8)], autograph=False)
    def forward(pictures):
        return model(normalise(pictures), training=False)

    def score(pictures: np.ndarray) -> np.ndarray:
        return forward(tf.constant(pictures)).numpy().astype(np.float32)

    return Scorer(folder, run.labels, (run.config.size, run.config.size), score, run.config.data, run.splits)


def _of_model_file(path: Path) -> Scorer:
    classifier = Classifier(path)

    def score(pictures: np.ndarray) -> np.ndarray:
        scores = np.zeros((len(pictures), len(classifier.labels)), np.float32)
        for row, picture in zip(scores, pictures, strict=True):
            for prediction in classifier.postprocess(
                classifier.invoke(picture[np.newaxis]), len(classifier.labels)
            ):
                row[prediction.class_id] = prediction.score
        return scores / scores.sum(axis=1, keepdims=True)  # 8-bit outputs sum to 1 only within their rounding

    return Scorer(path, classifier.labels, classifier.input_size, score)
