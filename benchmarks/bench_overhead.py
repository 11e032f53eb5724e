"""What `litelens bench` costs itself: the frames of its loop against the same frames without it.

    python -m benchmarks.bench_overhead NAME.tflite --json FILE

The bare loop is `classifier.classify(frame)` over some frames, timed as a whole. The bench's loop reads the clock between
the stages and keeps the times. Both take the same number of frames, about a quarter of a second, in turn, the one that
goes first changing, so that a machine that slows down hits both alike. The bench's thread reads the machine's sensors
once a second: what a reading takes is timed alone, and told as if no frame were classified meanwhile.
"""

import time
from collections.abc import Callable
from dataclasses import asdict, astuple, dataclass
from functools import partial
from itertools import repeat
from pathlib import Path

import click
import numpy as np

from benchmarks.measuring.bench import WARMUP_RUNS
from benchmarks.measuring.frame import synthetic_frame
from benchmarks.measuring.sensors import EVERY_S, Sensors
from benchmarks.measuring.windows import record
from benchmarks.result_file import begin, write_result
from edge_runtime.classifier import Classifier
from edge_runtime.cli import threads_option

BLOCK_S = 0.25
"""What the bench does once for a window of 10 s is then still little; a disturbance spoils few rounds."""
RESAMPLES = 2000


@dataclass(frozen=True)
class Overhead:
    """By how much the bench's loop takes longer: 0.01 is 1 %."""

    median: float
    low: float
    """The median is between these with 95 %: bootstrap over the rounds."""
    high: float

    @classmethod
    def of(cls, costs: np.ndarray) -> "Overhead":
        """Takes a time of the bare loop and of the bench's for each round, shape (rounds, 2)."""
        ratios = costs[:, 1] / costs[:, 0] - 1
        drawn = np.random.default_rng(0).choice(ratios, (RESAMPLES, len(ratios)))
        low, high = (float(p) for p in np.percentile(np.median(drawn, axis=1), (2.5, 97.5)))
        return cls(float(np.median(ratios)), low, high)

    def __str__(self) -> str:
        return f"{self.median:+.2%} (95 %: {self.low:+.2%} to {self.high:+.2%})"


@dataclass(frozen=True)
class Cost:
    """Seconds a frame."""

    wall_s: float
    processor_s: float
    """Of all threads of this process; a busy machine hardly changes it."""

    @classmethod
    def of(cls, loop: Callable[[], int]) -> "Cost":
        """Takes what classifies frames and returns how many."""
        wall_s, processor_s = time.perf_counter(), time.process_time()
        frames = loop()
        return cls((time.perf_counter() - wall_s) / frames, (time.process_time() - processor_s) / frames)


def measure_overhead(classifier: Classifier, rounds: int) -> np.ndarray:
    """Times both loops.

    Returns:
        Seconds a frame of each round, shape (rounds, 2, 2): of the bare loop and of the bench's; wall and processor.
    """
    frame = synthetic_frame()

    def bare(frames: int) -> int:
        for _ in range(frames):
            classifier.classify(frame)
        return frames

    def benched(frames: int) -> int:
        return len(record(classifier, repeat(frame), seconds=0.0, rows=frames, least=frames))

    frames = round(BLOCK_S / Cost.of(partial(bare, WARMUP_RUNS)).wall_s) + 1
    costs = np.empty((rounds, 2, 2))
    for number in range(rounds):
        loops = ((0, bare), (1, benched))
        for column, loop in reversed(loops) if number % 2 else loops:
            costs[number, column] = astuple(Cost.of(partial(loop, frames)))
    return costs


def sensors_cost_s(readings: int = 100) -> float:
    """Median seconds that one reading of this machine's sensors takes."""
    sensors, seconds = Sensors.of_this_machine(), np.empty(readings)
    for number in range(readings):
        start = time.perf_counter()
        sensors.read("during")
        seconds[number] = time.perf_counter() - start
    return float(np.median(seconds))


@click.command()
@click.argument("model", metavar="NAME.tflite", type=click.Path(path_type=Path))
@threads_option
@click.option("--rounds", type=click.IntRange(min=1), default=80, show_default=True, metavar="N")
@click.option("--json", "json_path", type=click.Path(path_type=Path), metavar="FILE")
def main(model: Path, threads: int | None, rounds: int, json_path: Path | None) -> None:
    """Prints the time a frame of both loops and by how much the bench's is longer."""
    began = begin()
    classifier = Classifier(model, threads)
    costs = measure_overhead(classifier, rounds)
    threads, sensors_s = classifier.interpreter.threads, sensors_cost_s()
    click.echo(
        f"{model}, threads: {threads}, {rounds} rounds of about {BLOCK_S * 1000:g} ms each; ms a frame"
    )
    click.echo("                    bare  the bench's")
    measured = {"model": model.name, "threads": threads, "rounds": rounds, "sensors_ms": sensors_s * 1000}
    for column, clock in enumerate(("wall", "processor")):
        bare_ms, benched_ms = (float(ms) for ms in np.median(costs[..., column], axis=0) * 1000)
        overhead = Overhead.of(costs[..., column])
        click.echo(f"{clock:14}{bare_ms:10.4f}{benched_ms:13.4f}  {overhead}")
        measured[clock] = {"bare_ms": bare_ms, "benched_ms": benched_ms, "overhead": asdict(overhead)}
    click.echo(f"sensors       {sensors_s * 1000:10.4f} ms a reading  {sensors_s / EVERY_S:+.2%}")
    if json_path:
        write_result(json_path, "bench_overhead", began, measured)


if __name__ == "__main__":
    main()
