"""The verb `demo`: every step from pictures to a labelled video, with the commands a user would type."""

import csv
import importlib
import json
import subprocess
import sys
import time
from pathlib import Path

import click

from edge_runtime.errors import LitelensError

SEED = 1
PICTURES_PER_CLASS = 200
VIDEO_PARTS = 12


class DemoError(LitelensError):
    """A step of the demonstration failed; its own error stands above."""


@click.command()
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    default=Path("runs/demo"),
    show_default=True,
    help="A new folder for all of it.",
)
def demo(out: Path) -> None:
    """Go the whole way on pictures drawn for the purpose: draw, train, export, classify, run, bench.

    Six kinds of parts on a conveyor belt, starter weights, no network.

    \b
    litelens demo --out runs/demo
    """
    if out.exists():
        raise DemoError(
            f"{out} exists already, expected a new folder", f"rm -r {out}, or choose another --out"
        )
    rendering = importlib.import_module("trainer.rendering")
    started = time.monotonic()
    pictures, run, model, video = out / "pictures", out / "run", out / "parts.tflite", out / "belt.avi"
    click.secho(
        f"\n# drawing {PICTURES_PER_CLASS} pictures of each of {len(rendering.CLASSES)} classes, and a video",
        bold=True,
    )
    rendering.write_pictures(pictures, PICTURES_PER_CLASS, SEED)
    labels = rendering.write_video(video, SEED, VIDEO_PARTS)

    _step("train", "--data", pictures, "--out", run, "--weights", "starter", "--size", 96)
    _step("export", run, "--out", model)
    _step("info", model)
    _step("classify", model, *sorted(pictures.glob("test/*/*0.jpg"))[:: PICTURES_PER_CLASS // 50])
    frames = _step("run", model, "--camera", video, capture=True)
    _compare(frames, labels)
    _step("bench", model)
    click.secho(f"\n# done in {time.monotonic() - started:.0f} s; everything is in {out}", bold=True)


def _step(*words, capture: bool = False) -> str:
    """Prints and runs one litelens command, as a process of its own, as a user would."""
    arguments = [str(word) for word in words]
    click.secho(f"\n$ litelens {' '.join(arguments)}", bold=True)
    result = subprocess.run(
        [sys.executable, "-m", "litelens", *arguments], stdout=subprocess.PIPE if capture else None, text=True
    )
    if result.returncode:
        raise DemoError(
            f"litelens {arguments[0]} ended with exit code {result.returncode}", "see the error above"
        )
    return result.stdout or ""


def _compare(frames: str, labels: Path) -> None:
    """Prints a few of the frames' lines and how many frames were labelled right."""
    lines = frames.splitlines()
    click.echo("\n".join([*lines[:2], f"... {len(lines)} frames"]))
    with labels.open(newline="") as file:
        truth = {int(row["frame"]): row["label"] for row in csv.DictReader(file)}
    answers = {frame["frame"]: frame["predictions"][0]["label"] for frame in map(json.loads, lines)}
    clear = [number for number, label in truth.items() if label]
    right = sum(answers[number] == truth[number] for number in clear)
    click.echo(
        f"{right} of {len(clear)} frames right ({100 * right / len(clear):.1f} %); "
        f"{len(truth) - len(clear)} frames with a part half in view are not counted"
    )
