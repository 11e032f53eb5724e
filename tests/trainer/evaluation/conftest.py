"""Labelled pictures whose answers the tiny model knows, and run folders that need no training."""

import csv
import dataclasses
import json
import os
from pathlib import Path

import numpy as np
import pytest
import tomli_w
from click.testing import CliRunner
from PIL import Image

from trainer.config import TrainConfig, to_toml
from trainer.evaluation import cli
from trainer.evaluation.measured import measure
from trainer.trained import Epoch, Phase


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("LITELENS_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def paint(coloured):
    """Writes pictures: {name below a folder: colour}."""

    def write(folder: Path, names: dict[str, str]) -> Path:
        for name, colour in names.items():
            path = os.path.join(folder, name)  # keeps names that are no UTF-8
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, "wb") as file:
                Image.fromarray(coloured(colour)).save(file, "PNG")
        return folder

    return write


@pytest.fixture
def labelled(paint, tmp_path) -> Path:
    """Class folders: four of six are what they are called; the two mistakes are taken for blue."""
    return paint(
        tmp_path / "labelled",
        {
            "blue/1.png": "blue",
            "blue/2.png": "blue",
            "green/1.png": "green",
            "green/2.png": "blue",
            "red/1.png": "red",
            "red/2.png": "blue",
        },
    )


@pytest.fixture
def call():
    """Runs a verb in this process; its exception is in the result."""

    def run(verb: str, *arguments: object):
        return CliRunner().invoke(getattr(cli, verb), [str(one) for one in arguments], standalone_mode=False)

    return run


@pytest.fixture
def write_run(tmp_path):
    """Writes what `compare` reads of a run, as a training writes it."""

    def write(
        name: str, accuracies: tuple[float, ...] = (0.5, 0.75), names=("1.jpg", "2.jpg"), data="f", **settings
    ) -> Path:
        folder = tmp_path / name
        folder.mkdir()
        truth = np.zeros(4, int)
        right = np.array([[0.9, 0.1]] * 3 + [[0.2, 0.8]])
        measured = {split: measure(split, ("a", "b"), right, truth) for split in ("validation", "test")}
        config = TrainConfig(**({"data": "pictures", "size": 96} | settings))
        (folder / "config.toml").write_text(tomli_w.dumps(to_toml(config)))
        (folder / "model.keras").write_bytes(bytes(2_500_000))
        splits = {split: {"a": list(names), "b": []} for split in ("train", "validation", "test")}
        (folder / "splits.json").write_text(json.dumps({"fingerprint": data * 64, "splits": splits}))
        phases = [Phase(1, 10, len(accuracies) - 1, False, 2.0), Phase(2, 99, 1, True, 3.0)]
        metrics = {
            "splits": {split: dataclasses.asdict(result) for split, result in measured.items()},
            "phases": [dataclasses.asdict(phase) for phase in phases],
            "parameters": 1234567,
            "seconds": {"read": 1.5, "phase_1": 2.0, "phase_2": 3.0},
        }
        (folder / "metrics.json").write_text(json.dumps(metrics))
        with (folder / "history.csv").open("w", newline="") as file:
            rows = csv.DictWriter(file, [field.name for field in dataclasses.fields(Epoch)])
            rows.writeheader()
            for number, accuracy in enumerate(accuracies, 1):
                phase = 2 if number == len(accuracies) else 1
                rows.writerow(dataclasses.asdict(Epoch(phase, number, 1.0, 0.5, 1.0, accuracy, 1e-3, 2.0)))
        return folder

    return write
