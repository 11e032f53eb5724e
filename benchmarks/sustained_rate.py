"""Whether `litelens run` keeps up: its frames/s against the camera's rate or 1/invoke, whichever is lower.

    python -m benchmarks.sustained_rate NAME.tflite --fps 15 --fps 30 --fps 400 --json FILE

Each run is the command itself, in a process of its own, on 640x480 frames. Only its demo camera is another: the
frames are drawn beforehand, as drawing would take the time that is measured. All figures come from the lines
that the run printed.
"""

import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from itertools import count, islice
from pathlib import Path

import click
import numpy as np

from benchmarks.measuring.frame import FRAME_SIZE
from benchmarks.result_file import begin, write_result
from edge_runtime.capture import open_camera
from edge_runtime.capture.frame import Frame

WARMUP_S = 2.0
ALLOWED = 0.05
"""How far below what was wanted the rate may stay."""


@dataclass(frozen=True)
class Rate:
    """One run."""

    camera_fps: float
    """Frames that the camera gave, a second; as asked for, or what this machine's timer made of it."""
    invoke_ms: float
    """Mean: what it costs in all; the median is lower, as some invokes are interrupted."""
    wanted_fps: float
    """The camera's rate or 1/invoke, whichever is lower."""
    reached_fps: float
    """Frames classified, a second."""
    age_p50_ms: float
    age_p99_ms: float
    frames: int

    @property
    def sustained(self) -> bool:
        return self.reached_fps >= self.wanted_fps * (1 - ALLOWED)


class Drawn:
    """The demo camera at any rate: its first frames, over and over."""

    live = True
    fps = 15.0

    def __init__(self, name: str):
        self.name = name

    def __enter__(self) -> "Drawn":
        return self

    def __exit__(self, *exception: object) -> None:
        """There is nothing to close."""

    def __iter__(self) -> Iterator[Frame]:
        from edge_runtime.rendering import PICTURE_SIZE, render_video

        times = FRAME_SIZE[0] // PICTURE_SIZE[0]
        drawn = [image.repeat(times, 0).repeat(times, 1) for image, _ in islice(render_video(0, parts=3), 60)]
        due_s = time.monotonic()
        for number in count():
            time.sleep(max(0.0, due_s - time.monotonic()))
            yield Frame(drawn[number % len(drawn)].copy(), self.name, number)
            due_s = max(due_s + 1 / self.fps, time.monotonic())


def measure(model: Path, fps: float, seconds: float, options: tuple[str, ...]) -> Rate:
    """Runs `litelens run` on a camera of a rate, and reads what it printed."""
    with tempfile.TemporaryFile("w+") as lines:
        command = [
            sys.executable,
            "-m",
            "benchmarks.sustained_rate",
            "--camera",
            str(fps),
            str(model),
            *options,
        ]
        with subprocess.Popen(command, stdout=lines) as process:
            # What it takes to start and to draw is not part of it.
            while not lines.tell() and process.poll() is None:
                time.sleep(0.1)
                lines.seek(0, 2)
            time.sleep(WARMUP_S + seconds)
            process.terminate()
        lines.seek(0)
        told = [json.loads(line) for line in lines]
    if not told:
        raise click.ClickException("litelens run printed no line")
    end = told[-1]["time"]
    told = [line for line in told if line["time"] > end - seconds]
    span_s = told[-1]["time"] - told[0]["time"]
    camera_fps = (told[-1]["frame"] - told[0]["frame"]) / span_s
    invoke_ms = statistics.fmean(line["invoke_ms"] for line in told)
    ages = np.percentile([line["age_ms"] for line in told], (50, 99))
    return Rate(
        camera_fps,
        invoke_ms,
        min(camera_fps, 1000 / invoke_ms),
        (len(told) - 1) / span_s,
        *map(float, ages),
        len(told),
    )


@click.command(context_settings={"ignore_unknown_options": True})
@click.argument("model", type=click.Path(path_type=Path))
@click.argument("options", nargs=-1)
@click.option("--fps", type=float, multiple=True, default=(15, 30, 60, 400), show_default=True)
@click.option("--seconds", type=float, default=20, show_default=True)
@click.option("--json", "json_path", type=click.Path(path_type=Path), metavar="FILE")
@click.option("--camera", type=float, hidden=True)
def main(
    model: Path,
    options: tuple[str, ...],
    fps: tuple[float, ...],
    seconds: float,
    json_path: Path | None,
    camera: float,
) -> None:
    """Prints wanted and reached rates of a model at several camera rates; OPTIONS go to `litelens run`."""
    if camera:
        run_with_camera(model, camera, options)
    began = begin()
    click.echo("camera, fps  invoke, ms  wanted, fps  reached, fps  reached/wanted  age p50, ms  age p99, ms")
    rates = []
    for wanted in fps:
        rates.append(rate := measure(model, wanted, seconds, options))
        click.echo(
            f"{rate.camera_fps:11.1f}{rate.invoke_ms:12.2f}{rate.wanted_fps:13.1f}{rate.reached_fps:14.1f}"
            f"{rate.reached_fps / rate.wanted_fps:15.1%} {rate.age_p50_ms:12.1f}{rate.age_p99_ms:13.1f}"
        )
    if json_path:
        measured = {"model": model.name, "options": options, "rates": [asdict(rate) for rate in rates]}
        write_result(json_path, "sustained_rate", began, measured)
    sys.exit(0 if all(rate.sustained for rate in rates) else 3)


def run_with_camera(model: Path, fps: float, options: tuple[str, ...]) -> None:
    """`litelens run` with the drawn camera in the place of the demo; does not return."""
    from edge_runtime.live.cli import run

    Drawn.fps = fps
    open_camera.Demo = Drawn
    run([str(model), "--camera", "demo", *options])


if __name__ == "__main__":
    main()
