"""Writes docs/benchmarks.md from benchmarks/results/MACHINE/*.json and benchmarks/published.toml.

    python -m benchmarks.results_page
    python -m benchmarks.results_page --check

The second says whether the page is what the results give: exit code 3 where it is not. A result is kept by writing it
there, with a command's own option: --json benchmarks/results/MACHINE/NAME.json.
"""

import json
import re
import shlex
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import click

from benchmarks.card.contract import Card, Machine
from benchmarks.card.json_file import read_card
from benchmarks.measuring.others import CROWDED
from benchmarks.published import PUBLISHED, Source, read_published
from benchmarks.result_file import Result, ResultError, read_result
from benchmarks.result_tables import TABLES, bullets, card_tables, few_rounds, table
from edge_runtime.errors import LitelensError
from edge_runtime.whole_file import write_whole

RESULTS = Path(__file__).parent / "results"
PAGE = Path(__file__).parents[1] / "docs" / "benchmarks.md"
CARD = "bench"
"""The kind of a card: what `litelens bench` writes."""


class PageStale(LitelensError):
    """The page is not what the results give."""

    exit_code = 3


@dataclass(frozen=True)
class Kept:
    """One file of results."""

    path: Path
    kind: str
    created: str
    """UTC, ISO 8601."""
    command: str
    machine: Machine
    governors: frozenset[str]
    temperatures_c: tuple[float, ...]
    """While or after it was measured."""
    reasons: tuple[str, ...]
    """Why its numbers are not to be quoted; empty where they may be."""
    content: Card | dict


@click.command()
@click.option(
    "--check", is_flag=True, help="Write nothing; exit with 3 where the page is not what the results give."
)
def main(check: bool) -> None:
    """Writes docs/benchmarks.md from the kept results and the published numbers."""
    try:
        write_page(RESULTS, PAGE, check)
    except LitelensError as error:
        click.echo(f"error: {error}", err=True)
        click.echo(f"hint: {error.hint}", err=True)
        sys.exit(error.exit_code)


def write_page(results: Path, page_path: Path, check: bool = False) -> None:
    """Makes the page and writes it, or only compares it with what stands there.

    Raises:
        ResultError, CardError: If a result cannot be read or stands in another machine's folder.
        PublishedError: If a published number is not whole.
        PageStale: If it is to be checked and differs.
        WriteError: If it cannot be written.
    """
    # A file's name may hold bytes that are no text.
    content = page(results, read_published(PUBLISHED)).encode(errors="replace")
    if not check:
        write_whole(page_path, content)
    elif not page_path.is_file() or page_path.read_bytes() != content:
        raise PageStale(f"{page_path} is not what {results} gives", "python -m benchmarks.results_page")


def page(results: Path, published: tuple[Source, ...]) -> str:
    """The whole page as Markdown.

    Raises:
        ResultError, CardError: If a result cannot be read or stands in another machine's folder.
    """
    folders = sorted(folder for folder in results.iterdir() if folder.is_dir()) if results.is_dir() else []
    machines = [machine_section(folder.name, read_folder(folder)) for folder in folders]
    return "\n\n".join((INTRODUCTION, *machines, published_section(published))) + "\n"


INTRODUCTION = """\
# Benchmarks

Written by `python -m benchmarks.results_page` from the files in [benchmarks/results](../benchmarks/results), which the
commands named here wrote, and from [benchmarks/published.toml](../benchmarks/published.toml); no number is typed by hand.
What nobody here ran stands [at the end](#published-by-others), apart. **Not to be quoted** is a number that was measured in
haste or beside other work: it says that the command runs, not how fast the machine is.

A machine has a section where its folder has a result; what a new folder must be called, the last command says:

    mkdir benchmarks/results/MACHINE
    litelens bench NAME.tflite --json benchmarks/results/MACHINE/NAME.json
    python -m benchmarks.results_page"""


def read_folder(folder: Path) -> list[Kept]:
    """All results of one machine, the oldest first.

    Raises:
        ResultError, CardError: If the folder is empty, a file cannot be read, or is another machine's.
    """
    found = [read(path) for path in sorted(folder.glob("*.json"))]
    if not found:
        raise ResultError(f"{folder} has no result", "remove the folder, or measure into it: --json FILE")
    for kept in found:
        if (name := machine_name(kept.machine)) != folder.name:
            raise ResultError(
                f"{kept.path} was measured on another machine than {folder.name}: {kept.machine.cpu}",
                f"move it to {folder.parent / name}",
            )
    return sorted(found, key=lambda kept: kept.created)


def machine_name(machine: Machine) -> str:
    """A machine's folder: "intel-xeon-2-cores", "raspberry-pi-4-model-b-rev-1-4-4-cores"."""
    cpu = re.sub(r"\((r|tm)\)|\b(processor|cpu)\b|@.*", " ", machine.cpu.lower())
    return re.sub(r"[^a-z0-9]+", "-", f"{cpu} {_cores(machine)}").strip("-")


def _cores(machine: Machine) -> str:
    return f"{machine.cores} core{'s' if machine.cores > 1 else ''}"


def read(path: Path) -> Kept:
    """One file: a card, or the result of another command.

    Raises:
        ResultError, CardError: If it is neither, or of another schema.
    """
    try:
        content = json.loads(path.read_bytes(), parse_constant=_no_number)
    except (OSError, ValueError, RecursionError) as problem:
        raise ResultError(f"cannot read {path}: {problem}", "measure again, or remove it") from problem
    if not isinstance(content, dict):
        raise ResultError(f"{path} holds no JSON object", "measure again, or remove it")
    if "kind" not in content:
        return _kept_card(path, read_card(path))
    result = read_result(content, path)
    if result.kind not in TABLES:
        raise ResultError(f"{path}: unknown kind {result.kind!r}", f"expected one of {', '.join(TABLES)}")
    with _as_written(path, result.kind, result.command):
        return _kept_result(path, result)


@contextmanager
def _as_written(path: Path, kind: str, command: str) -> Iterator[None]:
    """What is read or drawn inside raises a named error where it is not what the command writes."""
    try:
        yield
    except (LookupError, TypeError, ValueError, ArithmeticError, AttributeError) as problem:
        raise ResultError(
            f"{path} does not hold what {kind} writes: {problem!r}", f"measure again: {command}"
        ) from problem


def _no_number(name: str) -> float:
    """Python takes NaN and Infinity for JSON."""
    raise ValueError(f"{name} is no number")


def _kept_card(path: Path, card: Card) -> Kept:
    return Kept(
        path,
        CARD,
        card.created,
        bench_command(card),
        card.machine,
        frozenset(reading.governor for reading in card.readings if reading.governor),
        tuple(reading.temperature_c for reading in card.readings if reading.temperature_c is not None),
        card.noise.reasons,
        card,
    )


def _kept_result(path: Path, result: Result) -> Kept:
    share = result.others_share
    reasons = [
        str(reason) for reason in result.measured.get("reasons", ())
    ]  # of a command that judges itself
    if not reasons and share and share > CROWDED:
        reasons = [f"other programs took {share:.0%} of all cores, expected at most {CROWDED:.0%}"]
    if result.kind == "training_time" and (few := few_rounds(result.measured)):
        reasons.append(few)
    return Kept(
        path,
        result.kind,
        result.created,
        result.command,
        result.machine,
        frozenset({result.governor} - {None}),
        () if result.temperature_c is None else (result.temperature_c,),
        tuple(reasons),
        result.measured,
    )


def bench_command(card: Card) -> str:
    """What `litelens bench` was asked; a card does not keep it."""
    words = ["litelens", "bench", card.model.file]
    words += ["--quick"] if card.quick else []
    words += ["--threads", str(card.setting.threads)]
    words += ["--data", card.accuracy.data] if card.accuracy else []
    words += ["--device", card.setting.device] if card.setting.device != "cpu" else []
    return shlex.join(words)


def machine_section(name: str, found: list[Kept]) -> str:
    """Everything that was measured on one machine."""
    machine = found[-1].machine
    parts = [f"## {machine.cpu}, {_cores(machine)}", _machine_table(name, found)]
    cards = [kept for kept in found if kept.kind == CARD]
    if cards:
        parts += ["### A model file", _commands(cards), card_tables([kept.content for kept in cards])]
        parts += _warnings(cards)
    for kind, (heading, draw) in TABLES.items():
        for number, kept in enumerate(kept for kept in found if kept.kind == kind):
            with _as_written(kept.path, kind, kept.command):
                drawn = draw(kept.content)
            parts += [f"### {heading}"] if not number else []
            parts += [_commands([kept]), *_warnings([kept]), drawn]
    return "\n\n".join(parts)


def _machine_table(name: str, found: list[Kept]) -> str:
    def each(field: str) -> str:
        return ", ".join(sorted({str(getattr(kept.machine, field)) for kept in found}))

    memory = max(kept.machine.memory_bytes or 0 for kept in found)
    temperatures = [temperature for kept in found for temperature in kept.temperatures_c]
    days = sorted({kept.created[:10] for kept in found})
    governors = sorted(frozenset().union(*(kept.governors for kept in found)))
    rows = (
        ("processor or board", each("cpu")),
        ("architecture, cores", f"{each('architecture')}, {each('cores')}"),
        ("memory", f"{memory / 2**30:.1f} GiB" if memory else "not told"),
        ("system", each("os")),
        ("Python", each("python")),
        ("governor", ", ".join(governors) or "not told"),
        (
            "temperature",
            f"{min(temperatures):.0f} to {max(temperatures):.0f} °C" if temperatures else "not told",
        ),
        ("measured", " to ".join(dict.fromkeys((days[0], days[-1])))),
        ("files", f"[benchmarks/results/{name}](../benchmarks/results/{name})"),
    )
    return table(("", ""), rows)


def _commands(found: list[Kept]) -> str:
    """As they were typed, each with its file and its day."""
    return "\n".join(f"    {kept.command}  # {kept.path.name}, {kept.created[:10]}" for kept in found)


def _warnings(found: list[Kept]) -> list[str]:
    """One list, or none where all may be quoted."""
    warned = [f"{kept.path.name}: {'; '.join(kept.reasons)}." for kept in found if kept.reasons]
    return ["**Not to be quoted:**", *bullets(warned)] if warned else []


def published_section(sources: tuple[Source, ...]) -> str:
    """What others measured: each row says by whom it was published."""
    parts = [PUBLISHED_BY_OTHERS]
    for source in sources:
        rows = [
            (
                f"{number.ms:.2f}".rstrip("0").rstrip("."),
                number.model,
                number.input_px,
                number.dtype,
                number.hardware,
            )
            for number in source.numbers
        ]
        whose = f"published by {source.published_by}"
        parts += [
            f"[{source.title}]({source.address}), {whose}, seen {source.seen}: {source.measured}.",
            table(("ms", "model", "input, px", "dtype", "hardware", ""), [(*row, whose) for row in rows]),
        ]
    return "\n\n".join(parts)


PUBLISHED_BY_OTHERS = """\
## Published by others

Nobody here ran these boards. The numbers were copied from stored copies of the pages named, read on the day given. Models,
runtimes and what was timed differ from table to table, and from the tables above: a ratio of two of them says little."""


if __name__ == "__main__":
    main()
