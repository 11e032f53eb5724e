"""From a repository to the model in use: look, verify, hand over to be tried, remember what came of it."""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from time import monotonic
from typing import Protocol

from edge_runtime.errors import (
    InterpreterError,
    LitelensError,
    MissingExtraError,
    ModelFileError,
    SelfTestFailed,
    WriteError,
)
from edge_runtime.selftest import SelfTestUnfinished
from edge_runtime.store.errors import VersionRefused
from edge_runtime.store.lock import Lock
from edge_runtime.updating.device_id import device_id
from edge_runtime.updating.errors import NotReached, RepositoryRefused, UpdateError
from edge_runtime.updating.fetching import Fetched, Limits, Request
from edge_runtime.updating.offers import STABLE, OfferError
from edge_runtime.updating.state import State, make_like_parent, read_state, write_state

INSTALLED, IN_USE, REFUSED_BEFORE, LEFT, NOTHING = "installed", "in use", "refused before", "left", "nothing"
_TURN_S = 0.2
_FETCHING_RAISES = (NotReached, RepositoryRefused, UpdateError, OfferError, WriteError, MissingExtraError)
REFUSALS = (VersionRefused, ModelFileError, SelfTestFailed, SelfTestUnfinished, InterpreterError)
"""What says that this device will not take this file, however often it is tried."""


@dataclass(frozen=True)
class Source:
    """Where updates come from, and who vouches for them."""

    address: str
    """http:// or https://, the folder that `litelens publish` writes."""
    root: Path
    """The root metadata that this device was given to trust."""
    channel: str = STABLE
    name: str | None = None
    """Which model; None: the only one that the repository has."""


class Installer(Protocol):
    """What tries a verified model file, and puts it to use."""

    def in_use(self, name: str) -> str | None:
        """The sha256 of the file that is in use for a model; None: there is none."""

    def install(self, path: Path, name: str, sha256: str) -> None:
        """Tries a file on this device and has it used, or leaves all as it was.

        Raises:
            LitelensError: Why not. `VersionRefused`, `ModelFileError`, `SelfTestFailed`, `SelfTestUnfinished` and
                `InterpreterError` are remembered, and that file is not fetched again; after others it is.
        """


@dataclass(frozen=True)
class Outcome:
    """What came of one look."""

    what: str
    """INSTALLED now; IN_USE already; REFUSED_BEFORE by this device; LEFT as it is, because a person went back from that
    version; NOTHING: the channel has no version for this device."""
    name: str
    version: str
    """What the channel offers this device, or ""."""
    reason: str
    """Why it was refused before, or ""."""
    note: str
    """What a person should know although all went well, or ""."""

    def __str__(self) -> str:
        said = {
            INSTALLED: f"{self.name} {self.version} is in use now",
            IN_USE: f"{self.name} {self.version} is in use already",
            REFUSED_BEFORE: f"{self.name} {self.version} was refused before: {self.reason}",
            LEFT: f"{self.name} {self.version} was in use before and is left aside",
            NOTHING: f"there is no {self.name} for this device",
        }[self.what]
        return f"{said}; {self.note}" if self.note else said


def update(
    source: Source,
    folder: Path,
    installer: Installer,
    *,
    again: bool = False,
    limits: Limits | None = None,
    stop: threading.Event | None = None,
) -> Outcome:
    """Looks at the repository once, and has installed what it offers this device; from any thread.

    Args:
        source: Where to look.
        folder: What is remembered between looks; one for each store, made in its folder if it is not there.
        installer: Tries a new file and puts it to use.
        again: Also take a version that was refused before, or that a person went back from.
        limits: What the server may take of this device's time.
        stop: Set where the look is to end soon, from another thread.

    Raises:
        NotReached: If the repository does not answer; it may another time.
        RepositoryRefused: If what it serves is not what its keys vouch for.
        UpdateError: If it cannot be looked for as asked, or `stop` was set.
        StoreBusy: If somebody else is looking.
        LitelensError: What the installer raises; and what `fetching.fetch` does.
    """
    with _alone(folder):
        state = read_state(folder)
        found = _ask(_request(source, folder, state, installer, again, limits or Limits()), stop)
        state = replace(state, known_time_s=found.time_s)
        if found.path:
            return _install(found, folder, state, installer)
        return _nothing_to_do(found, folder, state, installer)


def _request(
    source: Source, folder: Path, state: State, installer: Installer, again: bool, limits: Limits
) -> Request:
    passed_over = set() if again else {*state.taken.values(), *state.refused}
    in_use = installer.in_use(source.name) if source.name else None
    return Request(
        source.address,
        os.path.abspath(source.root),
        os.path.abspath(folder),
        source.name,
        source.channel,
        device_id(folder),
        state.known_time_s,
        tuple(sorted(passed_over | ({in_use} if in_use else set()))),
        limits,
    )


def _install(found: Fetched, folder: Path, state: State, installer: Installer) -> Outcome:
    path = Path(found.path)
    write_state(folder, state)
    try:
        installer.install(path, found.name, found.sha256)
    except REFUSALS as problem:
        write_state(folder, state.refuse(found.sha256, str(problem)))
        raise
    finally:
        path.unlink(missing_ok=True)
    write_state(folder, state.take(found.name, found.sha256))
    return Outcome(INSTALLED, found.name, found.version, "", found.note)


def _nothing_to_do(found: Fetched, folder: Path, state: State, installer: Installer) -> Outcome:
    reason = state.refused.get(found.sha256, "")
    if not found.version:
        what = NOTHING
    elif found.sha256 == installer.in_use(found.name):
        # Also one that came by another way, such as ssh: a person who goes back from it is to be left alone.
        what, reason = IN_USE, ""
        state = state.take(found.name, found.sha256)
    else:
        what = REFUSED_BEFORE if reason else LEFT
    write_state(folder, state)
    return Outcome(what, found.name, found.version, reason, found.note)


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Keeps a second process, or thread, from looking at the same time: each would undo what the other keeps.

    Raises:
        StoreBusy: If somebody else is looking.
        WriteError: If the folder takes no file.
    """
    try:
        make_like_parent(folder)
        with Lock(folder / "lock", "a look for updates", wait_s=0.0, mode=0o644):
            yield
    except OSError as problem:
        raise WriteError(
            f"cannot write to {folder}: {problem}", "check its permissions and the disk's free space"
        ) from problem


def _ask(request: Request, stop: threading.Event | None) -> Fetched:
    """What `fetching` finds, in a process of its own."""
    # The same modules as here, whatever lies in the working directory.
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    process = subprocess.Popen(
        [sys.executable, "-P", "-m", "edge_runtime.updating.fetching"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
    )
    try:
        out, err = _communicate(process, json.dumps(asdict(request)), request, stop)
    finally:
        process.kill()
        process.wait()
    if process.returncode:
        last = (err.strip().splitlines() or ["nothing"])[-1]
        raise UpdateError(
            f"the process that looks for updates failed with exit code {process.returncode}, saying: {last}",
            "litelens doctor looks at this installation",
        )
    told = json.loads(out.splitlines()[-1])
    if "error" in told:
        raise _error(told)
    return Fetched(**told)


def _communicate(
    process: subprocess.Popen, text: str, request: Request, stop: threading.Event | None
) -> tuple[str, str]:
    end_s = monotonic() + request.limits.longest_s
    given: str | None = text
    while True:
        try:
            return process.communicate(given, timeout=_TURN_S)
        except subprocess.TimeoutExpired:
            given = None  # it keeps what it has not written yet
        if stop and stop.is_set():
            raise UpdateError("the look for updates was ended", "it is taken up again by the next one")
        if monotonic() > end_s:
            raise NotReached(
                f"{request.address} took longer than {request.limits.longest_s:.0f} s",
                "it is tried again later",
            )


def _error(told: dict) -> LitelensError:
    """The other process's error, of the class that it had there."""
    kinds = {kind.__name__: kind for kind in _FETCHING_RAISES}
    return kinds.get(told["error"], LitelensError)(told["message"], told["hint"])
