"""Whether a device can take a model, decided before a byte is sent."""

from collections.abc import Iterator

from edge_runtime.model_file import SCHEMA_VERSION
from edge_runtime.store.device import DeviceFacts
from edge_runtime.store.reserve import SIZE_BYTES as RESERVE_BYTES
from fleet.flashing.answers import ModelThere, There
from fleet.flashing.errors import CheckMissed
from fleet.flashing.flash import Flash
from fleet.targets import Target

MACHINES = ("aarch64", "armv7l", "x86_64")
"""Those that a TFLite interpreter is published for."""
INSTALL, WATCH, NOTHING = "install", "watch", "nothing"
"""What is left to do: all of it; an earlier flash of these bytes is on trial; they answer already."""


def next_step(there: There, flash: Flash, target: Target) -> str:
    """INSTALL, WATCH or NOTHING.

    Raises:
        CheckMissed: If the device cannot take the model; the message names all that is in the way.
    """
    model = there.model
    if model.current and model.sha256_of(model.current) == flash.sha256:
        return WATCH if model.trial and flash.trial_s else NOTHING
    found = list(_problems(there, flash, target))
    if found:
        messages, hints = zip(*found, strict=True)
        raise CheckMissed(f"{target.address}: {'; '.join(messages)}", "; ".join(dict.fromkeys(hints)))
    return INSTALL


def _problems(there: There, flash: Flash, target: Target) -> Iterator[tuple[str, str]]:
    """What is in the way, each with what to do."""
    if there.facts is None:
        yield (
            f"its litelens, {there.litelens}, is older than this one and does not say what is checked before a flash",
            _provision(target),
        )
        return
    yield from _device_problems(there.facts, flash, target)
    yield from _model_problems(there.model, flash, target)


def _device_problems(facts: DeviceFacts, flash: Flash, target: Target) -> Iterator[tuple[str, str]]:
    if facts.interpreter is None and facts.machine not in MACHINES:
        machines = f"{', '.join(MACHINES[:-1])} and {MACHINES[-1]}"
        yield f"no TFLite interpreter is published for {facts.machine}", f"litelens runs on {machines}"
    elif facts.interpreter is None:
        yield f"no TFLite interpreter can be loaded there: {facts.interpreter_problem}", _provision(target)
    if facts.schema_version != SCHEMA_VERSION:
        older = "device" if facts.schema_version < SCHEMA_VERSION else "workstation"
        yield (
            f"its litelens, {facts.litelens}, reads model files of schema {facts.schema_version}, "
            f"this one has schema {SCHEMA_VERSION}",
            _provision(target)
            if older == "device"
            else "update litelens on this machine: pip install --upgrade litelens",
        )
    needed = 2 * flash.size_bytes + RESERVE_BYTES
    if facts.free_bytes < needed:
        yield (
            f"{facts.free_bytes} bytes are free at {target.store}, expected at least {needed}: twice the file, and "
            "what a rollback needs",
            "free some disk space there",
        )
    if facts.problem:
        yield facts.problem, f"{_provision(target)} gives the store to the user who logs in"


def _model_problems(model: ModelThere, flash: Flash, target: Target) -> Iterator[tuple[str, str]]:
    if model.problem:
        yield model.problem, f"{_provision(target)} gives the store to the user who logs in"
    if model.sha256_of(flash.version) not in (None, "", flash.sha256):
        yield (
            f"{flash.name} {flash.version} is there with other bytes",
            "one version is one file: export again, which makes a new version",
        )
    if model.trial:
        yield (
            f"{flash.name} {model.trial.version} is on trial for {model.trial.by}, {model.trial.left_s:.0f} s left",
            "wait until it has ended, or end it: litelens fleet rollback",
        )
    elif model.current and model.running is False and flash.trial_s:
        yield (
            f"no litelens run watches a camera with {target.store}/{flash.name}/current, so a trial cannot be passed",
            "start it there, or flash with --trial 0",
        )


def _provision(target: Target) -> str:
    return f"litelens provision {target.address}"
