"""Training time against the notebook recipe, on the same pictures in the same run: seconds and accuracy of both.

    python -m benchmarks.training_time --data DIR --weights PATH --rounds 1 --json FILE

DIR has train/ and validation/ with two class folders each. Both recipes learn from 85 % of train/, look at the other
15 % while they do, and are measured once, at the end, on validation/, which neither has seen.
"""

import json
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import click

from benchmarks.result_file import begin, write_result

HELD_BACK = 0.15
NOTEBOOK = Path(__file__).parent / "peers" / "notebook_recipe.py"


@click.command()
@click.option("--data", type=click.Path(path_type=Path, exists=True), required=True, metavar="DIR")
@click.option("--weights", type=click.Path(path_type=Path, exists=True), required=True, metavar="PATH")
@click.option("--alpha", type=float, default=1.0, show_default=True)
@click.option("--rounds", type=int, default=1, show_default=True, help="Both recipes in turn, so many times.")
@click.option("--json", "json_path", type=click.Path(path_type=Path), metavar="FILE")
def main(data: Path, weights: Path, alpha: float, rounds: int, json_path: Path | None) -> None:
    """Runs both recipes in turn and prints seconds, accuracy and the ratio."""
    began = begin()
    found: dict[str, list[dict]] = {"notebook": [], "litelens": []}
    with tempfile.TemporaryDirectory() as temporary:
        pictures = Path(temporary) / "pictures"
        lay_out(data, pictures)
        for number in range(rounds):
            found["notebook"].append(run_notebook(pictures, weights, alpha))
            found["litelens"].append(run_litelens(pictures, weights, alpha, Path(temporary) / f"run{number}"))
            for name, results in found.items():
                last = results[-1]
                click.echo(
                    f"round {number + 1}  {name:9} {last['seconds']:6.1f} s  test accuracy {last['test_accuracy']:.4f}"
                )
    ratios = [o["seconds"] / n["seconds"] for n, o in zip(found["notebook"], found["litelens"], strict=True)]
    click.echo(f"litelens / notebook, whole processes: {statistics.median(ratios):.3f} (median of {rounds})")
    if json_path:
        measured = {"data": data.name, "alpha": alpha, "ratio": statistics.median(ratios), **found}
        write_result(json_path, "training_time", began, measured)


def lay_out(data: Path, to: Path) -> None:
    """Links the pictures into train/, validation/ (every seventh of data/train) and test/ (all of data/validation)."""
    every = round(1 / HELD_BACK)
    for split in ("train", "validation"):
        for class_folder in sorted((data / split).iterdir()):
            for number, picture in enumerate(sorted(class_folder.iterdir())):
                held_back = "validation" if number % every == 0 else "train"
                place = to / ("test" if split == "validation" else held_back) / class_folder.name
                place.mkdir(parents=True, exist_ok=True)
                (place / picture.name).symlink_to(picture.resolve())


def run_notebook(pictures: Path, weights: Path, alpha: float) -> dict:
    """The notebook recipe in a process of its own."""
    command = [sys.executable, NOTEBOOK, pictures, weights, str(alpha)]
    seconds, output = _timed(command)
    return json.loads(output.splitlines()[-1]) | {"seconds": seconds}


def run_litelens(pictures: Path, weights: Path, alpha: float, out: Path) -> dict:
    """`litelens train` with its defaults in a process of its own."""
    command = [sys.executable, "-m", "litelens", "train", "--data", pictures, "--weights", weights]
    seconds, _ = _timed([*command, "--alpha", str(alpha), "--out", out])
    metrics = json.loads((out / "metrics.json").read_text())
    shutil.rmtree(out)
    accuracy = metrics["splits"]["test"]["accuracy"]
    return {"seconds": seconds, "test_accuracy": accuracy, "parts": metrics["seconds"]}


def _timed(command: list) -> tuple[float, str]:
    started = time.monotonic()
    done = subprocess.run(list(map(str, command)), check=True, stdout=subprocess.PIPE, text=True)
    return time.monotonic() - started, done.stdout


if __name__ == "__main__":
    main()
