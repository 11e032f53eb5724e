"""A device that things happen to while it is flashed: it can be held at any phase, lose its power, and boot again."""

import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from fleet_fixtures import Fleet, FleetDevice
from ssh_server import SshServer, wait_until

from edge_runtime.selftest import selftest
from edge_runtime.store.lock import is_in_use
from edge_runtime.store.store import Store

if TYPE_CHECKING:
    from fleet_fixtures import Fleet, FleetDevice

LIMIT_S = 300
"""For what takes some seconds on a machine that has nothing else to do."""
TRIAL_S = 2
CHECK, UPLOAD, INSTALL, INSTALLED, WATCH = "check", "upload", "install", "installed", "watch"
"""Where it can be held: when it is asked what it has; with the first bytes of the file written; before `store install`;
after it, with its answer not sent; when it is asked how the trial goes."""

# Who comes there first waits for as long as a file says so.
_HOLD = """
hold() {
    mv "$HOME/hold $1" "$HOME/held $1" 2>/dev/null || return 0
    while [ -e "$HOME/held $1" ]; do sleep 0.05; done
}
"""
_WRAPPER = """
case "$*" in
    "store list $HOME/store --json") hold check;;
    "store list $HOME/store tiny --json") hold watch;;
    "store install "*) hold install; "$HOME/bin/real" "$@"; status=$?; hold installed; exit $status;;
esac
exec "$HOME/bin/real" "$@"
"""
# In cat's place: an upload is `cat >` there. head takes no byte more than it passes on.
_CAT = """
[ -e "$HOME/hold upload" ] && head -c 1000
hold upload
exec /bin/cat "$@"
"""
# As systemd restarts it.
_SERVICE = """
while :; do
    log=$(mktemp "$HOME/run.XXXXXX")
    {run} > "$log" 2>&1 &
    loop=$!
    {beside}
    wait $loop
    sleep 0.5
done
"""


@dataclass(frozen=True)
class Flashed:
    """A `litelens flash` of the one device, ended."""

    code: int
    outcome: str
    phase: str
    note: str
    stderr: str

    def __str__(self) -> str:
        return f"{self.outcome} in {self.phase}, exit code {self.code}" + (
            f": {self.note}" if self.note else ""
        )


class Flashing:
    """A `litelens flash` that runs."""

    def __init__(self, command: list[str]):
        self.command = command
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self._said = ""

    def until(self, phase: str) -> "Flashing":
        """Waits until it says that this phase begins."""
        for line in self._process.stderr:
            self._said += line
            if line == f"d1: {phase}\n":
                return self
        raise AssertionError(f"no {phase} in {self._said}")

    def ends(self) -> Flashed:
        stdout, stderr = self._process.communicate(timeout=LIMIT_S)
        self._said += stderr
        assert stdout, self._said
        (told,) = json.loads(stdout)["devices"]
        return Flashed(self._process.returncode, told["outcome"], told["phase"], told["note"], self._said)

    def kill(self) -> None:
        self._process.kill()
        self._process.communicate()


class FaultyDevice:
    """The device: version 1 of the tiny model answers, and `litelens run` is a service that is started again and again."""

    def __init__(self, device: "FleetDevice", fleet: "Fleet", server: SshServer, by: tuple[str, ...]):
        """Takes the device, the fleet file that has it, the sshd it is behind, and how commands begin on the workstation."""
        self.device, self.server = device, server
        self.home = device.home
        self.store: Store = device.store()
        self._fleet, self._by = fleet, by
        self._flashes: list[Flashing] = []
        self._service: subprocess.Popen | None = None
        (self.home / "bin" / "litelens").rename(self.home / "bin" / "real")
        device.device.program("litelens", f"#!/bin/sh\n{_HOLD}{_WRAPPER}")
        device.device.program("cat", f"#!/bin/sh\n{_HOLD}{_CAT}")
        server.finds_its_own_programs(device.device)

    def set_clock(self, when: str) -> None:
        """Has the wall clock of all that litelens does there be wrong: "a year ago"; the time since the boot goes on."""
        # Not faketime, with which time.sleep() fails (0.9.10).
        if shutil.which("datefudge") is None:
            pytest.skip("needs datefudge (Debian: datefudge)")
        real = self.home / "bin" / "real"
        real.write_text(real.read_text().replace("exec ", f"exec datefudge '{when}' ", 1))

    def boot(self, beside: str = ":") -> "FaultyDevice":
        """Starts the service, as `begin` does; returns once it runs the version that answers."""
        self.begin(beside)
        self.runs()
        return self

    def begin(self, beside: str = ":") -> None:
        """Starts the service.

        Args:
            beside: Shell commands beside each start of the loop, whose process is `$loop` and what it says in the file
                `$log`; they end before the loop does, or begin something that does so.
        """
        command = (self.home / "bin" / "litelens", "run", self.store.folder / "current", "--camera", "demo")
        options = ("--threads", 1, "--quiet", "--state", self.device.state)
        script = _SERVICE.format(run=shlex.join(map(str, (*command, *options))), beside=beside)
        self._service = subprocess.Popen(
            ["sh", "-c", script],
            env={"PATH": os.environ["PATH"], "HOME": str(self.home)},
            start_new_session=True,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    def runs(self, version: str | None = None) -> None:
        """Waits until the loop runs a version, the one that answers, and the store can know."""
        wait_until(
            lambda: is_in_use(self.store.file(version or self.store.state().current)),
            f"{version or 'the current version'} runs; {self._logs()}",
            LIMIT_S,
        )

    def _logs(self) -> list[str]:
        return [log.read_text()[-500:] for log in self.home.glob("run.*")]

    def lose_power(self) -> None:
        """Ends all that runs there with SIGKILL, sshd first."""
        self.server.end()
        wait_until(lambda: not self._kill_all(), "nothing runs there")

    def have_power(self) -> None:
        """Boots it: sshd and the service."""
        self.server.begin()
        self.boot()

    def _kill_all(self) -> list[int]:
        processes = self.server.commands(f"HOME={self.home}")
        for process in processes:
            with suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
        if self._service is not None:
            self._service.poll()
        return processes

    def hold(self, where: str) -> None:
        """Has what comes there next wait."""
        (self.home / f"hold {where}").touch()

    def held(self, where: str) -> None:
        """Waits until it waits there."""
        wait_until((self.home / f"held {where}").exists, f"it comes to {where}", LIMIT_S)

    def release(self, where: str) -> None:
        """Lets it go on."""
        (self.home / f"held {where}").unlink(missing_ok=True)
        (self.home / f"hold {where}").unlink(missing_ok=True)

    def flashing(self, model: Path, *options: object, trial_s: float = TRIAL_S) -> Flashing:
        """Starts `litelens flash MODEL`."""
        command = [*self._by, sys.executable, "-m", "litelens", "flash", model, "--fleet", self._fleet.file]
        command += ["--trial", trial_s, "--json", *options]
        return self._started([*map(str, command)])

    def _started(self, command: list[str]) -> Flashing:
        self._flashes.append(Flashing(command))
        return self._flashes[-1]

    def again(self) -> Flashed:
        """Repeats the first flash of all, the same command, to its end."""
        return self._started(self._flashes[0].command).ends()

    def flash(self, model: Path, *options: object, trial_s: float = TRIAL_S) -> Flashed:
        """The same, to its end."""
        return self.flashing(model, *options, trial_s=trial_s).ends()

    def answers(self) -> str:
        """The version that `current` leads to; it passes the self-test."""
        report = selftest(self.store.folder / "current")
        assert report.passed and report.vectors.vectors
        return report.version

    def left(self) -> list[str]:
        """Files of uploads, and those that the store made on its way."""
        cache = [path for path in (self.home / ".cache").rglob("*") if path.is_file()]
        versions = {f"{version.version}.tflite" for version in self.store.versions()}
        usual = {*versions, "current", "previous", "state.json", "history.jsonl"}
        # Hidden files that stay: locks, and the room that is kept for a rollback.
        more = [
            path
            for path in self.store.folder.iterdir()
            if path.name not in usual and path.suffix == ".tflite"
        ]
        return sorted(str(path.relative_to(self.home)) for path in (*cache, *more))

    def end(self) -> None:
        for flashing in self._flashes:
            flashing.kill()
        wait_until(lambda: not self._kill_all(), "nothing runs there")
        if self._service is not None:
            self._service.wait(60)
