"""What the devices' own histories say, put together."""

import heapq
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from edge_runtime.store.history import Event, printable
from edge_runtime.store.names import is_safe
from fleet.answer import reading, take
from fleet.connection import Connection
from fleet.flashing.progress import FAILED, INTERRUPTED
from fleet.history import Entry
from fleet.inspecting.asking import Asked
from fleet.inspecting.status import clock_ahead_s
from fleet.inspecting.table import clock_said
from fleet.runtime import find_runtime
from fleet.targets import Target


@dataclass(frozen=True)
class Happened:
    """An event on one of the devices."""

    device: str
    model: str
    event: Event

    def to_dict(self) -> dict[str, Any]:
        """Ready for JSON."""
        return {"device": self.device, "model": self.model} | self.event.to_dict()

    def line(self) -> str:
        """For people."""
        event = self.event
        versions = _versions(event.from_version, event.to_version)
        why = f": {event.why}" if event.why else ""
        said = f"{event.when}  {event.what:11}  {self.model} {versions}{why} ({event.by})"
        return f"{self.device}  {printable(said)}"


@dataclass(frozen=True)
class DeviceHistory:
    """What a device says of its past."""

    models: tuple[tuple[Happened, ...], ...]
    """A model's events in the order in which they happened, wherever the clock jumped to."""
    damaged_lines: int
    """Lines that are no event: torn by a power cut, or altered."""
    clock_ahead_s: float
    """Against the clock here, now; below 0, it is behind."""


async def ask_history(target: Target, connection: Connection, name: str | None = None) -> DeviceHistory:
    """Asks a device what happened in its store.

    Args:
        target: The device.
        connection: To it.
        name: Of the only model that is asked for.

    Raises:
        AnswerUnreadable: If its litelens answers what none does.
        FleetError: As `find_runtime` and `Runtime.ask`.
    """
    runtime = await find_runtime(connection)
    ahead_s = await clock_ahead_s(runtime)
    listed = await runtime.ask("store", "list", target.store, *([name] if name else []))
    with reading(runtime):
        names = [take(model, "name", str) for model in take(listed, "models", list)]
        if not all(map(is_safe, names)):  # each becomes an argument
            raise ValueError(f"models are {names!r:.100}")
    models, damaged = [], 0
    for model in names:
        found = await runtime.ask("store", "history", target.store, model)
        with reading(runtime):
            events = map(Event.from_dict, take(found, "events", list))
            models.append(tuple(Happened(target.name, model, event) for event in events))
            damaged += take(found, "damaged_lines", int)
    return DeviceHistory(tuple(models), damaged, ahead_s)


def merged(devices: Sequence[Asked[DeviceHistory]]) -> list[Happened]:
    """All events by the times that the devices' clocks showed, the earliest first; those of a model stay in their order."""
    histories = [events for asked in devices if asked.answer for events in asked.answer.models]
    return list(heapq.merge(*histories, key=lambda happened: happened.event.when))


def notes(devices: Sequence[Asked[DeviceHistory]]) -> Iterator[str]:
    """What is to be known beside the events, in lines for people."""
    for asked in devices:
        name, history = asked.target.name, asked.answer
        if history is None:
            yield f"{name}: not asked: {asked.failure}"
            continue
        if clock := clock_said(history.clock_ahead_s):
            yield f"{name}: {clock}, so its times may be, too"
        yield from (f"{name}: {torn}" for torn in torn_said(history.damaged_lines))


def torn_said(damaged_lines: int) -> list[str]:
    """What there is to say of lines that are no event: one line, or none."""
    lines = "line" if damaged_lines == 1 else "lines"
    return [f"{damaged_lines} damaged {lines}, as a power cut leaves them"] if damaged_lines else []


def device_facts(asked: Asked[DeviceHistory]) -> dict[str, Any]:
    """What is to be known of a device beside its events; ready for JSON."""
    answer = asked.answer
    known = answer and {"clock_ahead_s": answer.clock_ahead_s, "damaged_lines": answer.damaged_lines}
    return asked.to_dict() | (known or {})


def entry_line(entry: Entry) -> str:
    """A line of this workstation's history, for people."""
    how = f"{entry.outcome} in {entry.phase}" if entry.outcome in (FAILED, INTERRUPTED) else entry.outcome
    more = "; ".join(filter(None, (entry.problem, entry.why and f"why: {entry.why}")))
    versions = _versions(entry.from_version, entry.version)
    said = f"{entry.when}  {how:11}  {entry.model} {versions}{more and f': {more}'}"
    return f"{entry.device}  {printable(said)}"


def _versions(before: str | None, after: str | None) -> str:
    return (after or before or "?") if before in (None, after) or not after else f"{before} -> {after}"
