"""A real training on rendered pictures, and what it leaves."""

import csv
import json
import re
import shutil
import tomllib

import numpy as np
import pytest

from edge_runtime.errors import DataError, RunFolderError

pytestmark = pytest.mark.slow

CHANCE = 1 / 6


def test_the_run_folder_is_complete_and_consistent(trained_run, parts):
    # An export of the session's run before this test keeps its candidates there.
    names = {path.name for path in trained_run.iterdir()} - {"candidates"}
    assert names == {
        "config.toml",
        "model.keras",
        "labels.txt",
        "splits.json",
        "metrics.json",
        "history.csv",
        "report.html",
        "tensorboard",
        "curves.png",
        "pictures.png",
        "augmentations.png",
        "confusion.png",
        "mistakes.png",
    }
    assert (trained_run / "labels.txt").read_text().split() == [
        "bolt",
        "empty_belt",
        "gear",
        "hex_nut",
        "spring",
        "washer",
    ]
    config = tomllib.loads((trained_run / "config.toml").read_text())
    assert (config["alpha"], config["size"], config["epochs"], config["data"]) == (
        0.35,
        96,
        [10, 1],
        str(parts),
    )
    assert config["resize"] == "centre-crop"
    splits = json.loads((trained_run / "splits.json").read_text())
    assert splits["skipped"] == ["train/gear/broken.jpg"]
    assert {split: len(classes["bolt"]) for split, classes in splits["splits"].items()} == {
        "train": 15,
        "validation": 5,
        "test": 5,
    }


def test_transfer_from_the_starter_beats_chance_by_far(trained_run):
    splits = json.loads((trained_run / "metrics.json").read_text())["splits"]
    assert splits["test"]["pictures"] == 30
    assert splits["test"]["accuracy"] > 3 * CHANCE
    confusion = np.array(splits["test"]["confusion"])
    assert confusion.sum() == 30 and np.trace(confusion) == round(30 * splits["test"]["accuracy"])


def test_the_model_kept_is_the_best_epoch_of_both_phases(trained_run):
    with (trained_run / "history.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["phase"] for row in rows] == ["1"] * 10 + ["2"]
    best = max(float(row["val_accuracy"]) for row in rows)
    metrics = json.loads((trained_run / "metrics.json").read_text())["splits"]["validation"]
    assert metrics["accuracy"] == pytest.approx(best, abs=1e-6)
    first, last = float(rows[0]["learning_rate"]), float(rows[-1]["learning_rate"])
    assert first > last


def test_the_saved_model_gives_the_accuracy_that_was_reported(trained_run, parts):
    from trainer.augmentation import normalise
    from trainer.dataset import load_arrays
    from trainer.legacy_keras import tf
    from trainer.run_folder import read

    run = read(trained_run)
    pictures, truth = load_arrays(run.splits["test"], (run.config.size, run.config.size))
    model = tf.keras.models.load_model(run.model_path, compile=False)
    answers = model.predict(normalise(pictures), verbose=0).argmax(axis=1)
    reported = json.loads((trained_run / "metrics.json").read_text())["splits"]["test"]["accuracy"]
    assert (answers == truth).mean() == pytest.approx(reported)


def test_batchnorm_statistics_are_those_it_started_with(trained_run):
    from trainer.backbone import STARTER_FILE
    from trainer.legacy_keras import tf

    model = tf.keras.models.load_model(trained_run / "model.keras", compile=False)
    with np.load(STARTER_FILE) as stored:
        moving = [weight for weight in model.weights if "moving_" in weight.name]
        assert moving
        for weight in moving:
            np.testing.assert_array_equal(
                weight.numpy(), stored[weight.name].astype(np.float32), err_msg=weight.name
            )


def test_the_report_stands_alone_and_tells_the_result(trained_run):
    page = (trained_run / "report.html").read_text()
    assert not re.findall(r'(?:src|href)="(?!data:)', page)
    accuracy = json.loads((trained_run / "metrics.json").read_text())["splits"]["test"]["accuracy"]
    assert f"{accuracy:.4f}" in page and "hex_nut" in page and "broken.jpg" in page


def test_a_run_folder_in_the_way_is_not_touched(trained_run, parts):
    from trainer.config import TrainConfig
    from trainer.training import train

    before = (trained_run / "model.keras").stat()
    with pytest.raises(RunFolderError, match="exists already"):
        train(TrainConfig(data=str(parts)), trained_run)
    assert (trained_run / "model.keras").stat() == before


def test_strict_refuses_a_file_that_is_no_picture_and_leaves_nothing(parts, tmp_path):
    from trainer.config import TrainConfig
    from trainer.training import train

    with pytest.raises(DataError, match="broken.jpg"):
        train(TrainConfig(data=str(parts), weights="none", strict=("truncated",)), tmp_path / "runs" / "x")
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


@pytest.mark.parametrize("absent", ["config.toml", "model.keras", "labels.txt", "splits.json"])
def test_an_incomplete_run_folder_is_an_instruction(trained_run, tmp_path, absent):
    from trainer.run_folder import read

    copy = shutil.copytree(trained_run, tmp_path / "copy")
    (copy / absent).unlink()
    with pytest.raises(RunFolderError, match=f"has no {absent}"):
        read(copy)


@pytest.mark.parametrize(
    "content", ["", "[]", '{"splits": {}}', '{"splits": {"train": {"lion": ["a.jpg"]}}}']
)
def test_foreign_splits_are_an_instruction(trained_run, tmp_path, content):
    from trainer.run_folder import read

    copy = shutil.copytree(trained_run, tmp_path / "copy")
    (copy / "splits.json").write_text(content)
    with pytest.raises(RunFolderError, match="splits.json"):
        read(copy)


def test_pictures_that_went_away_are_an_instruction(trained_run, tmp_path):
    from trainer.run_folder import check_pictures, read

    copy = shutil.copytree(trained_run, tmp_path / "copy")
    config = (copy / "config.toml").read_text()
    (copy / "config.toml").write_text(re.sub(r'data = ".*"', f'data = "{tmp_path / "moved"}"', config))
    run = read(copy)  # whoever brings pictures of their own does not need them
    with pytest.raises(DataError, match="pictures .* are gone"):
        check_pictures(run)
