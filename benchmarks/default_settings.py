"""Whether the defaults of `litelens train` need tuning: accuracy with them, and with one setting changed at a time.

    python -m benchmarks.default_settings --data DIR --weights PATH --seeds 3 --json FILE

Every training is a `litelens train` in a process of its own. A seed draws the split, the head and the order; the
settings of one seed are judged on the same pictures.
"""

import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import click

from benchmarks.result_file import begin, write_result

CHANGES = {
    "defaults": (),
    "a third of the rate": ("--learning-rate", "0.001"),
    "three times the rate": ("--learning-rate", "0.009"),
    "three times the epochs": ("--epochs", "60", "9", "--patience", "15"),
    "no fine-tuning": ("--epochs", "20", "0"),
    "no augmentation": ("--augmentation", "none"),
    "strong augmentation": ("--augmentation", "strong"),
    "label smoothing 0.1": ("--label-smoothing", "0.1"),
}


@click.command()
@click.option("--data", type=click.Path(path_type=Path, exists=True), required=True, metavar="DIR")
@click.option("--weights", type=click.Path(path_type=Path, exists=True), required=True, metavar="PATH")
@click.option("--alpha", type=float, default=1.0, show_default=True)
@click.option("--size", type=int, default=160, show_default=True, metavar="PX")
@click.option("--seeds", type=click.IntRange(min=1), default=3, show_default=True, help="0, 1, ... so many.")
@click.option("--json", "json_path", type=click.Path(path_type=Path), metavar="FILE")
def main(data: Path, weights: Path, alpha: float, size: int, seeds: int, json_path: Path | None) -> None:
    """Trains with each change and each seed in turn and prints accuracies."""
    began = begin()
    always = ["--data", data, "--weights", weights, "--alpha", alpha, "--size", size, "--no-tensorboard"]
    found: dict[str, list[dict]] = {name: [] for name in CHANGES}
    for seed in range(seeds):
        for name, flags in CHANGES.items():
            found[name].append(train([*always, "--seed", seed, *flags]))
    judge = "test" if "test" in found["defaults"][0] else "validation"
    click.echo(
        f"{data.name}, alpha {alpha}, {size} px: accuracy on {judge}, mean of {seeds} seeds, each seed"
    )
    for name, accuracies in found.items():
        values = [accuracy[judge] for accuracy in accuracies]
        click.echo(f"{name:24}{statistics.mean(values):8.4f}   {' '.join(f'{v:.4f}' for v in values)}")
    if json_path:
        about = {"data": data.name, "alpha": alpha, "size": size, "judge": judge}
        write_result(json_path, "default_settings", began, about | {"accuracies": found})


def train(arguments: list) -> dict[str, float]:
    """{split: accuracy} of one training, whose run folder is thrown away."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "run"
        command = [sys.executable, "-m", "litelens", "train", *arguments, "--out", out]
        subprocess.run(list(map(str, command)), check=True, stderr=subprocess.DEVNULL)
        splits = json.loads((out / "metrics.json").read_text())["splits"]
    return {split: result["accuracy"] for split, result in splits.items()}


if __name__ == "__main__":
    main()
