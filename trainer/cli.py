"""The verb `train`. TensorFlow is imported only when a training starts."""

from pathlib import Path

import click

from edge_runtime.extras import extra
from trainer.config import TrainConfig, load_config

FOLDER = click.Path(path_type=Path)


@click.command()
@click.option(
    "--data", metavar="DIR", help="Folder of class folders, split (train/ validation/ [test/]) or not."
)
@click.option("--out", type=FOLDER, required=True, metavar="runs/NAME", help="The run folder to write.")
@click.option(
    "--weights", metavar="imagenet|starter|none|PATH", help="Where the backbone starts.  [default: imagenet]"
)
@click.option(
    "--alpha", type=float, help="Width of MobileNetV2.  [default: 1.0; 0.35 with --weights starter]"
)
@click.option(
    "--size",
    type=int,
    metavar="PX",
    help=f"Height and width of the model's input.  [default: {TrainConfig.size}]",
)
@click.option(
    "--epochs",
    type=int,
    nargs=2,
    metavar="H F",
    help="Of the head and of fine-tuning.  [default: {} {}]".format(*TrainConfig.epochs),
)
@click.option(
    "--fine-tune-at",
    type=int,
    metavar="LAYER",
    help=f"Fine-tune from this layer up.  [default: {TrainConfig.fine_tune_at}]",
)
@click.option(
    "--learning-rate",
    type=float,
    help=f"Of the head; fine-tuning uses a tenth.  [default: {TrainConfig.learning_rate}]",
)
@click.option(
    "--batch-size", type=int, help=f"Pictures a step of fine-tuning.  [default: {TrainConfig.batch_size}]"
)
@click.option("--seed", type=int, help=f"Of split, order and augmentation.  [default: {TrainConfig.seed}]")
@click.option(
    "--strict", is_flag=True, default=None, help="Fail on a file that is no picture, instead of skipping it."
)
@click.option(
    "--config", "config_file", type=FOLDER, metavar="FILE", help="TOML with these settings; flags win."
)
def train(out: Path, config_file: Path | None, **flags) -> None:
    """Train a classifier on folders of pictures.

    Phase 1 trains a head on a frozen MobileNetV2, phase 2 the backbone's top at a tenth of the rate.

    \b
    litelens train --data pictures/ --out runs/parts
    """
    config = load_config(config_file, **flags)
    with extra("train", "litelens train"):  # TensorFlow: seconds to import, and absent on devices
        from trainer.training import train as train_run

    train_run(config, out)
