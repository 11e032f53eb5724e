"""The verb `pull`. asyncssh and imagehash are imported only when it runs."""

import asyncio
import json
import os
import sys
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edge_runtime.errors import LitelensError
from edge_runtime.extras import extra
from edge_runtime.store.cli import telling
from edge_runtime.store.history import printable
from fleet.targets import Target, targets_argument, targets_of

if TYPE_CHECKING:
    from fleet.pulling.pulling import Tally

AT_ONCE = 16
"""Devices: each has up to 40 MB in memory here, and the pictures are decoded one a core anyway."""


@click.command()
@targets_argument
@click.option(
    "--to",
    "folder",
    required=True,
    type=click.Path(path_type=Path, file_okay=False),
    metavar="DIR",
    help="Where the pictures go, in a folder a class; made where it is not there.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object, errors too.")
def pull(devices: str | None, fleet: Path | None, folder: Path, as_json: bool) -> None:
    """Bring hard examples and saved frames here, for training.

    DEVICES is user@host[:port][,user@host ...], or with --fleet names of its devices. What came before does not come
    again, wherever you have put it, nor what looks like another picture of its class; on the devices nothing is deleted.
    Frames that were saved lie in the class that a person gave them, saved-*.jpg. Hard examples lie in the model's best
    guess, guess-*.jpg: look through them before you train on them.

    \b
    litelens pull pi@garden.local --to pulled
    litelens audit pulled
    """
    with telling(as_json):
        targets = targets_of(devices, fleet)
        with extra("fleet", "litelens pull"):
            from fleet.pulling.collection import open_collection
            from fleet.pulling.pulling import Tally
        tallies = {target: Tally() for target in targets}
        with open_collection(folder) as collection, ThreadPoolExecutor(os.cpu_count()) as pool:
            problems = asyncio.run(_pull(tallies, collection, pool, as_json))
    if as_json:
        click.echo(json.dumps(_facts(folder, tallies, problems)))
    else:
        for line in _summary(folder, tallies):
            click.echo(line)
    if problems:
        sys.exit(1)


async def _pull(
    tallies: dict[Target, "Tally"], collection, pool: ThreadPoolExecutor, as_json: bool
) -> dict[Target, LitelensError]:
    """The devices that failed, and why."""
    from fleet.many import on_each
    from fleet.pulling.pulling import pull_from

    def say(line: str) -> None:
        click.echo(line, err=True)

    async def work(target: Target, connection) -> None:
        await pull_from(target, connection, collection, tallies[target], pool, say)

    problems: dict[Target, LitelensError] = {}
    async with aclosing(on_each(tallies, work, AT_ONCE)) as ended:
        async for target, result in ended:
            if not as_json:
                for line in _lines(target, tallies[target], isinstance(result, LitelensError)):
                    click.echo(line)
            if isinstance(result, LitelensError):
                problems[target] = result
                click.echo(f"error: {printable(str(result))}\nhint: {result.hint}", err=True)
    return problems


def _lines(target: Target, tally: "Tally", failed: bool) -> Iterator[str]:
    came = sum(tally.came.values())
    if came:
        yield f"{target.name}: {came} came: {', '.join(_of_classes(tally.came))}"
    elif tally.left_out:
        yield f"{target.name}: nothing new"
    elif not failed:
        yield f"{target.name}: nothing to pull: no hard examples, no saved frames in {target.state}"
    if tally.left_out:
        reasons = (f"{count} {why}" for why, count in sorted(tally.left_out.items()))
        yield f"  left out: {', '.join(reasons)}"


def _of_classes(came: Counter[tuple[str, str]]) -> Iterator[str]:
    """Such as "gear 12 (3 guessed)"."""
    from fleet.pulling.listing import HARD_EXAMPLE, SAVED

    for label in sorted({label for label, _ in came}):
        guesses, saved = came[label, HARD_EXAMPLE], came[label, SAVED]
        yield f"{label} {guesses + saved}{f' ({guesses} guessed)' if guesses else ''}"


def _summary(folder: Path, tallies: dict[Target, "Tally"]) -> Iterator[str]:
    came = _total(tallies)
    guesses = _guesses(came)
    if len(tallies) > 1:
        yield f"all: {sum(came.values())} came{': ' if came else ''}{', '.join(_of_classes(came))}"
    if guesses:
        yield (
            f"{guesses} lie in the class that the model guessed, {folder}/*/guess-*.jpg: before training, move "
            "each wrong one to its class's folder or delete it; neither comes again"
        )


def _total(tallies: dict[Target, "Tally"]) -> Counter[tuple[str, str]]:
    return sum((tally.came for tally in tallies.values()), Counter())


def _guesses(came: Counter[tuple[str, str]]) -> int:
    from fleet.pulling.listing import HARD_EXAMPLE

    return sum(count for (_, kind), count in came.items() if kind == HARD_EXAMPLE)


def _facts(
    folder: Path, tallies: dict[Target, "Tally"], problems: dict[Target, LitelensError]
) -> dict[str, Any]:
    came = _total(tallies)
    devices = [
        {
            "name": target.name,
            "address": target.address,
            "came": [{"class": c, "kind": k, "count": n} for (c, k), n in sorted(tally.came.items())],
            "left_out": dict(tally.left_out),
            "error": _described(problems[target]) if target in problems else None,
        }
        for target, tally in tallies.items()
    ]
    return {
        "folder": str(folder),
        "came": sum(came.values()),
        "guesses": _guesses(came),
        "devices": devices,
    }


def _described(error: LitelensError) -> dict[str, str]:
    return {"kind": type(error).__name__, "message": str(error), "hint": error.hint}
