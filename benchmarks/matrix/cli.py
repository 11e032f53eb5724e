"""The command `litelens bench matrix`."""

import math
from dataclasses import asdict
from pathlib import Path

import click

from benchmarks.matrix.candidates import Candidate, find_candidates
from benchmarks.matrix.interpreters import INTERPRETERS
from benchmarks.matrix.rounds import measure_matrix
from benchmarks.matrix.table import table
from benchmarks.measuring.machine import this_machine
from benchmarks.measuring.pictures import Pictures, find_pictures
from benchmarks.result_file import begin, write_result
from edge_runtime.errors import DataError
from edge_runtime.whole_file import check_folders, write_whole

MOST_THREADS = 64


def _thread_counts(context: click.Context, parameter: click.Parameter, value: str) -> list[int]:
    counts = value.split(",")
    if not all(count.isdecimal() and 1 <= int(count) <= MOST_THREADS for count in counts):
        raise click.BadParameter(f"{value!r} is no list of whole numbers from 1 to {MOST_THREADS}, like 1,2")
    return list(dict.fromkeys(map(int, counts)))


def _number(context: click.Context, parameter: click.Parameter, value: float) -> float:
    """NaN is inside every range."""
    if math.isnan(value):
        raise click.BadParameter(f"{value} is no number")
    return value


@click.command()
@click.argument(
    "paths", metavar="NAME.tflite|RUN...", nargs=-1, required=True, type=click.Path(path_type=Path)
)
@click.option(
    "--data",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Measure top-1 on these pictures, a folder a class.",
)
@click.option(
    "--threads",
    callback=_thread_counts,
    default="1,2",
    show_default=True,
    metavar="N,N",
    help="Thread counts.",
)
@click.option(
    "--interpreter",
    "interpreters",
    multiple=True,
    type=click.Choice(list(INTERPRETERS)),
    help="One of those to measure; give it again for another. [default: all that are installed]",
)
@click.option(
    "--seconds",
    type=click.FloatRange(min=0.01, max=3600),
    callback=_number,
    default=1.0,
    show_default=True,
    metavar="S",
    help="How long each cell runs in a round.",
)
@click.option(
    "--rounds",
    type=click.IntRange(min=1),
    default=10,
    show_default=True,
    metavar="N",
    help="How many rounds.",
)
@click.option(
    "--json", "json_path", type=click.Path(path_type=Path), metavar="FILE", help="Also write all as JSON."
)
@click.option(
    "--html",
    "html_path",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Also write a page with a plot.",
)
def matrix(
    paths: tuple[Path, ...],
    data: Path | None,
    threads: list[int],
    interpreters: tuple[str, ...],
    seconds: float,
    rounds: int,
    json_path: Path | None,
    html_path: Path | None,
) -> None:
    """Measure models x interpreters x threads, in turns.

    NAME.tflite need not be litelens's own; RUN is a training run's folder, and stands for the candidates that its export
    kept. Each model runs in each interpreter with each number of threads, every such cell in a process of its own. In
    each round all have a turn, in another order, so that a machine that slows down slows all alike. Models or
    interpreters that fail are told, and the rest goes on.
    """
    check_folders(json_path, html_path)
    began = begin()
    candidates = find_candidates(list(paths))
    pictures = _find_pictures(data, candidates) if data else None
    found = measure_matrix(
        candidates,
        list(dict.fromkeys(interpreters)) or list(INTERPRETERS),
        threads,
        rounds=rounds,
        round_s=seconds,
        pictures=pictures,
        report=lambda line: click.echo(line, err=True),
    )
    machine = this_machine()
    click.echo(table(found, machine))
    if json_path:
        write_result(json_path, "matrix", began, asdict(found))
    if html_path:
        from benchmarks.matrix.page import page

        write_whole(html_path, page(found, machine, began.created).encode())


def _find_pictures(data: Path, candidates: list[Candidate]) -> Pictures:
    """The pictures, of the classes that all models have that can be judged.

    Raises:
        SourceError, DataError: If there are none, or of other classes than a model's.
    """
    judged = [candidate for candidate in candidates if not candidate.without_meaning]
    if not judged:
        reasons = "; ".join(f"{candidate.name}: {candidate.without_meaning}" for candidate in candidates)
        raise DataError(
            f"no accuracy can be measured: {reasons}", "leave --data out, or name models with labels"
        )
    found = []
    for candidate in judged:
        try:
            found.append(find_pictures(data, candidate.model_file.labels))
        except DataError as problem:
            raise DataError(f"{candidate.name}: {problem}", problem.hint) from problem
    return found[0]
