"""How often an Edge TPU's library took a process with it, remembered across restarts in a small file."""

import atexit
import json
import os
from dataclasses import asdict, dataclass, field
from pathlib import Path
from time import time

from edge_runtime.errors import WriteError
from edge_runtime.whole_file import write_whole

MOST = 3
"""So many crashes within WINDOW_S, and `auto` leaves the Edge TPU alone."""
WINDOW_S = 24 * 3600
FILE_NAME = "edge-tpu.json"


@dataclass
class _State:
    """What the file holds."""

    times: list[float] = field(default_factory=list)
    """When crashes were noticed, seconds since 1970; MOST at most."""
    reason: str = ""
    """What is known of the last one."""
    given_up: bool = False
    user: dict = field(default_factory=dict)
    """The process that uses the Edge TPU, as `_process` describes it; {}: none that did not end as it should."""


class CrashRecord:
    """The record in one state folder. One that cannot be read is empty, one that cannot be written is not kept."""

    def __init__(self, folder: Path):
        self.path = folder / FILE_NAME
        self._state = _read(self.path)

    @property
    def given_up(self) -> str:
        """Why the Edge TPU is left alone, or ""."""
        if not self._state.given_up:
            return ""
        return (
            f"the Edge TPU crashed {MOST} times within {WINDOW_S // 3600} h, at last: {self._state.reason}; "
            f"it is tried again after --device edgetpu, or without {self.path}"
        )

    def add(self, reason: str) -> None:
        """Notes a crash."""
        now, state = time(), self._state
        # Absolute: a clock that was set back must not keep old crashes for ever, nor forget those of an hour ago.
        state.times = [then for then in state.times if abs(now - then) < WINDOW_S][1 - MOST :] + [now]
        state.reason = reason
        state.given_up |= len(state.times) >= MOST
        self._write()

    def notice(self) -> None:
        """Notes a crash if the last process that used the Edge TPU died of a signal since the machine was started."""
        user = self._state.user
        if not user or _process(user["pid"]) == user:  # none, or it lives
            return
        self._state.user = {}
        if user["boot"] == _boot():
            self.add("the process that used it was killed or crashed")
        else:
            self._write()

    def begin(self) -> None:
        """Notes that this process uses the Edge TPU, until it ends in any other way than by a signal."""
        self._state.user = _process(os.getpid())
        self._write()
        atexit.register(self._end, os.getpid())

    def clear(self) -> None:
        """Forgets all."""
        self._state = _State()
        if self.path.exists():
            self._write()

    def _end(self, pid: int) -> None:
        if pid == os.getpid():  # not at the end of a fork
            self._state = _read(self.path)
            self._state.user = {}
            self._write()

    def _write(self) -> None:
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            write_whole(self.path, (json.dumps(asdict(self._state), indent=1) + "\n").encode())
        except (OSError, WriteError):
            pass  # a camera goes on without its state folder; what keeps events there says so


def _read(path: Path) -> _State:
    try:
        state = _State(**json.loads(path.read_text()))
        times = [float(then) for then in state.times][-MOST:]
        user = {name: state.user[name] for name in ("pid", "started", "boot")} if state.user else {}
        return _State(times, str(state.reason), bool(state.given_up), user)
    # Absent; or no record: cut off, of another version, or somebody else's.
    except (OSError, ValueError, TypeError, KeyError, RecursionError):
        return _State()


def _process(pid: int) -> dict:
    """What tells a process from a later one with the same number; {} if it is not there."""
    try:
        # proc(5): the name, in brackets, may hold spaces and brackets; the start is the 20th word after it.
        started = Path(f"/proc/{pid:d}/stat").read_text(errors="replace").rpartition(")")[2].split()[19]
    except (OSError, ValueError, TypeError, IndexError):
        return {}
    return {"pid": pid, "started": started, "boot": _boot()}


def _boot() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""
