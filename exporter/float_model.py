"""What an export starts from: a training run, or somebody else's model with pictures to judge it by."""

import dataclasses
import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edge_runtime.errors import DataError, ForeignModelError, ModelFileError
from edge_runtime.model_file import check_labels
from edge_runtime.preprocessing import CENTRE_CROP
from exporter.channel_scaling import equalise_depthwise_kernels
from exporter.conversion import to_float
from exporter.dead_channels import settle_dead_channels
from exporter.foreign import load_foreign, with_probabilities
from exporter.normalisation import MINUS_ONE_TO_ONE, Normalisation
from trainer.config import Selection
from trainer.dataset import LabelledPicture, find_dataset, load_arrays
from trainer.legacy_keras import tf
from trainer.progress import say
from trainer.run_folder import check_pictures, load_model, read

FOREIGN_BATCH_SIZE = 32
FOREIGN_SEED = 0
PROBED_PICTURES = 4
"""A few answers tell logits from probabilities."""


@dataclass(frozen=True)
class FloatModel:
    """A float classifier, the pictures that judge it, and where it came from."""

    path: Path
    """The model's own file or folder."""
    keras: tf.keras.Model | None
    """Made fit for quantization; None if quantization-aware training cannot start from it."""
    no_training: str
    """Why `keras` is None, or ""."""
    tflite: bytes | None
    """As float32 TFLite where it was brought so; None if `keras` is yet to be converted."""
    labels: tuple[str, ...]
    """One a class, in the order of the model's output."""
    size: tuple[int, int]
    """(height, width) of the input."""
    normalisation: Normalisation
    resize: str
    """The rule of edge_runtime.preprocessing that makes the input from a picture."""
    data: Path
    """The folder that the pictures are in."""
    splits: dict[str, list[LabelledPicture]]
    """"train", "validation" and perhaps "test"."""
    fingerprint: str
    """sha256 over names, splits and contents of the pictures."""
    config: dict
    """For the manifest: how the model was made, as far as is known; no paths of this machine."""
    seed: int
    batch_size: int
    notes: tuple[str, ...]
    """Sentences for people."""
    cache_folder: Path | None
    """Where finished candidates are kept; None where there is no run folder."""

    @property
    def held_back(self) -> str:
        """The split that judges the finished model: test where there is one."""
        return "test" if "test" in self.splits else "validation"

    @property
    def digest(self) -> str:
        """sha256 of the model's own file or files."""
        digest = hashlib.sha256()
        for file in sorted(self.path.rglob("*")) if self.path.is_dir() else [self.path]:
            if file.is_file():
                digest.update(file.name.encode() + b"\0" + file.read_bytes())
        return digest.hexdigest()

    @property
    def training_digest(self) -> str:
        """sha256 of the training pictures as they are now, whatever they were when the model was trained."""
        digest = hashlib.sha256()
        for picture in self.splits["train"]:
            digest.update(f"{picture.path}\0".encode() + hashlib.sha256(picture.path.read_bytes()).digest())
        return digest.hexdigest()

    def to_tflite(self) -> bytes:
        """The model as float32 TFLite, normalised pictures in, probabilities out."""
        return self.tflite or to_float(self.keras)

    def load_pictures(self, split: str, indices: list[int] | None = None) -> np.ndarray:
        """Pictures of a split as the device will see them: uint8 of shape (n, height, width, 3); all, or some."""
        pictures = self.splits[split]
        return load_arrays(pictures if indices is None else [pictures[i] for i in indices], self.size)[0]


def from_run(folder: Path) -> FloatModel:
    """What ``litelens train`` left.

    Raises:
        RunFolderError: If the run folder is incomplete or its model does not fit its labels.
        DataError: If its pictures are gone, or a split lacks a class.
    """
    run = read(folder)
    check_pictures(run)
    keras = load_model(run)
    _fit_for_quantization(keras)
    _check_every_class(run.splits, run.labels)
    return FloatModel(
        path=run.model_path,
        keras=keras,
        no_training="",
        tflite=None,
        labels=run.labels,
        size=(run.config.size, run.config.size),
        normalisation=MINUS_ONE_TO_ONE,
        resize=run.config.resize,
        data=run.data,
        splits=run.splits,
        fingerprint=run.fingerprint,
        # The data's folder name, not its path: a model file is given away.
        config=dataclasses.asdict(run.config)
        | {name: Path(getattr(run.config, name)).name for name in ("data", "weights", "from_run")},
        seed=run.config.seed,
        batch_size=run.config.batch_size,
        notes=(),
        cache_folder=folder / "candidates",
    )


def from_foreign(path: Path, labels_file: Path, data: Path, normalisation: Normalisation) -> FloatModel:
    """A model that litelens did not train.

    Args:
        path: A Keras file, a SavedModel folder or a float .tflite.
        labels_file: One label a line, in the order of the model's output.
        data: Pictures in class folders of these names, split or not, as ``litelens train`` reads them.
        normalisation: Of the model's input.

    Raises:
        ForeignModelError: If the model is no image classifier with one input and one output, or does not fit the
            labels.
        DataError: If the pictures cannot be read, are of other classes, or a split lacks a class.
    """
    labels = _read_labels(labels_file)
    model = load_foreign(path)
    if model.classes != len(labels):
        raise ForeignModelError(
            f"{path} has {model.classes} outputs, {labels_file} has {len(labels)} labels, expected as many",
            "give the labels that the model was trained with, one a line",
        )
    dataset = find_dataset(Selection(str(data), seed=FOREIGN_SEED))
    if unknown := set(dataset.labels) - set(labels):
        raise DataError(
            f"{data} has the class folder {sorted(unknown)[0]}, which is not in {labels_file}",
            "name the class folders as the labels",
        )
    splits = {
        split: [LabelledPicture(p.path, labels.index(dataset.labels[p.class_id])) for p in pictures]
        for split, pictures in dataset.splits.items()
    }
    _check_every_class(splits, labels)
    probed, _ = load_arrays(splits["train"][:PROBED_PICTURES], model.size)
    tflite, softmax_added = with_probabilities(path, model.tflite, normalisation(probed))
    notes = []
    if softmax_added:
        notes.append("The model gave logits: a softmax was put behind them.")
    keras, no_training = model.keras, model.no_training
    if keras is not None and softmax_added:
        keras, no_training = None, "it gives logits, and the training compares probabilities"
    if keras is not None:
        _fit_for_quantization(keras)
    return FloatModel(
        path=path,
        keras=keras,
        no_training=no_training,
        tflite=tflite,
        labels=labels,
        size=model.size,
        normalisation=normalisation,
        resize=CENTRE_CROP,
        data=dataset.folder,
        splits=splits,
        fingerprint=dataset.fingerprint,
        config={"from": path.name, "data": data.name} | dataclasses.asdict(normalisation),
        seed=FOREIGN_SEED,
        batch_size=FOREIGN_BATCH_SIZE,
        notes=tuple(notes),
        cache_folder=None,
    )


def _fit_for_quantization(keras: tf.keras.Model) -> None:
    settled = settle_dead_channels(keras)
    equalise_depthwise_kernels(keras)
    say(f"{settled} dead channels settled" if settled else "no dead channels")


def _read_labels(file: Path) -> tuple[str, ...]:
    try:
        # utf-8-sig: some editors on Windows begin a text file with a mark that would be part of the first label.
        labels = tuple(file.read_text(encoding="utf-8-sig").removesuffix("\n").split("\n"))
    except (OSError, UnicodeDecodeError) as problem:
        raise ForeignModelError(
            f"cannot read the labels {file}: {problem}", "give --labels a text file, one label a line"
        ) from problem
    try:
        check_labels(labels, str(file))
    except ModelFileError as problem:  # speaks of the labels.txt in a model file
        raise ForeignModelError(
            f"{file} has empty or repeated lines, expected one distinct label a line",
            "one line for each output of the model, in its order, and nothing else",
        ) from problem
    return labels


def _check_every_class(splits: dict[str, list[LabelledPicture]], labels: tuple[str, ...]) -> None:
    for split, pictures in splits.items():
        present = {picture.class_id for picture in pictures}
        for class_id, label in enumerate(labels):
            if class_id not in present:
                raise DataError(
                    f"the {split} split has no picture of {label!r}, expected at least one of each class",
                    f"what is not measured is not proven: add pictures of it to {split}; a run must be trained again then",
                )
