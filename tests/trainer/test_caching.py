"""Cached features give what training on the pictures would have given."""

import csv
import json

import numpy as np
import pytest

from trainer.config import TrainConfig

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def first_run(parts, tmp_path_factory):
    """A run of a small network, whose convolutions others start from."""
    from trainer.training import train

    out = tmp_path_factory.mktemp("first") / "run"
    config = TrainConfig(data=str(parts), backbone="small_cnn", size=24, epochs=(2, 0), augmentation="none")
    train(config, out)
    return out


def history(run) -> np.ndarray:
    """loss, accuracy, val_loss, val_accuracy of each epoch."""
    with (run / "history.csv").open(newline="") as file:
        columns = ("loss", "accuracy", "val_loss", "val_accuracy")
        return np.array([[float(row[name]) for name in columns] for row in csv.DictReader(file)])


def test_without_augmentation_the_cache_changes_nothing(parts, first_run, tmp_path, monkeypatch):
    from trainer import training
    from trainer.legacy_keras import tf
    from trainer.training import train

    def build_without_dropout(*arguments, **settings):
        """Dropout draws from a stream that depends on the graph, and the two paths have different graphs."""
        model = build(*arguments, **settings)
        for layer in model.layers:
            if isinstance(layer, tf.keras.layers.Dropout):
                layer.rate = 0.0
        return model

    build = training.build_model
    monkeypatch.setattr(training, "build_model", build_without_dropout)
    settings = {
        "data": str(parts),
        "backbone": "small_cnn",
        "size": 24,
        "from_run": str(first_run),
        "fine_tune_at": 2,  # conv_1 stays frozen, conv_2 is trained
        "epochs": (3, 3),
        "augmentation": "none",
        "learning_rate": 0.003,
    }
    runs = {}
    for cache in (True, False):
        trained = train(TrainConfig(**settings, cache=cache), tmp_path / str(cache))
        runs[cache] = history(tmp_path / str(cache)), trained.model.get_weights()
    np.testing.assert_allclose(runs[True][0], runs[False][0], atol=1e-4)
    for cached, plain in zip(runs[True][1], runs[False][1], strict=True):
        np.testing.assert_allclose(cached, plain, atol=1e-4)
    started, _ = runs[True][0][0], runs[True][0][-1]
    assert abs(runs[True][0][-1] - started).max() > 0.01  # something was learnt at all


def test_what_does_not_fit_in_memory_goes_to_disk_and_gives_the_same(parts, first_run, tmp_path):
    from trainer.training import train

    settings = {
        "data": str(parts),
        "backbone": "small_cnn",
        "size": 24,
        "from_run": str(first_run),
        "fine_tune_at": 2,
        "epochs": (1, 1),
    }
    in_memory = train(TrainConfig(**settings), tmp_path / "memory")
    on_disk = train(TrainConfig(**settings, memory_gb=0.0), tmp_path / "disk")
    assert not in_memory.notes and "GB of pictures and features were kept on disk" in on_disk.notes[-1]
    np.testing.assert_allclose(history(tmp_path / "memory"), history(tmp_path / "disk"), atol=1e-3)
    assert json.loads((tmp_path / "disk" / "metrics.json").read_text())["notes"] == on_disk.notes
    assert sorted(path.name for path in tmp_path.iterdir()) == ["disk", "memory"]
