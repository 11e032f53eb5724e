"""The verb `train`. TensorFlow is imported only when a training starts."""

from pathlib import Path

import click

from edge_runtime.extras import extra
from trainer.audit.findings import SKIPPED_KINDS
from trainer.config import BACKBONES, CHOICES, FEW_PICTURES, TrainConfig, load_config

FOLDER = click.Path(path_type=Path)


def _comma_separated(context: click.Context, parameter: click.Parameter, value: str | None):
    return None if value is None else tuple(part.strip() for part in value.split(",") if part.strip())


def _choice(name: str, text: str, default: object = None):
    """An option that takes one of CHOICES[name]."""
    shown = getattr(TrainConfig, name) if default is None else default
    return click.option(
        f"--{name.replace('_', '-')}", type=click.Choice(CHOICES[name]), help=f"{text}  [default: {shown}]"
    )


def _number(name: str, kind: type, text: str, default: str | None = None, **options):
    """An option that takes a number; its default is the setting's."""
    shown = getattr(TrainConfig, name) if default is None else default
    return click.option(f"--{name.replace('_', '-')}", type=kind, help=f"{text}  [default: {shown}]", **options)


def _switch(name: str, text: str, **options):
    return click.option(f"--{name.replace('_', '-')}", is_flag=True, default=None, help=text, **options)


SIZES = ", ".join(f"{name} {defaults.size}" for name, defaults in BACKBONES.items())
CUTS = ", ".join(f"{name} {defaults.fine_tune_at}" for name, defaults in BACKBONES.items())


@click.command()
@click.option(
    "--data",
    metavar="SOURCE",
    help="Class folders, a folder with labels.csv, idx files or TFRecord shards, an archive or the address of one, "
    "tfds:NAME[:split] or sklearn:digits.",
)
@click.option("--out", type=FOLDER, required=True, metavar="runs/NAME", help="The run folder to write.")
@click.option("--resume", is_flag=True, help="Go on with a training that was interrupted: the same command again.")
@click.option("--sha256", metavar="SUM", help="Of the file, where --data is an address.")
@click.option("--classes", callback=_comma_separated, metavar="A,B,C", help="Only these.  [default: all]")
@_number("limit", int, "At most so many pictures of a class in a split.", "all", metavar="N")
@_number("validation_fraction", float, "Held back of each class where the data is not split.")
@_number("test_fraction", float, "Held back of each class where the data is not split.")
@_choice("backbone", "The network below the head.")
@click.option(
    "--weights",
    metavar="imagenet|starter|none|PATH",
    help="Where the backbone starts.  [default: imagenet; none for small_cnn]",
)
@click.option("--from-run", metavar="runs/NAME", help="Start from the backbone of another run.")
@_switch("freeze_features", "With --from-run: train the head only.")
@_number("alpha", float, "Width of mobilenet_v2 and mobilenet.", "1.0; 0.35 with --weights starter")
@_number("size", int, "Height and width of the model's input.", SIZES, metavar="PX")
@click.option(
    "--epochs",
    type=int,
    nargs=2,
    metavar="H F",
    help="At most so many of the head and of fine-tuning.  [default: {} {}]".format(*TrainConfig.epochs),
)
@_number("patience", int, "Epochs without a better validation result that end a phase; 0: never.")
@_number("fine_tune_at", int, "Fine-tune from this layer up.", CUTS, metavar="LAYER")
@_number("learning_rate", float, "Of the head.", "0.003; 0.001 with --weights none")
@_number("fine_tune_rate", float, "Of fine-tuning.", "a thirtieth of --learning-rate")
@_choice("schedule", "How the rate falls over a phase.")
@_number("batch_size", int, "Pictures a step.")
@_choice("augmentation", "How pictures are varied.")
@_number(
    "views",
    int,
    "Augmented views of a picture beside itself, where features are cached.",
    f"1 below {FEW_PICTURES} pictures, else 0",
)
@_choice("class_weights", "Whether rare classes weigh more.")
@_number("label_smoothing", float, "Share of the target spread over all classes.")
@click.option("--cache/--no-cache", default=None, help="Keep what the frozen layers compute.  [default: --cache]")
@_number("memory_gb", float, "For pictures and features before they go to disk.", "half of what is free")
@_number("seed", int, "Of split, head, order and augmentation.")
@_switch("deterministic", "Repeat exactly, at some cost in speed.")
@_choice("strategy", "How tf.distribute spreads the training; multi_worker reads TF_CONFIG.")
@_switch("mixed_precision", "Compute in 16 bits where layers allow; for GPUs.")
@_switch("xla", "Compile with XLA; for GPUs.")
@click.option(
    "--tensorboard/--no-tensorboard", default=None, help="Write logs for TensorBoard.  [default: --tensorboard]"
)
@click.option(
    "--strict",
    is_flag=False,
    flag_value=",".join(SKIPPED_KINDS),
    callback=_comma_separated,
    metavar="[KIND,KIND]",
    help="Refuse to train where the audit finds these kinds; alone: files that are no readable picture.",
)
@click.option(
    "--config", "config_file", type=FOLDER, metavar="FILE", help="TOML with these settings; flags win."
)
def train(out: Path, resume: bool, config_file: Path | None, **flags) -> None:
    """Train a classifier on labelled pictures.

    Phase 1 trains a head on a frozen backbone, phase 2 the backbone's top at a low rate.

    \b
    litelens train --data pictures/ --out runs/parts
    """
    config = load_config(config_file, **flags)
    with extra("train", "litelens train"):  # TensorFlow: seconds to import, and absent on devices
        from trainer.training import train as train_run

    train_run(config, out, resume)
