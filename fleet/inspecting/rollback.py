"""Back to the version before, on a device."""

from collections.abc import Sequence
from dataclasses import dataclass

import click

from edge_runtime.store.store import ALREADY
from fleet.answer import reading, take
from fleet.connection import Connection
from fleet.flashing.progress import FAILED
from fleet.history import Entry, me, now
from fleet.inspecting.asking import Asked
from fleet.inspecting.errors import NotAgreed, NoWayBack
from fleet.inspecting.status import ask_status
from fleet.runtime import find_runtime
from fleet.targets import Target
from fleet.terminal import Terminal


@dataclass(frozen=True)
class Way:
    """What a rollback would do."""

    leaving: str
    """The version that answers."""
    to: str
    """The one before."""


async def ask_way(target: Target, connection: Connection, name: str) -> Way:
    """Asks a device what a rollback of a model would do.

    Raises:
        NoWayBack: If there is no version before.
        FleetError: As `ask_status`.
    """
    status = await ask_status(target, connection, name)
    current, previous = next(((model.current, model.previous) for model in status.models), (None, None))
    if current is None or previous is None:
        raise NoWayBack(
            f"{target.name} has no version of {name} before {current or 'the first'}",
            f"litelens fleet status {name} shows what there is; litelens flash brings a version",
        )
    return Way(current, previous)


def agree(ways: Sequence[Asked[Way]], name: str) -> None:
    """Says what a rollback would do on each device, and asks whether it shall be done.

    Raises:
        NotAgreed: If the answer is no, or nobody is at the terminal.
    """
    for way in ways:
        said = f"{way.answer.leaving} -> {way.answer.to}" if way.answer else f"left out: {way.failure}"
        click.echo(f"{way.target.name}  {name} {said}", err=True)
    count = sum(way.answer is not None for way in ways)
    if not Terminal().attended:
        raise NotAgreed(f"a rollback on {count} devices, and nobody to say yes", "add --yes")
    if not click.confirm(f"Do so on {count} devices?", err=True):
        raise NotAgreed("nothing was done", "--to takes some of the devices")


@dataclass(frozen=True)
class Returned:
    """What a rollback did."""

    did: str
    """As the store says it: "rolled back", or "already" where another version answers than the one to leave."""
    leaving: str
    version: str | None
    """The one that answers now."""

    @property
    def said(self) -> str:
        """In words."""
        if self.did == ALREADY:
            return f"{self.version or 'nothing'} answers, not {self.leaving}: nothing has changed"
        return f"{self.did}: {self.leaving} -> {self.version}"


async def roll_back(target: Target, connection: Connection, name: str, leaving: str, why: str) -> Returned:
    """Takes a model back to the version before, if the one to leave is the one that answers.

    Raises:
        FleetError: As `find_runtime` and `Runtime.ask`.
    """
    runtime = await find_runtime(connection)
    told = ("--from", leaving, "--by", f"{me()} with litelens fleet", "--why", why)
    answer = await runtime.ask("store", "rollback", target.store, name, *told)
    with reading(runtime):
        return Returned(take(answer, "did", str), leaving, take(answer, "version", str | None))


def entry(asked: Asked[Returned], name: str, leaving: str | None, why: str) -> Entry:
    """A device's line of this workstation's history."""
    done = asked.answer
    return Entry(
        when=now(),
        device=asked.target.name,
        address=asked.target.address,
        model=name,
        version=(done and done.version) or "",
        sha256="",
        from_version=leaving,
        outcome=done.did if done else FAILED,
        phase="rollback",
        problem=asked.failure,
        why=why,
        seconds=0.0,
    )
