"""The run folder: all that a training run leaves, and what the exporter reads.

runs/NAME/  config.toml  model.keras  labels.txt  splits.json  metrics.json  history.csv  report.html
"""

import csv
import dataclasses
import json
import os
import tempfile
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

import tomli_w

from edge_runtime.errors import DataError, RunFolderError, WriteError
from trainer.config import TrainConfig, load_config
from trainer.dataset import Dataset, LabelledPicture
from trainer.report import render_report

if TYPE_CHECKING:
    from trainer.training import Trained

MODEL_NAME = "model.keras"
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
    splits: dict[str, list[LabelledPicture]]
    fingerprint: str

    @property
    def model_path(self) -> Path:
        """The float Keras model."""
        return self.folder / MODEL_NAME


def check_free(folder: Path) -> None:
    """Finds out before the training what would stop the writing after it.

    Raises:
        RunFolderError: If something other than an empty folder stands at `folder`.
        WriteError: If it cannot be made there.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise RunFolderError(
            f"{folder} exists already, expected a new run folder",
            f"choose another --out, or remove it: rm -r {folder}",
        )
    above = next(parent for parent in folder.absolute().parents if parent.exists())
    if not above.is_dir() or not os.access(above, os.W_OK):
        raise WriteError(
            f"{folder} cannot be written: {above} is {'not writable' if above.is_dir() else 'a file'}",
            "choose another --out",
        )


def write(folder: Path, config: TrainConfig, dataset: Dataset, trained: "Trained") -> None:
    """Writes a run folder, whole or not at all: into a temporary folder beside it, then renamed.

    Raises:
        WriteError: If the folder's parent cannot be written.
    """
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        # tempfile's folders are private (0700); a run folder is read by other users, as any new folder is.
        with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}.") as temporary:
            whole = Path(temporary) / "run"
            whole.mkdir()
            _fill(whole, config, dataset, trained)
            if folder.exists():
                folder.rmdir()  # empty: check_free looked before the training
            whole.rename(folder)
    except OSError as problem:
        raise WriteError(
            f"cannot write {folder}: {problem}", "check the folder, its permissions and the free disk space"
        ) from problem


def _fill(folder: Path, config: TrainConfig, dataset: Dataset, trained: "Trained") -> None:
    trained.model.save(folder / MODEL_NAME)
    (folder / "config.toml").write_text(
        tomli_w.dumps(dataclasses.asdict(config) | {"data": str(dataset.folder)}), encoding="utf-8"
    )
    (folder / "labels.txt").write_text("".join(f"{label}\n" for label in dataset.labels), encoding="utf-8")
    (folder / "splits.json").write_text(
        json.dumps(_splits(dataset), indent=1, ensure_ascii=False), encoding="utf-8"
    )
    (folder / "metrics.json").write_text(json.dumps(_metrics(trained), indent=1), encoding="utf-8")
    with (folder / "history.csv").open("w", newline="", encoding="utf-8") as file:
        rows = csv.DictWriter(file, [field.name for field in dataclasses.fields(trained.history[0])])
        rows.writeheader()
        rows.writerows(dataclasses.asdict(epoch) for epoch in trained.history)
    (folder / "report.html").write_text(render_report(config, dataset, trained), encoding="utf-8")


def _splits(dataset: Dataset) -> dict:
    def names(pictures: list[LabelledPicture]) -> dict[str, list[str]]:
        return {
            label: [p.path.relative_to(dataset.folder).as_posix() for p in pictures if p.class_id == class_id]
            for class_id, label in enumerate(dataset.labels)
        }

    return {
        "fingerprint": dataset.fingerprint,
        "splits": {split: names(pictures) for split, pictures in dataset.splits.items()},
        "skipped": [skipped.path.relative_to(dataset.folder).as_posix() for skipped in dataset.skipped],
    }


def _metrics(trained: "Trained") -> dict:
    return {
        "splits": {result.split: dataclasses.asdict(result) for result in trained.measured},
        "seconds": {name: round(value, 1) for name, value in trained.seconds.items()},
        "packages": package_versions(),
    }


def package_versions() -> dict[str, str]:
    """Name to version of the packages that decide what a model becomes."""
    return {name: metadata.version(name) for name in PACKAGES}


def read(folder: Path) -> Run:
    """Reads a run folder back.

    Raises:
        RunFolderError: If it is missing, incomplete or holds what litelens did not write.
        DataError: If pictures it was trained on are gone.
    """
    for name in ("config.toml", MODEL_NAME, "labels.txt", "splits.json"):
        if not (folder / name).is_file():
            raise RunFolderError(
                f"{folder} has no {name}, expected a run folder written by litelens train",
                f"train first: litelens train --data DIR --out {folder}",
            )
    config = load_config(folder / "config.toml")
    data = Path(config.data)
    try:
        labels = tuple((folder / "labels.txt").read_text(encoding="utf-8").split("\n")[:-1])
        stored = json.loads((folder / "splits.json").read_text(encoding="utf-8"))
        splits = {
            split: [
                LabelledPicture(data / name, labels.index(label))
                for label, files in classes.items()
                for name in files
            ]
            for split, classes in stored["splits"].items()
        }
        run = Run(folder, config, labels, splits, stored["fingerprint"])
        splits["train"], splits["validation"]
    except (json.JSONDecodeError, KeyError, ValueError, AttributeError, TypeError) as problem:
        raise RunFolderError(
            f"{folder / 'splits.json'} does not fit labels.txt or is not what litelens wrote: {problem!r}",
            "train again into a new folder",
        ) from problem
    gone = [
        picture.path for pictures in splits.values() for picture in pictures if not picture.path.is_file()
    ]
    if gone:
        raise DataError(
            f"{len(gone)} pictures of {folder} are gone, the first is {gone[0]}",
            f"bring the pictures back to {data}, or train again",
        )
    return run
