"""A real OpenSSH server on loopback, devices behind it, the ~/.ssh that reaches them, and a person at a terminal.

tests/ssh_fixtures.py starts it.
"""

import getpass
import os
import pty
import select
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

SSHD = shutil.which("sshd", path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")
_ENDS_S = 60
_PORT_TRIES = 20

# No PAM and no system's files: it lets in whom authorized_keys names, whoever runs the tests.
_CONFIG = """
ListenAddress 127.0.0.1
HostKey {folder}/host_key
AuthorizedKeysFile {folder}/authorized_keys
PidFile none
UsePAM no
StrictModes no
PermitRootLogin yes
PermitUserEnvironment yes
PasswordAuthentication {password}
KbdInteractiveAuthentication no
UseDNS no
MaxStartups 500
Subsystem sftp internal-sftp
"""


@dataclass(frozen=True)
class Device:
    """A machine to flash: an alias in ~/.ssh/config, whose key leads into a HOME of its own."""

    name: str
    """What `litelens bench --on` takes."""
    home: Path
    """Its user's HOME. Its login shell's PATH begins with bin in it."""

    def program(self, name: str, script: str) -> Path:
        """Puts an executable on the device's login PATH."""
        path = self.home / "bin" / name
        path.write_text(script)
        path.chmod(0o755)
        return path


class SshServer:
    """A running sshd."""

    def __init__(self, folder: Path, home: Path, enter: tuple[object, ...] = (), password: bool = False):
        """Returns once it listens.

        Args:
            folder: For the server's files.
            home: The workstation's user's, where .ssh is.
            enter: A command line that sshd is started through, in the same process.
            password: Whether it asks for one where no key fits.
        """
        self.folder = folder
        self.user = getpass.getuser()
        self._home = home
        (home / ".ssh").mkdir(mode=0o700, exist_ok=True)
        make_key(folder / "host_key", "ed25519")
        (folder / "authorized_keys").touch()
        config = folder / "sshd_config"
        config.write_text(_CONFIG.format(folder=folder, password="yes" if password else "no"))
        if os.getuid() == 0:
            Path("/run/sshd").mkdir(exist_ok=True)  # sshd as root wants it, empty; a booted Debian has it
        # A port that was free a moment ago may be taken by now: sshd then ends, and another is tried.
        for _ in range(_PORT_TRIES):
            self.port = _free_port()
            with (folder / "sshd.log").open("w") as log:
                self._daemon = subprocess.Popen(
                    [*enter, SSHD, "-D", "-e", "-f", config, "-p", str(self.port)],
                    stdin=subprocess.DEVNULL,
                    stderr=log,
                )
            if self._listens():
                return
        raise AssertionError(f"sshd does not start: {self.log}")

    def _listens(self) -> bool:
        wait_until(
            lambda: self._daemon.poll() is not None or "Server listening on" in self.log, "sshd starts"
        )
        if self._daemon.poll() is None:
            return True
        assert "Address already in use" in self.log, self.log
        return False

    @property
    def address(self) -> str:
        return f"{self.user}@127.0.0.1:{self.port}"

    @property
    def known_as(self) -> str:
        """Its name in known_hosts."""
        return f"[127.0.0.1]:{self.port}"

    @property
    def known_hosts(self) -> Path:
        return self._home / ".ssh" / "known_hosts"

    @property
    def fingerprint(self) -> str:
        """Of its host key, as OpenSSH's own tool prints it."""
        command = ("ssh-keygen", "-lf", self.folder / "host_key.pub")
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()[1]

    @property
    def host_key(self) -> str:
        """Public, as known_hosts has it."""
        return (self.folder / "host_key.pub").read_text().strip()

    def trust(self) -> None:
        """Writes its host key into known_hosts."""
        self.known_hosts.write_text(f"{self.known_as} {self.host_key}\n")

    def key_for(self, name: str, options: str = "") -> Path:
        """Makes a key in ~/.ssh and lets it in."""
        key = self._home / ".ssh" / name
        make_key(key, "ed25519")
        with (self.folder / "authorized_keys").open("a") as authorized:
            authorized.write(f"{options} {key.with_suffix('.pub').read_text()}")
        return key

    def device(self, name: str) -> Device:
        """Adds a device: commands there have its HOME, though they begin in the user's real one."""
        home = self.folder / "devices" / name
        (home / "bin").mkdir(parents=True)
        (home / ".profile").write_text(f"PATH={home}/bin:/usr/bin:/bin\n")
        key = self.key_for(name, f'environment="HOME={home}"')
        with (self._home / ".ssh" / "config").open("a") as config:
            config.write(
                f"Host {name}\n  HostName 127.0.0.1\n  Port {self.port}\n  User {self.user}\n"
                f"  IdentityFile {key}\n  IdentitiesOnly yes\n"
            )
        return Device(name, home)

    @property
    def log(self) -> str:
        return (self.folder / "sshd.log").read_text(errors="replace")

    def stop(self) -> None:
        """Ends it, and the connections that it serves."""
        self.cut()
        self._daemon.terminate()
        self._daemon.wait(_ENDS_S)

    def cut(self) -> None:
        """Kills the processes that serve connections, as a crash or a power cut does; the server goes on."""
        for process in self._serving():
            _signal(process, signal.SIGKILL)

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


def make_key(path: Path, kind: str) -> None:
    subprocess.run(["ssh-keygen", "-q", "-t", kind, "-N", "", "-C", "", "-f", path], check=True)


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def wait_until(holds, what: str, seconds: float = 60) -> None:
    """Returns once it holds."""
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, f"not within {seconds:g} s: {what}"
        time.sleep(0.02)


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
        return self.process.wait(_ENDS_S)

    def _reads(self) -> bool:
        ready, _, _ = select.select([self._screen], [], [], _ENDS_S)
        assert ready, f"nothing more than {self.said!r}"
        try:
            chunk = os.read(self._screen, 4096)
        except OSError:  # EIO: the program has ended
            return False
        self.said += chunk.decode(errors="replace")
        return bool(chunk)
