"""A real OpenSSH server on loopback, what tests do to it, and a person at a terminal.

tests/support/ssh_fixtures.py starts it; devices behind it are those of benchmarks/simulated_devices.py.
"""

import os
import pty
import select
import signal
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from benchmarks.simulated_devices import ENDS_S, SSHD, Device, LocalSshServer, make_key, wait_until

__all__ = ["SSHD", "Device", "Person", "SshServer", "make_key", "wait_until"]


class SshServer(LocalSshServer):
    """A running sshd, whose connections can be cut."""

    @property
    def address(self) -> str:
        return f"{self.user}@{self.listen}:{self.port}"

    @property
    def fingerprint(self) -> str:
        """Of its host key, as OpenSSH's own tool prints it."""
        command = ("ssh-keygen", "-lf", self.folder / "host_key.pub")
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()[1]

    def stop(self) -> None:
        """Ends it, and the connections that it serves."""
        self.cut()
        super().stop()

    def cut(self) -> None:
        """Kills the processes that serve connections, as a crash or a power cut does; the server goes on."""
        for process in self._serving():
            _signal(process, signal.SIGKILL)

    def finds_its_own_programs(self, device: Device) -> None:
        """Has commands over ssh find what `program` put on the device before the system's."""
        keys = self.folder / "authorized_keys"
        home = f'environment="HOME={device.home}"'
        path = f'environment="PATH={device.home}/bin:/usr/local/bin:/usr/bin:/bin"'
        keys.write_text(keys.read_text().replace(home, f"{home},{path}"))

    def hang(self) -> None:
        """New connections are neither answered nor refused."""
        self._daemon.send_signal(signal.SIGSTOP)

    def end(self) -> None:
        """Kills it and the processes that serve connections, as a power cut does: whoever waits for it is refused."""
        self.hang()  # so that it serves no more than are found
        serving = self._serving()
        self._daemon.kill()
        self._daemon.wait(ENDS_S)
        for process in serving:
            _signal(process, signal.SIGKILL)

    def begin(self) -> None:
        """Starts it again, at the same address, after `end`."""
        wait_until(self._starts, "its port is free again")

    def freeze(self) -> None:
        """Silences all connections, which stay open; as when somebody pulls the network's plug."""
        for process in self._serving():
            _signal(process, signal.SIGSTOP)

    def _serving(self) -> list[int]:
        """The sshd processes below the daemon; the commands that they run are others' and are not among them."""
        parents = {process: parent for process, parent, name in _processes() if name.startswith("sshd")}
        found, generation = [], {self._daemon.pid}
        while generation := {process for process, parent in parents.items() if parent in generation}:
            found += generation
        return found

    def commands(self, word: str) -> list[int]:
        """The processes of this machine, zombies apart, whose command line or environment has word and this folder."""
        return [
            process
            for process, _, _ in _processes()
            if word in _told(process) and str(self.folder) in _told(process)
        ]


def _told(process: int) -> str:
    try:
        return "".join(
            Path(f"/proc/{process}/{name}").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            for name in ("cmdline", "environ")
        )
    except OSError:  # it has ended
        return ""


def _processes() -> Iterator[tuple[int, int, str]]:
    """All processes: number, parent's number, name."""
    for folder in Path("/proc").iterdir():
        if folder.name.isdecimal():
            try:
                number, _, rest = (folder / "stat").read_text().partition(" (")
                name, _, rest = rest.rpartition(") ")
            except OSError:  # it has ended
                continue
            yield int(number), int(rest.split()[1]), name


def _signal(process: int, number: signal.Signals) -> None:
    with suppress(ProcessLookupError):
        os.kill(process, number)


class Person:
    """A program at a terminal of its own, and who reads and types there."""

    def __init__(self, command: list[object]):
        self._screen, terminal = pty.openpty()
        self.said = ""
        # setsid: Ctrl-C becomes a signal only where the terminal is the program's own.
        self.process = subprocess.Popen(
            ["setsid", "--ctty", *command], stdin=terminal, stdout=terminal, stderr=terminal
        )
        os.close(terminal)

    def types(self, line: str, when: str) -> None:
        """Waits until the screen shows `when`, something new, then types a line."""
        self.presses(f"{line}\n", when)

    def presses(self, keys: str, when: str) -> None:
        """The same, without the key at the line's end."""
        before = len(self.said)
        while when not in self.said[before:]:
            assert self._reads(), f"no {when!r} in {self.said!r}"
        os.write(self._screen, keys.encode())

    def leaves(self) -> int:
        """Reads to the end; returns the program's exit code."""
        while self._reads():
            pass
        os.close(self._screen)
        return self.process.wait(ENDS_S)

    def _reads(self) -> bool:
        ready, _, _ = select.select([self._screen], [], [], ENDS_S)
        assert ready, f"nothing more than {self.said!r}"
        try:
            chunk = os.read(self._screen, 4096)
        except OSError:  # EIO: the program has ended
            return False
        self.said += chunk.decode(errors="replace")
        return bool(chunk)
