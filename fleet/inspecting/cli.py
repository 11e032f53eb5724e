"""The verb `fleet`: how the devices do, the way back, and what was done to them."""

import json
import shutil
import sys
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from edge_runtime.errors import WriteError
from edge_runtime.extras import extra
from edge_runtime.store.cli import telling
from fleet.history import Entry, append, read
from fleet.targets import targets_of, targets_options

_json = click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
_maybe_name = click.argument("name", metavar="[NAME]", required=False)


@click.group()
def fleet() -> None:
    """Say how devices do, take them back to the version before, say what was done to them."""


@fleet.command()
@_maybe_name
@targets_options
@_json
def status(name: str | None, to: str | None, fleet: Path | None, as_json: bool) -> None:
    """Say what each device runs: a line a device and model, or NAME's alone.

    Exit code 1 if a device does not answer, has no version or a damaged one, or no loop.

    \b
    litelens fleet status --fleet fleet.toml
    """
    with extra("fleet", "litelens fleet"):
        from fleet.inspecting.asking import ask_each, check_answered
        from fleet.inspecting.status import ask_status, check_well
        from fleet.inspecting.table import counts, table

    with telling(as_json):
        targets = targets_of(to, fleet)
    devices = ask_each(targets, lambda target, connection: ask_status(target, connection, name))
    facts = [
        asked.to_dict()
        | {"status": asked.answer and asdict(asked.answer)}
        | {"problems": asked.answer.problems if asked.answer else []}
        for asked in devices
    ]
    _tell({"devices": facts, "answering": counts(devices)}, as_json, _fitting(table(devices)))
    check_answered(devices)
    check_well(devices)


@fleet.command()
@click.argument("name", metavar="NAME")
@targets_options
@click.option("--from", "leaving", metavar="VERSION", help="Only where this one answers. [default: any]")
@click.option("--why", default="", metavar="TEXT", help="For the histories.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@_json
def rollback(
    name: str, to: str | None, fleet: Path | None, leaving: str | None, why: str, yes: bool, as_json: bool
) -> None:
    """Take the model NAME back to the version before, on each device.

    With --from it is safe to repeat. Without, the devices are asked first what they would do, and more than one
    are taken back only after a yes.

    \b
    litelens fleet rollback parts --fleet fleet.toml --from 20260301.083000 --why "too many false alarms"
    """
    with extra("fleet", "litelens fleet"):
        from fleet.inspecting.asking import ask_each, check_answered
        from fleet.inspecting.rollback import agree, ask_way, entry, roll_back

    with telling(as_json):
        targets = targets_of(to, fleet)
        left, without_way = dict.fromkeys(targets, leaving), []
        if leaving is None:
            ways = ask_each(targets, lambda target, connection: ask_way(target, connection, name))
            left = {way.target: way.answer.leaving for way in ways if way.answer}
            without_way = [way for way in ways if way.problem]
            if len(left) > 1 and not yes:
                agree(ways, name)
    done = ask_each(
        tuple(left), lambda target, connection: roll_back(target, connection, name, left[target], why)
    )
    done = sorted((*without_way, *done), key=lambda asked: asked.target.name)
    _remember(entry(asked, name, left.get(asked.target), why) for asked in done)
    facts = [asked.to_dict() | {"done": asked.answer and asdict(asked.answer)} for asked in done]
    lines = [
        f"{asked.target.name}  {asked.answer.said if asked.answer else f'not done: {asked.failure}'}"
        for asked in done
    ]
    _tell({"name": name, "devices": facts}, as_json, lines)
    check_answered(done)


@fleet.command()
@_maybe_name
@targets_options
@_json
def history(name: str | None, to: str | None, fleet: Path | None, as_json: bool) -> None:
    """Say what was done from this workstation; with devices, what happened in their stores.

    Theirs are put together by the times that their clocks showed; a clock that is off now is told of.

    \b
    litelens fleet history parts --to pi@garden.local
    """
    with extra("fleet", "litelens fleet"):
        from fleet.inspecting.asking import ask_each, check_answered
        from fleet.inspecting.events import ask_history, device_facts, entry_line, merged, notes, torn_said

    if to is None and fleet is None:
        with telling(as_json):
            done = read()
        entries = [entry for entry in done.entries if name in (None, entry.model)]
        facts = {"entries": [entry.to_dict() for entry in entries], "damaged_lines": done.damaged_lines}
        _tell(facts, as_json, map(entry_line, entries), torn_said(done.damaged_lines))
        return
    with telling(as_json):
        targets = targets_of(to, fleet)
    devices = ask_each(targets, lambda target, connection: ask_history(target, connection, name))
    events = merged(devices)
    facts = {
        "devices": [device_facts(asked) for asked in devices],
        "events": [event.to_dict() for event in events],
    }
    _tell(facts, as_json, (event.line() for event in events), notes(devices))
    check_answered(devices)


def _tell(facts: dict[str, Any], as_json: bool, lines: Iterable[str], notes: Iterable[str] = ()) -> None:
    """Prints the one or the other; notes are for people, on stderr."""
    for line in [json.dumps(facts)] if as_json else lines:
        click.echo(line)
    for note in () if as_json else notes:
        click.echo(note, err=True)


def _remember(entries: Iterable[Entry]) -> None:
    """Writes this workstation's history; what is done is done, whether that can be written or not."""
    try:
        for entry in entries:
            append(entry)
    except WriteError as problem:
        click.echo(f"warning: {problem}; {problem.hint}", err=True)


def _fitting(lines: Iterable[str]) -> list[str]:
    """At a terminal, a device is a line: what is beyond the screen's edge, --json and a pipe have."""
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
    return [line[:width] for line in lines]
