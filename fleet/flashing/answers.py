"""What `litelens store` answers on a device."""

from dataclasses import dataclass, fields
from typing import Any

from edge_runtime.store.device import DeviceFacts
from edge_runtime.store.history import Event
from fleet.answer import reading, take
from fleet.runtime import Runtime

_LONGEST_S = 1e6
"""No trial lasts so long; a number that is none is not below it either."""


@dataclass(frozen=True)
class TrialThere:
    """A version on trial, as `litelens store list` tells of it."""

    version: str
    left_s: float
    starts: int
    """How often a loop has started with it."""
    by: str


@dataclass(frozen=True)
class ModelThere:
    """A model in a device's store."""

    current: str | None = None
    previous: str | None = None
    """What it would go back to."""
    trial: TrialThere | None = None
    running: bool | None = None
    """Whether a loop runs it; None: unknown, as where there is no version yet."""
    problem: str = ""
    """Why its folder cannot be written, or ""."""
    sha256: tuple[tuple[str, str], ...] = ()
    """Of each version's file."""

    def sha256_of(self, version: str | None) -> str | None:
        """Of a version's file; None where it is not in the store."""
        return dict(self.sha256).get(version)


@dataclass(frozen=True)
class There:
    """A device's answer before a flash."""

    litelens: str
    """Its version."""
    facts: DeviceFacts | None
    """None: its litelens is too old to tell."""
    model: ModelThere
    """The one to be flashed; without versions where the store does not have it."""


async def ask_device(runtime: Runtime, store: str, name: str) -> There:
    """What a device says of itself and of a model.

    Raises:
        DeviceRefused: If its store cannot be read; kind "StoreMissing" where there is none.
        AnswerUnreadable: If it says what no litelens says.
        FleetError: As `Runtime.ask`.
    """
    answer = await runtime.ask("store", "list", store)
    with reading(runtime):
        facts = answer.get("device")
        if facts is not None:
            kinds = {field.name: field.type for field in fields(DeviceFacts)}
            facts = DeviceFacts(**{key: take(facts, key, kind) for key, kind in kinds.items()})
        return There(runtime.version, facts, _model(answer, name) or ModelThere())


async def ask_model(runtime: Runtime, store: str, name: str) -> ModelThere:
    """What a device says of a model in its store.

    Raises:
        DeviceRefused, AnswerUnreadable, FleetError: As `ask_device`.
    """
    answer = await runtime.ask("store", "list", store, name)
    with reading(runtime):
        return _model(answer, name) or ModelThere()


async def ask_history(runtime: Runtime, store: str, name: str) -> list[Event]:
    """What happened to a model in a device's store, oldest first.

    Raises:
        DeviceRefused, AnswerUnreadable, FleetError: As `ask_device`.
    """
    answer = await runtime.ask("store", "history", store, name)
    with reading(runtime):
        return [Event.from_dict(event) for event in take(answer, "events", list)]


def _model(answer: dict[str, Any], name: str) -> ModelThere | None:
    for model in take(answer, "models", list):
        if take(model, "name", str) != name:
            continue
        trial = model.get("trial")
        versions = take(model, "versions", list)
        return ModelThere(
            current=take(model, "current", str | None),
            previous=take(model, "previous", str | None),
            trial=None if trial is None else _trial(trial),
            running=model.get("running") if isinstance(model.get("running"), bool) else None,
            problem=take({"problem": ""} | model, "problem", str),
            sha256=tuple((take(each, "version", str), take(each, "sha256", str)) for each in versions),
        )
    return None


def _trial(trial: Any) -> TrialThere:
    left_s = float(take(trial, "left_s", int | float))
    if not 0 <= left_s < _LONGEST_S:
        raise ValueError(f"left_s is {left_s}")
    return TrialThere(take(trial, "version", str), left_s, take(trial, "starts", int), take(trial, "by", str))
