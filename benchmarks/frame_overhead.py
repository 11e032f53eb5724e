"""What classifying a frame costs beyond the model itself, at each model's size.

    python -m benchmarks.frame_overhead NAME.tflite ... --json FILE

The whole `Classifier.classify` of a 640x480 frame and the invoke alone are timed in turn, so that a machine that
slows down hits both alike. The overhead is the difference of their medians: cropping, resizing, and making labels and
scores of the output.
"""

import time
from dataclasses import asdict, dataclass
from pathlib import Path

import click
import numpy as np

from benchmarks.card.contract import Spread
from benchmarks.measuring.bench import WARMUP_RUNS
from benchmarks.measuring.frame import FRAME_SIZE, synthetic_frame
from benchmarks.result_file import begin, write_result
from edge_runtime import Classifier


@dataclass(frozen=True)
class Overhead:
    """One model with one thread count."""

    model: str
    """The model file's path."""
    input_height_px: int
    input_width_px: int
    interpreter: str
    """Library and version."""
    threads: int
    runs: int
    """Of each of the two."""
    invoke: Spread
    """The model alone, on what stands in its input."""
    classify: Spread
    """From frame to predictions."""

    @property
    def p50_ms(self) -> float:
        """What `classify` takes beyond the invoke, by their medians."""
        return self.classify.p50_ms - self.invoke.p50_ms


def measure_overhead(path: Path, threads: int | None, runs: int) -> Overhead:
    """Times a model file.

    Args:
        path: Written by ``litelens export``.
        threads: How many threads one invoke may use; None is the classifier's default.
        runs: How often each of the two is timed.

    Raises:
        ModelFileError: If the file is damaged or foreign.
        InterpreterError: If there is no interpreter or it refuses the model.
    """
    classifier, frame = Classifier(path, threads), synthetic_frame()
    seconds = np.empty((runs, 2))
    for run in range(-WARMUP_RUNS, runs):
        start = time.perf_counter()
        classifier.classify(frame)
        between = time.perf_counter()
        classifier.invoke()
        if run >= 0:
            seconds[run] = between - start, time.perf_counter() - between
    interpreter = classifier.interpreter
    return Overhead(
        str(path),
        *classifier.input_size,
        f"{interpreter.library} {interpreter.version}",
        interpreter.threads,
        runs,
        invoke=Spread.of(seconds[:, 1]),
        classify=Spread.of(seconds[:, 0]),
    )


@click.command()
@click.argument("models", metavar="NAME.tflite...", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--threads", type=click.IntRange(min=1), metavar="N", help="Threads one inference may use.")
@click.option("--runs", type=click.IntRange(min=1), default=500, show_default=True, metavar="N")
@click.option("--json", "json_path", type=click.Path(path_type=Path), metavar="FILE")
def main(models: tuple[Path, ...], threads: int | None, runs: int, json_path: Path | None) -> None:
    """Times each model and prints the medians of both and their difference."""
    began = begin()
    click.echo(f"p50 in ms, {FRAME_SIZE[1]}x{FRAME_SIZE[0]} frames, {runs} runs")
    click.echo("input    threads   invoke  classify  overhead  model")
    measured = []
    for model in models:
        found = measure_overhead(model, threads, runs)
        measured.append(found)
        size = f"{found.input_width_px}x{found.input_height_px}"
        times = f"{found.invoke.p50_ms:9.2f}{found.classify.p50_ms:10.2f}{found.p50_ms:10.2f}"
        click.echo(f"{size:9}{found.threads:7}{times}  {model}")
    if json_path:
        models_json = [asdict(found) | {"overhead_p50_ms": found.p50_ms} for found in measured]
        write_result(json_path, "frame_overhead", began, {"frame_size_px": FRAME_SIZE, "models": models_json})


if __name__ == "__main__":
    main()
