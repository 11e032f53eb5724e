"""The verb `export`. TensorFlow is imported only when an export starts."""

from pathlib import Path

import click

from edge_runtime.extras import extra


@click.command()
@click.argument("run_folder", type=click.Path(path_type=Path), metavar="runs/NAME")
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    required=True,
    metavar="NAME.tflite",
    help="The model file to write.",
)
@click.option(
    "--qat-epochs",
    type=click.IntRange(min=0),
    default=2,
    show_default=True,
    help="Epochs of quantization-aware training.",
)
@click.option(
    "--max-drop",
    type=float,
    default=1.0,
    show_default=True,
    metavar="POINTS",
    help="Largest loss of top-1 against float, in percentage points.",
)
def export(run_folder: Path, out: Path, qat_epochs: int, max_drop: float) -> None:
    """Turn a training run into a proven int8 model file.

    Makes a float and two int8 models (post-training and quantization-aware), measures them on the held-back split
    with the device's own code, and writes the better int8 model that passes the gate. Exit code 3 if none does.

    \b
    litelens export runs/parts --out parts.tflite
    """
    with extra("train", "litelens export"):  # TensorFlow: seconds to import, and absent on devices
        from exporter.pipeline import export as export_run

    export_run(run_folder, out, qat_epochs=qat_epochs, max_drop=max_drop)
