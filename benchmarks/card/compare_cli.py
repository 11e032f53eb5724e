"""The command `litelens bench compare`."""

import dataclasses
import json
import math
from collections.abc import Iterator
from pathlib import Path

import click

from benchmarks.card.compare import Change, Comparison, Gate, Outcome
from benchmarks.card.compare import compare as compare_cards
from benchmarks.card.contract import Card
from benchmarks.card.facts import MIB, Name, percent
from benchmarks.card.json_file import read_card
from benchmarks.card.ratio import CONFIDENCE, MOST_WINDOWS, Ratio
from edge_runtime.errors import LitelensError
from edge_runtime.whole_file import write_whole


class Regressed(LitelensError):
    """A frame takes longer than was allowed."""

    exit_code = 3


def _finite(context: click.Context, option: click.Parameter, value: float | None) -> float | None:
    """click's FloatRange lets nan pass, which is neither below nor above anything."""
    if value is not None and not math.isfinite(value):
        raise click.BadParameter(f"{value} is no percentage.")
    return value


@click.command()
@click.argument("old", metavar="A.json", type=click.Path(path_type=Path))
@click.argument("new", metavar="B.json", type=click.Path(path_type=Path))
@click.option(
    "--max-regression",
    type=click.FloatRange(min=0),
    callback=_finite,
    metavar="PERCENT",
    help="Exit with 3 if a frame of B surely takes more than PERCENT longer.",
)
@click.option("--force", is_flag=True, help="Compare other boards, threads, models, too.")
@click.option(
    "--json",
    "json_path",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Also write the comparison to FILE as JSON.",
)
def compare(old: Path, new: Path, max_regression: float | None, force: bool, json_path: Path | None) -> None:
    """Say whether card B is faster than card A.

    Compares the median whole frame, with a 95 % interval of the ratio that knows of the drift between windows.
    Both must be of the same board, interpreter, threads, frame and model.

    \b
    litelens bench compare before.json after.json --max-regression 5
    """
    old_card, new_card = read_card(old), read_card(new)
    found = compare_cards(old_card, new_card, max_regression_percent=max_regression, force=force)
    for warning in found.warnings:
        click.echo(f"warning: {warning}", err=True)
    click.echo(table(found, (old, old_card), (new, new_card)))
    if json_path:
        write_whole(json_path, (json.dumps(dataclasses.asdict(found), indent=1) + "\n").encode())
    if found.gate and found.gate.outcome is Outcome.MISSED:
        hint = f"see which stage it is in both cards; if it is meant, keep {new} as the reference from now on"
        if not found.quotable:
            hint = "these cards may not be quoted: measure both again, on a machine that does nothing else, before you believe it"
        raise Regressed(
            f"{new} is slower than allowed: the median time of a frame changes by "
            f"{_interval(found.ratio)}, allowed is {found.gate.max_regression_percent:+g} %",
            hint,
        )


def table(found: Comparison, old: tuple[Path, Card], new: tuple[Path, Card]) -> str:
    """The comparison as text for people."""
    ratio = found.ratio
    lines = [
        *(f"{name:10}{_card(*card)}" for name, card in (("old", old), ("new", new))),
        *(f"{'differs':10}{difference}" for difference in found.differences),
        "",
        f"{found.verdict}: the median time of a whole frame changes by {_percent(ratio.value)} "
        f"({percent(CONFIDENCE, 0)} interval {_interval(ratio)})",
        *(
            []
            if found.quotable
            else ["a hint, not a finding: see the warnings for why the cards may not be quoted"]
        ),
        "",
        f"{'':20}{'old':>12}{'new':>12}         change",
        _row(Change("whole p50", "ms", found.old_median_ms, found.new_median_ms)),
        *map(_row, found.changes),
    ]
    if found.gate:
        lines += ["", *_judged(found.gate, found.ratio.windows)]
    return "\n".join(lines)


def _card(path: Path, card: Card) -> str:
    model, setting = card.model, card.setting
    return (
        f"{path}: {' '.join(filter(None, map(Name, (model.name, model.version))))}, {setting.threads} "
        f"thread{'s' if setting.threads > 1 else ''}, {Name(card.machine.cpu)}, {Name(card.created)}"
    )


def _row(change: Change) -> str:
    unit = {"share": "%", "bytes": "MiB"}.get(change.unit, change.unit)
    figures = "".join(f"{_figure(value, change.unit):>12}" for value in (change.old, change.new))
    return f"{change.name + ', ' + unit:20}{figures}{_changed(change):>15}".rstrip()


def _figure(value: float | None, unit: str) -> str:
    if value is None:
        return "-"
    return f"{value * {'share': 100, 'bytes': 1 / MIB}.get(unit, 1):.2f}"


def _changed(change: Change) -> str:
    if change.old is None or change.new is None:
        return ""
    if change.unit == "share":
        return f"{100 * (change.new - change.old):+.2f} points"
    return _percent(change.new / change.old) if change.old else ""


def _interval(ratio: Ratio) -> str:
    return f"{100 * (ratio.low - 1):+.1f} to {_percent(ratio.high)}"


def _percent(ratio: float) -> str:
    return f"{100 * (ratio - 1):+.1f} %"


def _judged(gate: Gate, windows: tuple[int, int]) -> Iterator[str]:
    yield f"regression of at most {gate.max_regression_percent:g} %: {gate.outcome}"
    if gate.outcome is not Outcome.NOT_PROVEN:
        return
    yield "The limit lies in the interval, so the runs show neither that it holds nor that it does not."
    if min(windows) < 2:
        yield "A run of one window cannot tell: bench again without --quick."
    elif gate.windows is None:
        yield f"More than {MOST_WINDOWS} windows of each would be needed; a machine that does nothing else needs fewer."
    else:
        more = gate.windows - min(windows)
        yield f"About {more} windows more of each would tell; on a machine that does nothing else it may be fewer."
