"""All sinks of a run, from its settings."""

import fcntl
import os
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from edge_runtime.deciding.observation import Event, Observation
from edge_runtime.errors import ConfigError
from edge_runtime.live.status import ModelStatus
from edge_runtime.sinks.background import Background
from edge_runtime.sinks.settings import SinkSettings
from edge_runtime.sinks.sink import SinkStatus

if TYPE_CHECKING:
    from edge_runtime.sinks.history import History


class Sinks:
    """The sinks of a run as one: opened together, told together, closed together within about a second."""

    def __init__(self, sinks: tuple[Background, ...], history: "History | None", lock: "_Lock | None"):
        """Takes the sinks in the order in which they are told, and what keeps other runs out of their folder."""
        self._sinks, self._history, self._lock = sinks, history, lock
        self._opened = ExitStack()

    def __enter__(self) -> "Sinks":
        """Starts all of them.

        Raises:
            ConfigError: If another run uses the state folder, or a pin cannot be had.
            MissingExtraError: If there is no way to reach this machine's pins.
        """
        with ExitStack() as opened:
            if self._lock:
                opened.enter_context(self._lock)
            for sink in self._sinks:
                opened.enter_context(sink)
            self._opened = opened.pop_all()
        return self

    def __exit__(self, *exception: object) -> None:
        for sink in self._sinks:  # all at once, so that their last seconds pass side by side
            sink.stop()
        self._opened.close()

    def take(self, observation: Observation) -> None:
        """Tells all of them, and returns at once.

        Raises:
            BrokenPipeError: If standard output is closed at the other end.
            WriteError: If frames are not live and their lines cannot be written.
        """
        for sink in self._sinks:
            sink.take(observation)

    def status(self) -> tuple[SinkStatus, ...]:
        """How each does, from any thread."""
        return tuple(sink.status() for sink in self._sinks)

    def recent(self, limit: int) -> list[Event]:
        """The last events, newest first, those of earlier runs too; none where there is no history."""
        return self._history.recent(limit) if self._history else []


def open_sinks(settings: SinkSettings, *, model: Callable[[], ModelStatus], live: bool) -> Sinks:
    """Makes the sinks, which start in their ``with`` block.

    Args:
        settings: Which, and how.
        model: Tells which model the observation is of that is being taken; called in `take` and from any thread.
        live: Whether frames come at their own rate; otherwise standard output and the log are waited for.

    Raises:
        ConfigError: If a pin's label is none of the model's.
        MissingExtraError: If a library is not installed.
    """
    folder = Path(settings.state) if settings.state else default_state_folder()
    sinks: list[Background] = []
    history = None
    if settings.gpio:
        from edge_runtime.sinks.gpio import Gpio

        sinks.append(Gpio(settings.gpio, model().labels))
    if settings.mqtt:
        from edge_runtime.sinks.mqtt import Mqtt

        sinks.append(Mqtt(settings.mqtt, folder / "mqtt.sqlite", model))
    if settings.webhook:
        from edge_runtime.sinks.webhook import Webhook

        sinks.append(Webhook(settings.webhook, folder / "webhook.sqlite"))
    if settings.history:
        from edge_runtime.sinks.history import History

        history = History(settings.history, folder / "history.sqlite", model)
        sinks.append(history)
    if settings.hard_examples:
        from edge_runtime.sinks.hard_examples import HardExamples

        sinks.append(HardExamples(settings.hard_examples, model))
    if settings.log:
        from edge_runtime.sinks.json_lines import JsonLines, RotatingFile

        log = settings.log
        sinks.append(JsonLines(RotatingFile(Path(log.path), log.rotate_bytes, log.keep), log.what, live))
    if settings.stdout != "nothing":  # last: when it is closed at the other end, the others have been told
        from edge_runtime.sinks.json_lines import JsonLines, StandardOutput

        sinks.append(JsonLines(StandardOutput(), settings.stdout, live))
    keeps_state = settings.mqtt or settings.webhook or settings.history
    return Sinks(tuple(sinks), history, _Lock(folder) if keeps_state else None)


def default_state_folder() -> Path:
    """Where systemd says (StateDirectory=), where the desktop says, or ~/.local/state/litelens."""
    if given := os.environ.get("STATE_DIRECTORY"):
        return Path(given.partition(":")[0])
    return Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state") / "litelens"


class _Lock:
    """Keeps a second run away from the folder: each would deliver the other's events."""

    def __init__(self, folder: Path):
        self._folder = folder
        self._file: int | None = None

    def __enter__(self) -> "_Lock":
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            self._file = os.open(self._folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as problem:
            self.__exit__()
            raise ConfigError(
                f"another litelens run uses {self._folder}",
                "give each camera a folder of its own: --state FOLDER",
            ) from problem
        except OSError:
            pass  # read-only or full: the sinks go on in memory, and say so in their status
        return self

    def __exit__(self, *exception: object) -> None:
        if self._file is not None:
            os.close(self._file)  # and with that, unlocked
            self._file = None
