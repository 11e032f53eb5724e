"""Replaces the model under a running loop: a new file is loaded and tested beside the old one, or refused."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Self

from edge_runtime.errors import LitelensError
from edge_runtime.live.model import LoadedModel, signature
from edge_runtime.live.status import ModelStatus

POLL_S = 1.0
"""How often the file is looked at."""
TRIAL_S = 60
"""How long a new file's self-test may take; a Pi Zero needs seconds to start Python."""


class NewModelRefused(LitelensError):
    """A new model file crashes or hangs the interpreter, or fails its self-test."""


class RunningModel:
    """The model in use, and a thread that watches its file from `__enter__` on.

    A file is loaded when two looks in a row found it changed and then the same, so that one that is still being
    written has time to become whole; or at once, where `request` asks for it. One that cannot be loaded, or
    fails its self-test, is refused and not tried again until it changes. The loop takes a good one
    over between two frames, with `take`.
    """

    def __init__(
        self,
        model: LoadedModel,
        load: Callable[[], LoadedModel],
        report: Callable[[str], None],
        poll_s: float = POLL_S,
    ):
        """Takes the model to begin with, how to load it anew, and who is told in a line what happened."""
        self.current = model
        self.new: LoadedModel | None = None
        """What `take` would take."""
        self._load, self._report, self._poll_s = load, report, poll_s
        self._asked = threading.Event()
        self._taken = threading.Event()
        self._ended = False
        self._loading = False
        self._reloads, self._refused = 0, ""
        self._thread = threading.Thread(target=self._watch, name="litelens model", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        """Ends the thread soon; a model that is just being loaded is not waited for."""
        self._ended = True
        self._asked.set()
        self._taken.set()

    def request(self) -> None:
        """Has the file loaded now, changed or not; from any thread or signal handler."""
        self._asked.set()

    @property
    def busy(self) -> bool:
        """Whether a file is asked for, being loaded, or waits to be taken."""
        return self._asked.is_set() or self._loading

    def take(self) -> None:
        """Puts the new model in the place of the current one."""
        self.current, self.new = self.new, None
        self._reloads += 1
        self._taken.set()

    def status(self) -> ModelStatus:
        """Which model answers; from any thread."""
        current = self.current
        manifest, interpreter = current.classifier.model_file.manifest, current.classifier.interpreter
        return ModelStatus(
            manifest.name,
            manifest.version,
            str(current.path),
            current.labels,
            f"{interpreter.library} {interpreter.version}",
            self._reloads,
            self._refused,
        )

    def _watch(self) -> None:
        path, seen = self.current.path, self.current.signature
        before = seen
        while True:
            asked = self._asked.wait(self._poll_s)
            if self._ended:
                return
            now = signature(path)
            if asked or now == before != seen:
                seen = now
                self._loading = True
                self._asked.clear()
                self._renew()
                self._loading = False
            before = now

    def _renew(self) -> None:
        """Loads the file and waits until the loop has taken it; or refuses it."""
        labels = self.current.labels
        try:
            try_apart(self.current.path)
            new = self._load()
            if not new.classifier.selftest().passed:
                raise NewModelRefused(f"{new.path} fails its self-test on {new.device.used}", _AGAIN)
        except (LitelensError, OSError, MemoryError) as problem:
            self._refused = str(problem) or type(problem).__name__
            self._report(f"the new model is refused, the one before goes on: {self._refused}")
            return
        self._refused = ""
        self._taken.clear()
        self.new = new
        self._taken.wait()
        self._report(_replaced(new, labels))


def try_apart(path: Path) -> None:
    """Replays a model file's self-test in a process of its own: an altered model can crash the interpreter.

    Raises:
        NewModelRefused: If it fails, crashes or hangs.
    """
    command = [sys.executable, "-P", "-m", "litelens", "verify", os.fspath(path)]
    # The same modules as here, whatever lies in the working directory.
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    try:
        ended = subprocess.run(command, capture_output=True, text=True, timeout=TRIAL_S, env=environment)
    except subprocess.TimeoutExpired as problem:
        raise NewModelRefused(f"{path}: its self-test did not end within {TRIAL_S} s", _AGAIN) from problem
    if ended.returncode < 0:
        name = signal.Signals(-ended.returncode).name
        raise NewModelRefused(f"{path} crashes the interpreter ({name})", _AGAIN)
    if ended.returncode:
        said = [
            line.removeprefix("error: ") for line in ended.stderr.splitlines() if line.startswith("error: ")
        ]
        raise NewModelRefused("".join(said) or ended.stderr.strip()[-500:], _AGAIN)


_AGAIN = "export the model again, and copy it again"


def _replaced(new: LoadedModel, labels: tuple[str, ...]) -> str:
    manifest = new.classifier.model_file.manifest
    what = f"{manifest.name} {manifest.version} answers now"
    return what if new.labels == labels else f"{what}; its labels are others: {', '.join(new.labels)}"
