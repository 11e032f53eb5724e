"""A run folder around the small network, without a training."""

import json
from pathlib import Path

import pytest
import tomli_w
from PIL import Image

from edge_runtime.errors import LitelensError

LABELS = ("ash", "birch", "elm", "oak")


@pytest.fixture(scope="session")
def model(small_net):
    """The small network: four classes at 32 x 32."""
    return small_net(classes=len(LABELS))


@pytest.fixture(scope="session")
def logits(model):
    """The small network in front of its softmax."""
    from trainer.explain.logits import logits_of

    return logits_of(model)


@pytest.fixture(scope="session")
def run_folder(model, small_pictures, tmp_path_factory) -> Path:
    """What `litelens train` would leave; the pictures are no class's, which nothing here asks about."""
    from trainer.config import TrainConfig, to_toml

    folder = tmp_path_factory.mktemp("explain") / "run"
    data = folder.parent / "pictures"
    splits = {"train": {}, "validation": {}}
    for number, picture in enumerate(small_pictures):
        split, label = ("train", "validation")[number // 4 % 2], LABELS[number % 4]
        name = f"{split}/{label}/{number}.png"
        (data / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(picture).save(data / name)
        splits[split].setdefault(label, []).append(name)
    folder.mkdir()
    model.save(folder / "model.keras")
    config = TrainConfig(data=str(data), size=32, alpha=0.35, weights="none")
    (folder / "config.toml").write_text(tomli_w.dumps(to_toml(config)))
    (folder / "labels.txt").write_text("".join(f"{label}\n" for label in LABELS))
    (folder / "splits.json").write_text(
        json.dumps({"fingerprint": "0" * 64, "splits": splits, "skipped": []})
    )
    return folder


@pytest.fixture(scope="session")
def picture(run_folder) -> Path:
    """One of the run's pictures."""
    return next((run_folder.parent / "pictures" / "validation" / "ash").iterdir())


@pytest.fixture
def explain():
    """Runs `litelens explain` in this process; gives stdout, or raises what it raised."""

    def run(*arguments: object) -> str:
        from click.testing import CliRunner

        from trainer.explain.cli import explain

        ended = CliRunner().invoke(explain, [str(argument) for argument in arguments])
        if isinstance(ended.exception, LitelensError):
            raise ended.exception
        assert ended.exit_code == 0, ended.output
        return ended.stdout

    return run
