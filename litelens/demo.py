"""The verb `demo`: every step from pictures to a labelled video, with the commands a user would type."""

import csv
import json
import subprocess
import sys
import time
from pathlib import Path

import click

from edge_runtime import rendering
from edge_runtime.decision import UNKNOWN
from edge_runtime.errors import LitelensError

SEED = 1
PICTURES_PER_CLASS = {"train": 120, "validation": 40, "test": 100}
MAX_DROP = 2
"""Points of top-1: what 600 test pictures can prove; a point takes some 2,000 where a few answers change."""
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
    started = time.monotonic()
    pictures, run, model, video = out / "pictures", out / "run", out / "parts.tflite", out / "belt.avi"
    click.secho(
        f"\n# drawing {sum(PICTURES_PER_CLASS.values())} pictures of each of {len(rendering.CLASSES)} classes, "
        "and a video",
        bold=True,
    )
    rendering.write_pictures(pictures, PICTURES_PER_CLASS, SEED)
    labels = rendering.write_video(video, SEED, VIDEO_PARTS)

    _step("train", "--data", pictures, "--out", run, "--weights", "starter", "--size", 96)
    _step("export", run, "--out", model, "--max-drop", MAX_DROP)
    _step("info", model)
    _step("verify", model)
    _step("classify", model, *sorted(pictures.glob("test/*/*[05]0.jpg")))
    frames = _step("run", model, "--camera", video, capture=True)
    _compare(frames, labels)
    _step("bench", model, "--quick")
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
    answers = {frame["frame"]: frame["answer"] for frame in map(json.loads, lines)}
    clear = [number for number, label in truth.items() if label]
    right = sum(answers[number] == truth[number] for number in clear)
    unknown = sum(answers[number] == UNKNOWN for number in clear)
    click.echo(
        f"{right} of {len(clear)} frames right, {unknown} unknown, {len(clear) - right - unknown} wrong; "
        f"{len(truth) - len(clear)} frames with a part half in view are not counted"
    )
