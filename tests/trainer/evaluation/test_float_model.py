"""A run folder's float model, through the command as a user runs it."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
import tomli_w
from PIL import Image

from trainer.config import TrainConfig, load_config, to_toml

LABELS = ("a", "b", "c", "d")


@pytest.fixture(scope="module")
def run_folder(small_net, small_pictures, tmp_path_factory) -> tuple[Path, np.ndarray]:
    """A run whose pictures bear the labels that its small network gives them, but for every eighth; its answers."""
    model = small_net(classes=4)
    probabilities = model(small_pictures.astype(np.float32) / 127.5 - 1, training=False).numpy()
    data = tmp_path_factory.mktemp("pictures")
    splits: dict = {split: {label: [] for label in LABELS} for split in ("train", "validation", "test")}
    for number, (picture, row) in enumerate(zip(small_pictures, probabilities, strict=True)):
        class_id = (int(row.argmax()) + (number % 8 == 0)) % 4
        name = f"{LABELS[class_id]}/{number:02d}.png"
        (data / name).parent.mkdir(exist_ok=True)
        Image.fromarray(picture).save(data / name)
        split = ("train", "validation", "test", "test")[number % 4]
        splits[split][LABELS[class_id]].append(name)
    folder = tmp_path_factory.mktemp("runs") / "small"
    folder.mkdir()
    (folder / "config.toml").write_text(tomli_w.dumps(to_toml(TrainConfig(data=str(data), size=32))))
    (folder / "labels.txt").write_text("".join(f"{label}\n" for label in LABELS))
    (folder / "splits.json").write_text(json.dumps({"fingerprint": "f" * 64, "splits": splits}))
    model.save(folder / "model.keras")
    return folder, probabilities


@pytest.mark.slow
def test_a_run_is_judged_on_its_own_test_split(litelens_here, run_folder):
    folder, _ = run_folder
    ended = litelens_here("evaluate", folder, "--json")
    assert ended.exit_code == 0, ended.stderr
    found = json.loads(ended.stdout)
    assert (found["split"], found["pictures"]) == ("test", 32)
    assert found["accuracy"] == 1.0  # pictures 0, 8, 16 ... are in train


@pytest.mark.slow
def test_a_run_is_judged_on_any_pictures_and_says_if_it_knows_them(litelens_here, run_folder):
    folder, _ = run_folder
    data = load_config(folder / "config.toml").data
    ended = litelens_here("evaluate", folder, "--data", data, "--json")
    found = json.loads(ended.stdout)
    assert (found["pictures"], found["accuracy"]) == (64, 56 / 64)
    assert "16 of these 64 pictures were trained on" in ended.stderr


@pytest.mark.slow
def test_predictions_are_the_float_models(litelens_here, run_folder, tmp_path):
    folder, probabilities = run_folder
    data = load_config(folder / "config.toml").data
    ended = litelens_here("predict", folder, data, "--csv", tmp_path / "p.csv", "--chart", tmp_path / "p.png")
    assert ended.exit_code == 0, ended.stderr
    with (tmp_path / "p.csv").open(newline="") as file:
        head, *rows = csv.reader(file)
    assert head == ["id", *LABELS] and len(rows) == 64
    for name, *row in rows:
        assert np.allclose(np.array(row, float), probabilities[int(name)], atol=1e-5)
    assert (tmp_path / "p.png").exists()
