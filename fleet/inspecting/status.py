"""How a device does: its litelens and its models, whether a loop runs them, the room on its disk, its clock."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from fleet.answer import reading, take
from fleet.connection import Connection
from fleet.inspecting.asking import Asked
from fleet.inspecting.errors import DevicesUnwell
from fleet.runtime import ANSWER_S, Runtime, find_runtime
from fleet.targets import Target

CLOCK_OFF_S = 60.0
"""A clock that is off by more is told of; the way there and back takes seconds at most."""


@dataclass(frozen=True)
class Trial:
    """A version that must show that it works, or go."""

    by: str
    """Who wants it."""
    left_s: float
    """Seconds until it has failed."""
    starts: int
    """How often the loop has started with it."""


@dataclass(frozen=True)
class ModelOnDevice:
    """One model in a device's store."""

    name: str
    current: str | None
    """The version that answers."""
    previous: str | None
    """What a rollback goes back to."""
    trial: Trial | None
    """Of `current`."""
    damaged: tuple[str, ...]
    """Versions whose files are no longer what they were."""
    running: bool | None
    """Whether a loop runs it; None: unknown."""


@dataclass(frozen=True)
class DeviceStatus:
    """A device that has answered."""

    litelens: str
    """Its version."""
    machine: str | None
    """Its kind of processor, as uname says it. None: its litelens is too old to tell, here and below."""
    interpreter: str | None
    """Library and version of what a model is loaded into."""
    free_bytes: int | None
    """What may still be written into the store's disk."""
    store_problem: str
    """Why the store cannot be written, or ""."""
    clock_ahead_s: float
    """Against the clock here; below 0, it is behind."""
    models: tuple[ModelOnDevice, ...]
    """By name; the one that was asked for, or all."""

    @property
    def problems(self) -> tuple[str, ...]:
        """Why somebody should look at it."""
        found = [self.store_problem] if self.store_problem else []
        found += [f"{model.name} {version} is damaged" for model in self.models for version in model.damaged]
        if not any(model.current for model in self.models):
            found.append("no version answers")
        elif all(model.running is False for model in self.models):
            found.append("no loop runs")
        return tuple(found)


async def ask_status(target: Target, connection: Connection, name: str | None = None) -> DeviceStatus:
    """Asks a device how it does.

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
    answer = await runtime.ask("store", "list", target.store)
    with reading(runtime):
        models = [_model(fields) for fields in take(answer, "models", list)]
        absent = {"machine": None, "interpreter": None, "free_bytes": None, "problem": ""}
        facts = absent | take({"device": {}} | answer, "device", dict)
        return DeviceStatus(
            litelens=runtime.version,
            machine=take(facts, "machine", str | None),
            interpreter=take(facts, "interpreter", str | None),
            free_bytes=take(facts, "free_bytes", int | None),
            store_problem=take(facts, "problem", str),
            clock_ahead_s=ahead_s,
            models=tuple(sorted((m for m in models if name in (None, m.name)), key=lambda model: model.name)),
        )


async def clock_ahead_s(runtime: Runtime) -> float:
    """By how many seconds a device's clock is ahead of the one here, to a second or two.

    Raises:
        AnswerUnreadable: If it is no number.
        FleetError: As `Connection.check`.
    """
    there = await runtime.connection.check(("date", "+%s"), timeout_s=ANSWER_S)
    here_s = time.time()
    with reading(runtime):
        return int(there) - here_s


def check_well(devices: Sequence[Asked[DeviceStatus]]) -> None:
    """Ends a command with an error where a device that has answered does not do its work.

    Raises:
        DevicesUnwell: Naming all such devices.
    """
    unwell = [device for device in devices if device.answer and device.answer.problems]
    if unwell:
        said = "; ".join(f"{device.target.name}: {', '.join(device.answer.problems)}" for device in unwell)
        raise DevicesUnwell(
            f"{len(unwell)} of {len(devices)} devices need a look. {said}",
            "what is damaged is mended by flashing the same file again; what keeps a loop from running is said there by: "
            "litelens service status",
        )


def _model(fields: Any) -> ModelOnDevice:
    """One of `litelens store list --json`; a ValueError where it is none."""
    trial = take(fields, "trial", dict | None)
    versions = take(fields, "versions", list)
    return ModelOnDevice(
        name=take(fields, "name", str),
        current=take(fields, "current", str | None),
        previous=take(fields, "previous", str | None),
        trial=trial
        and Trial(take(trial, "by", str), take(trial, "left_s", int | float), take(trial, "starts", int)),
        damaged=tuple(take(version, "version", str) for version in versions if take(version, "problem", str)),
        running=_running(fields, trial),
    )


def _running(fields: dict[str, Any], trial: dict[str, Any] | None) -> bool | None:
    found = None if fields.get("running") is None else take(fields, "running", bool)
    # A loop that began during a trial holds no lock on the version until that has ended (edge_runtime.store.served).
    return None if trial and not found else found
