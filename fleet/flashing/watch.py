"""The trial of a version on a device, watched from here. The device ends it by itself, whoever looks or does not."""

import asyncio
from collections.abc import Iterator
from itertools import chain, repeat
from time import monotonic

from edge_runtime.store.state import LOADS_WITHIN_S, STARTS
from edge_runtime.store.store import ROLLED_BACK, TRIAL_FAILED
from fleet.connection import connect
from fleet.errors import (
    ConnectionCut,
    DeviceRefused,
    FleetError,
    HostUnreachable,
    LoginRefused,
    RemoteTimeout,
)
from fleet.flashing.answers import ModelThere, ask_history, ask_model
from fleet.flashing.errors import TrialFailed, TrialUnseen
from fleet.flashing.flash import Flash
from fleet.runtime import Runtime, find_runtime
from fleet.targets import Target
from fleet.terminal import Terminal

POLL_S = 1.5
"""Between an answer and the next question, for which a board starts Python."""
UNSEEN_S = 90.0
"""A service that waits for its first model tries to start every 60 s (edge_runtime.service.unit)."""
RECONNECT_S = (1.0, 2.0, 4.0, 8.0, 15.0)
"""Pauses after a cut; the last again and again, as long as the trial lasts."""
_LOST = (ConnectionCut, HostUnreachable, LoginRefused, RemoteTimeout)
"""What may be over in a moment: a board that starts, and lets nobody in yet; a network that is away."""


class _Nobody(Terminal):
    """Nobody is asked again for what a board that starts would not take."""

    attended = False


class Watch:
    """Follows one trial to its end, over as many connections as that takes."""

    def __init__(self, target: Target, flash: Flash):
        """Takes the device and what was flashed."""
        self._target, self._flash = target, flash
        self._began_s = monotonic()
        self._left_until_s = self._began_s + flash.trial_s + LOADS_WITHIN_S
        # Each start of the board begins the trial's time anew; a device that never comes to an end is not waited for.
        self._gives_up_s = self._began_s + (STARTS + 1) * (flash.trial_s + LOADS_WITHIN_S)
        self._over = False

    async def follow(self, runtime: Runtime) -> str:
        """Waits until the trial has ended; returns what there is to know of one that went well, or "".

        Raises:
            TrialFailed: If the version before answers again, or the version failed and nothing was there before it.
            TrialUnseen: If the connection was cut and cannot be had again while the trial lasts.
            FleetError: If the device answers with an error.
        """
        try:
            return await self._follow(runtime)
        except _LOST as problem:
            lost = problem
        for pause_s in self._pauses():
            await asyncio.sleep(pause_s)
            try:
                async with connect(self._target.address, _Nobody()) as connection:
                    return await self._follow(await find_runtime(connection))
            except _LOST as problem:
                lost = problem
        raise self._unseen(lost) from lost

    def _pauses(self) -> Iterator[float]:
        for pause_s in chain(RECONNECT_S, repeat(RECONNECT_S[-1])):
            if monotonic() >= min(self._left_until_s, self._gives_up_s):
                return
            yield pause_s

    async def _follow(self, runtime: Runtime) -> str:
        store, name, version = self._target.store, self._flash.name, self._flash.version
        while True:
            model = await ask_model(runtime, store, name)
            trial = model.trial
            if model.current != version or trial is None:
                return await self._ended(runtime, model)
            self._left_until_s = monotonic() + trial.left_s
            if model.previous is None and not trial.starts and monotonic() - self._began_s > UNSEEN_S:
                return await self._keep_first(runtime)
            if not trial.left_s:
                await self._end(runtime)
            elif monotonic() > self._gives_up_s:
                raise TrialUnseen(
                    f"{name} {version} on {self._target.address} is still on trial after "
                    f"{monotonic() - self._began_s:.0f} s",
                    "see what it does there: litelens fleet status",
                )
            await asyncio.sleep(POLL_S)

    async def _keep_first(self, runtime: Runtime) -> str:
        """Ends the trial of a first version that nobody runs: there is nothing to go back to."""
        why = f"the first version; no litelens run has begun with it within {UNSEEN_S:g} s"
        store, name, version = self._target.store, self._flash.name, self._flash.version
        await runtime.ask("store", "confirm", store, name, version, "--by", self._flash.by, "--why", why)
        return f"nothing runs it yet; on the device: litelens run {store}/{name}/current --camera 0"

    async def _end(self, runtime: Runtime) -> None:
        """Goes back from a version whose time is over, which a running loop would have done."""
        if self._over:  # a moment was left for the loop to do it
            store, name, version = self._target.store, self._flash.name, self._flash.version
            why = f"no litelens run has confirmed it within {self._flash.trial_s + LOADS_WITHIN_S:g} s"
            try:
                command = ("store", "rollback", store, name, "--from", version)
                await runtime.ask(*command, "--by", self._flash.by, "--why", why)
            except DeviceRefused:
                # A first version cannot go back: the store has noted that by now, and ended the trial.
                if (await ask_model(runtime, store, name)).trial:
                    raise
        self._over = True

    async def _ended(self, runtime: Runtime, model: ModelThere) -> str:
        """What the device's history says of the trial's end."""
        name, version = self._flash.name, self._flash.version
        events = await ask_history(runtime, self._target.store, name)
        for event in reversed(events):
            concerned = event.from_version if event.what == ROLLED_BACK else event.to_version
            if concerned == version:
                break
        else:
            event = None
        why = f": {event.why}" if event and event.why else ""
        if model.current != version:
            raise TrialFailed(
                f"{self._target.address}: {name} {version} was left, {model.current or 'nothing'} answers again{why}",
                f"see all that happened: litelens fleet history {self._target.name}",
            )
        if event and event.what == TRIAL_FAILED:
            raise TrialFailed(
                f"{self._target.address}: {name} {version} failed on trial and stays{why}",
                "see what its litelens run says: journalctl --unit litelens",
            )
        return ""

    def _unseen(self, lost: FleetError) -> TrialUnseen:
        return TrialUnseen(
            f"{self._flash.name} {self._flash.version} is on trial on {self._target.address}, which ends it without this "
            f"workstation: it stays if it works there, else the version before comes back. {lost}",
            "litelens fleet status tells how it ended; the same litelens flash again goes on from there",
        )
