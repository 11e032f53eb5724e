"""The flash of one device, phase by phase; each leaves the device whole, wherever it ends."""

from contextlib import suppress

from edge_runtime.errors import LitelensError
from edge_runtime.store.history import printable
from fleet.connection import Connection, connect
from fleet.errors import DeviceRefused, FleetError
from fleet.files import upload
from fleet.flashing import progress as phases
from fleet.flashing.answers import There, ask_device
from fleet.flashing.checks import INSTALL, NOTHING, WATCH, next_step
from fleet.flashing.errors import CheckMissed
from fleet.flashing.flash import Flash
from fleet.flashing.progress import Outcome, Progress
from fleet.flashing.watch import Watch
from fleet.runtime import ANSWER_S, Runtime, find_runtime
from fleet.targets import Target
from fleet.terminal import Terminal

INSTALL_S = 600.0
"""For the self-test, which takes a minute at most, and for a slow card."""

# $1 sha256. Prints the folder for this file. What other flashes have left there, uploads that nobody went on with, is
# removed after a day.
_PREPARE = """
cache="${XDG_CACHE_HOME:-$HOME/.cache}/litelens/flash"
mkdir -p "$cache/$1" &&
    find "$cache" -mindepth 1 -maxdepth 1 -mtime +0 ! -name "$1" -exec rm -rf {} + && echo "$cache/$1"
"""
# $1 sha256. Then the folders above, if they are empty.
_REMOVE = """
cd "${XDG_CACHE_HOME:-$HOME/.cache}/litelens/flash" && rm -rf "./$1" && rmdir "$PWD" "${PWD%/*}" 2>/dev/null
"""


async def flash_device(progress: Progress, flash: Flash, terminal: Terminal) -> Outcome:
    """Brings a model file to a device, and waits until it has shown there that it works.

    Args:
        progress: Of the device; it is told the phases, and the outcome, which is that of a cancelled flash too.
        flash: What is to be done.
        terminal: Where a person is asked for what a login needs.
    """
    outcome = Outcome(
        phases.INTERRUPTED, "", "the same litelens flash again goes on from there; a trial ends by itself"
    )
    try:
        outcome = await _flash(progress, flash, terminal)
    except LitelensError as problem:
        refused = flash.dry_run and isinstance(problem, CheckMissed)
        what = phases.REFUSED if refused else phases.FAILED
        message = printable(str(problem)).removeprefix(f"{progress.target.address}: ")
        outcome = Outcome(what, message, printable(problem.hint), problem.exit_code == 3)
    finally:
        progress.end(outcome)
    return outcome


async def _flash(progress: Progress, flash: Flash, terminal: Terminal) -> Outcome:
    target = progress.target
    progress.enter(phases.CONNECT)
    async with connect(target.address, terminal) as connection:
        progress.enter(phases.CHECK)
        runtime = await find_runtime(connection)
        there = await _ask(runtime, flash, target)
        progress.from_version = there.model.current
        step = next_step(there, flash, target)
        if step == WATCH:
            progress.from_version = there.model.previous
        if flash.dry_run and step != NOTHING:
            return Outcome(phases.WOULD_FLASH, "it is on trial there already" if step == WATCH else "")
        if step == INSTALL:
            step = await _install(runtime, progress, flash)
        elif not flash.dry_run:
            await _remove(connection, flash)  # of a flash that was cut after the switch
        if step == NOTHING:
            return Outcome(phases.ALREADY)
        if not flash.trial_s:
            return Outcome(phases.FLASHED)
        progress.enter(phases.WATCH)
        return Outcome(phases.FLASHED, await Watch(target, flash).follow(runtime))


async def _ask(runtime: Runtime, flash: Flash, target: Target) -> There:
    try:
        return await ask_device(runtime, target.store, flash.name)
    except DeviceRefused as problem:
        if problem.kind != "StoreMissing":
            raise
        raise CheckMissed(
            str(problem), f"litelens provision {target.address}; or {problem.hint}"
        ) from problem


async def _install(runtime: Runtime, progress: Progress, flash: Flash) -> str:
    """Sends the file, has the device try it and switch to it, and removes what was sent; returns the next step."""
    connection, target = runtime.connection, progress.target
    progress.enter(phases.UPLOAD)
    prepare = ("sh", "-c", _PREPARE, "sh", flash.sha256)
    folder = (await connection.check(prepare, timeout_s=ANSWER_S)).rstrip("\n")
    file = f"{folder}/{flash.name}.tflite"
    await upload(connection, flash.file, file, sha256=flash.sha256, progress=progress.sent)
    progress.enter(phases.INSTALL)
    options = ["--sha256", flash.sha256, "--by", flash.by, "--why", flash.why]
    if flash.max_latency_ms is not None:
        options += ["--max-latency-ms", f"{flash.max_latency_ms:g}"]
    if flash.trial_s:
        options += ["--trial", f"{flash.trial_s:g}"]
    # After a cut the next flash goes on from what was sent.
    try:
        await runtime.ask("store", "install", target.store, flash.name, file, *options, timeout_s=INSTALL_S)
    except DeviceRefused:
        await _remove(connection, flash)
        # Another flash of the same file may have been first, and have removed what both sent.
        there = await _ask(runtime, flash, target)
        if there.model.sha256_of(there.model.current) != flash.sha256:
            raise
        return next_step(there, flash, target)
    await _remove(connection, flash)
    return WATCH


async def _remove(connection: Connection, flash: Flash) -> None:
    with suppress(FleetError):  # after a day the next flash does it
        await connection.run(("sh", "-c", _REMOVE, "sh", flash.sha256), timeout_s=ANSWER_S)
