"""The run folder: all that a training run leaves, and what the exporter reads.

runs/NAME/  config.toml  model.keras  labels.txt  splits.json  metrics.json  history.csv  report.html  *.png
            tensorboard/
"""

import csv
import dataclasses
import json
import shutil
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

import tomli_w

from edge_runtime.errors import DataError, RunFolderError, WriteError
from trainer.config import TrainConfig, load_config, to_toml
from trainer.dataset import Dataset, LabelledPicture
from trainer.sources.open_source import open_source

if TYPE_CHECKING:
    from trainer.legacy_keras import tf
    from trainer.trained import Trained

MODEL_NAME = "model.keras"
LOGS_NAME = "tensorboard"
PACKAGES = (
    "litelens",
    "tensorflow",
    "tf-keras",
    "tensorflow-model-optimization",
    "litert-quantizer",
    "ai-edge-litert",
    "numpy",
    "Pillow",
)


@dataclass(frozen=True)
class Run:
    """A run folder, read back."""

    folder: Path
    config: TrainConfig
    labels: tuple[str, ...]
    data: Path
    """The folder that the pictures are below."""
    splits: dict[str, list[LabelledPicture]]
    fingerprint: str

    @property
    def model_path(self) -> Path:
        """The float Keras model."""
        return self.folder / MODEL_NAME


def write(making: Path, folder: Path, config: TrainConfig, dataset: Dataset, trained: "Trained") -> None:
    """Writes a run folder, whole or not at all.

    Args:
        making: Where it is made, on the same disk; logs of TensorBoard lie beside it and are taken along.
        folder: Where it is moved when it is whole; absent, or an empty folder.
        config: The settings.
        dataset: The pictures.
        trained: What the training found.

    Raises:
        WriteError: If the disk is full or the folder's parent cannot be written.
    """
    from trainer.report import write_report  # matplotlib: half a second that reading a run does not need

    try:
        making.mkdir(parents=True)
        _fill(making, config, dataset, trained)
        write_report(making, config, dataset, trained)
        logs = making.parent / LOGS_NAME
        if logs.exists():
            shutil.copytree(logs, making / LOGS_NAME)
        if folder.exists():
            folder.rmdir()  # empty: the training looked before it began
        making.rename(folder)
    except OSError as problem:
        raise WriteError(
            f"cannot write {folder}: {problem}",
            "check the folder, its permissions and the free disk space; then the same command with --resume",
        ) from problem


def _fill(folder: Path, config: TrainConfig, dataset: Dataset, trained: "Trained") -> None:
    trained.model.save(folder / MODEL_NAME)
    (folder / "config.toml").write_text(
        tomli_w.dumps(to_toml(config) | {"data": _absolute(config.data)}), encoding="utf-8"
    )
    (folder / "labels.txt").write_text("".join(f"{label}\n" for label in dataset.labels), encoding="utf-8")
    (folder / "splits.json").write_text(
        json.dumps(_splits(config, dataset), indent=1, ensure_ascii=False), encoding="utf-8"
    )
    (folder / "metrics.json").write_text(json.dumps(_metrics(trained), indent=1), encoding="utf-8")
    with (folder / "history.csv").open("w", newline="", encoding="utf-8") as file:
        rows = csv.DictWriter(file, [field.name for field in dataclasses.fields(trained.history[0])])
        rows.writeheader()
        rows.writerows(dataclasses.asdict(epoch) for epoch in trained.history)


def _absolute(data: str) -> str:
    """The pictures as any working folder finds them: a path made absolute, an address or a named set as it is."""
    return str(Path(data).resolve()) if Path(data).exists() else data


def _splits(config: TrainConfig, dataset: Dataset) -> dict:
    def names(pictures: list[LabelledPicture]) -> dict[str, list[str]]:
        return {
            label: [p.path.relative_to(dataset.folder).as_posix() for p in pictures if p.class_id == class_id]
            for class_id, label in enumerate(dataset.labels)
        }

    unpacked = str(dataset.folder.resolve())
    return {
        # Only what was unpacked lies elsewhere than config.toml says, where a user who moves pictures says so.
        **({} if unpacked == _absolute(config.data) else {"folder": unpacked}),
        "fingerprint": dataset.fingerprint,
        "splits": {split: names(pictures) for split, pictures in dataset.splits.items()},
        "skipped": [path.relative_to(dataset.folder).as_posix() for f in dataset.skipped for path in f.paths],
    }


def _metrics(trained: "Trained") -> dict:
    return {
        "splits": {result.split: dataclasses.asdict(result) for result in trained.measured},
        "phases": [dataclasses.asdict(phase) for phase in trained.phases],
        "parameters": trained.model.count_params(),
        "preprocessing": trained.preprocessing,
        "seconds": {name: round(value, 1) for name, value in trained.seconds.items()},
        "notes": trained.notes,
        "packages": package_versions(),
    }


def package_versions() -> dict[str, str]:
    """Name to version of the packages that decide what a model becomes."""
    return {name: metadata.version(name) for name in PACKAGES}


def read(folder: Path) -> Run:
    """Reads a run folder back.

    Raises:
        RunFolderError: If it is missing, incomplete or holds what litelens did not write.
    """
    for name in ("config.toml", MODEL_NAME, "labels.txt", "splits.json"):
        if not (folder / name).is_file():
            raise RunFolderError(
                f"{folder} has no {name}, expected a run folder written by litelens train",
                f"train first: litelens train --data DIR --out {folder}",
            )
    config = load_config(folder / "config.toml")
    try:
        labels = tuple((folder / "labels.txt").read_text(encoding="utf-8").split("\n")[:-1])
        stored = json.loads((folder / "splits.json").read_text(encoding="utf-8"))
        data = Path(stored.get("folder", config.data))
        splits = {
            split: [
                LabelledPicture(data / name, labels.index(label))
                for label, files in classes.items()
                for name in files
            ]
            for split, classes in stored["splits"].items()
        }
        run = Run(folder, config, labels, data, splits, stored["fingerprint"])
        splits["train"], splits["validation"]
    except (json.JSONDecodeError, KeyError, ValueError, AttributeError, TypeError) as problem:
        raise RunFolderError(
            f"{folder / 'splits.json'} does not fit labels.txt or is not what litelens wrote: {problem!r}",
            "train again into a new folder",
        ) from problem
    return run


def check_pictures(run: Run) -> None:
    """Finds out whether the pictures of a run are where it left them, and unpacks those that came from elsewhere again.

    Raises:
        DataError: If pictures are gone.
    """
    if _gone(run) and run.data != Path(run.config.data):
        open_source(run.config.data, run.config.sha256)  # unpacked pictures lie in a cache, which may be cleared
    if gone := _gone(run):
        raise DataError(
            f"{len(gone)} pictures of {run.folder} are gone, the first is {gone[0]}",
            f"bring the pictures back to {run.data}, or train again",
        )


def _gone(run: Run) -> list[Path]:
    return [picture.path for split in run.splits.values() for picture in split if not picture.path.is_file()]


def load_model(run: Run) -> "tf.keras.Model":
    """The run's float model: normalised RGB of shape (batch, size, size, 3) in, probabilities out.

    Raises:
        RunFolderError: If it cannot be loaded or does not fit the run's labels and size.
    """
    from trainer.legacy_keras import tf

    try:
        model = tf.keras.models.load_model(run.model_path, compile=False)
    except (ValueError, OSError, KeyError, TypeError) as problem:
        raise RunFolderError(
            f"{run.model_path} cannot be loaded: {problem}", "train again into a new folder"
        ) from problem
    size, classes = model.input_shape[1:3], model.output_shape[-1]
    if classes != len(run.labels) or size != (run.config.size, run.config.size):
        raise RunFolderError(
            f"{run.model_path} has {classes} outputs and input {size}, labels.txt has {len(run.labels)} labels "
            f"and config.toml size {run.config.size}",
            "train again into a new folder",
        )
    return model
