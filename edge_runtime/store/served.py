"""What `litelens run STORE/NAME/current` does for its store: counts starts, and says whether a version on trial works."""

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from time import monotonic

from edge_runtime.errors import LitelensError
from edge_runtime.live.status import Status
from edge_runtime.store.folder import STATE, folder_of
from edge_runtime.store.lock import in_use
from edge_runtime.store.state import Trial
from edge_runtime.store.store import Store, told

POLL_S = 1.0
"""How often the store is looked at; while nothing is on trial, that is one stat."""
BY = "litelens run"


class Served:
    """The store that a model file is the `current` of; with any other file it does nothing.

    No method raises: a store that cannot be written is no reason for a camera to stop.
    """

    def __init__(self, model: Path, report: Callable[[str], None], poll_s: float = POLL_S):
        """Takes the model file as it was named, and who is told in a line what happened."""
        folder = folder_of(model)
        self._store = Store(folder) if folder else None
        self._report, self._poll_s = report, poll_s
        self._told = ""
        self._ended = threading.Event()

    def started(self) -> None:
        """Counts a start, before the model is loaded; may go back to the version before, which is then loaded."""
        if self._store is None:
            return
        try:
            self._say(self._store.started(BY))
        except (LitelensError, OSError) as problem:
            self._say(f"this start is not counted: {problem}")

    @contextmanager
    def watched(self, status: Callable[[], Status]) -> Iterator[None]:
        """Looks after a trial in a thread of its own for the ``with`` block; `status` tells how the loop does."""
        if self._store is None:
            yield
            return
        thread = threading.Thread(
            target=self._watch, args=(self._store, status), name="litelens trial", daemon=True
        )
        thread.start()
        try:
            yield
        finally:
            self._ended.set()

    def _watch(self, store: Store, status: Callable[[], Status]) -> None:
        seen, done, health = None, False, _Health()
        with ExitStack() as loaded:
            while not self._ended.wait(self._poll_s):
                try:
                    now = os.stat(store.folder / STATE)
                    if done and (now.st_ino, now.st_mtime_ns) == seen:
                        continue
                    seen, done = (now.st_ino, now.st_mtime_ns), False
                    state, found = store.state(), status()
                    if state.trial:
                        self._say(_judge(store, state.trial, found, health))
                    elif found.model.version == state.current:
                        loaded.close()
                        done = loaded.enter_context(in_use(store.file(state.current)))
                except (LitelensError, OSError) as problem:
                    self._say(str(problem))

    def _say(self, line: str) -> None:
        if line and line != self._told:  # once, however often it is so
            self._told = line
            self._report(line)


class _Health:
    """How a loop does with the version on trial, from one look to the next."""

    def __init__(self):
        self._version: str | None = None
        self._refused_before = ""
        self._since_s: float | None = None

    def healthy_s(self, trial: Trial, status: Status) -> float:
        """For how long without a break. The sinks do not count: no model makes a broker vanish."""
        if trial.version != self._version:
            self._version, self._since_s = trial.version, None
            self._refused_before = status.model.refused
        if problem(trial, status):
            self._since_s = None
            return 0.0
        self._since_s = monotonic() if self._since_s is None else self._since_s
        return monotonic() - self._since_s

    def refusal(self, status: Status) -> str:
        """Why the loop does not take the version, or ""; what it said of an earlier file does not count."""
        if status.model.refused != self._refused_before:
            self._refused_before = ""
        return "" if self._refused_before else status.model.refused


def problem(trial: Trial, status: Status) -> str:
    """Why the loop is not healthy with the version on trial, or ""."""
    if status.model.version != trial.version:
        why = status.model.refused or "the new one is not loaded yet"
        return f"{status.model.version} answers still: {why}"
    if not status.camera.ok:
        return f"the camera is lost: {status.camera.error}"
    return "" if status.fps > 0 else "no frame was classified in the last seconds"


def _judge(store: Store, trial: Trial, status: Status, health: _Health) -> str:
    """Ends the trial if it is time to; returns what there is to say, or ""."""
    version, name = trial.version, store.name
    if health.healthy_s(trial, status) >= trial.healthy_s:
        store.confirm(version, by=BY, why=f"healthy for {trial.healthy_s:g} s")
    elif why := health.refusal(status):
        store.rollback(leaving=version, by=BY, why=f"the loop refused it: {why}")
    elif trial.left_s(store.moment()) <= 0:
        store.settle(BY, problem(trial, status) or "it was not so for long enough")
    else:
        return ""
    return f"{name} {version} {told(store.last_event(version))}"
