"""A real OpenSSH server on this machine, and devices behind it: each is a HOME of its own, and the processes that run in it.

tests/support/ssh_server.py has what tests do to it.
"""

import getpass
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

SSHD = shutil.which("sshd", path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")
ENDS_S = 60
_PORT_TRIES = 20

# No PAM and no system's files: it lets in whom authorized_keys names, whoever runs it.
_CONFIG = """
ListenAddress {address}
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


class LocalSshServer:
    """A running sshd."""

    def __init__(
        self,
        folder: Path,
        home: Path,
        enter: tuple[object, ...] = (),
        password: bool = False,
        listen: str = "127.0.0.1",
    ):
        """Returns once it listens.

        Args:
            folder: For the server's files.
            home: The workstation's user's, where .ssh is.
            enter: A command line that sshd is started through, in the same process.
            password: Whether it asks for one where no key fits.
            listen: Its IP address, of the network namespace that `enter` leads into.
        """
        self.folder = folder
        self.user = getpass.getuser()
        self.listen = listen
        self._home = home
        (home / ".ssh").mkdir(mode=0o700, exist_ok=True)
        make_key(folder / "host_key", "ed25519")
        (folder / "authorized_keys").touch()
        (folder / "sshd_config").write_text(
            _CONFIG.format(folder=folder, address=listen, password="yes" if password else "no")
        )
        if os.getuid() == 0:
            Path("/run/sshd").mkdir(exist_ok=True)  # sshd as root wants it, empty; a booted Debian has it
        self._enter = enter
        # A port that was free a moment ago may be taken by now: sshd then ends, and another is tried.
        for _ in range(_PORT_TRIES):
            self.port = _free_port()
            if self._starts():
                return
        raise OSError(f"sshd does not start: {self.log}")

    def _starts(self) -> bool:
        """Whether it listens; False where another has its port."""
        config = self.folder / "sshd_config"
        with (self.folder / "sshd.log").open("w") as log:
            self._daemon = subprocess.Popen(
                [*self._enter, SSHD, "-D", "-e", "-f", config, "-p", str(self.port)],
                stdin=subprocess.DEVNULL,
                stderr=log,
            )
        wait_until(
            lambda: self._daemon.poll() is not None or "Server listening on" in self.log, "sshd starts"
        )
        if self._daemon.poll() is None:
            return True
        if "Address already in use" not in self.log:
            raise OSError(f"sshd does not start: {self.log}")
        return False

    @property
    def known_as(self) -> str:
        """Its name in known_hosts."""
        return f"[{self.listen}]:{self.port}"

    @property
    def known_hosts(self) -> Path:
        return self._home / ".ssh" / "known_hosts"

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
                f"Host {name}\n  HostName {self.listen}\n  Port {self.port}\n  User {self.user}\n"
                f"  IdentityFile {key}\n  IdentitiesOnly yes\n"
            )
        return Device(name, home)

    @property
    def log(self) -> str:
        return (self.folder / "sshd.log").read_text(errors="replace")

    @property
    def idle(self) -> bool:
        """Whether nobody is connected, and all that was run for somebody has ended and been waited for."""
        return not Path(f"/proc/{self._daemon.pid}/task/{self._daemon.pid}/children").read_text()

    def stop(self) -> None:
        """Ends it."""
        self._daemon.terminate()
        self._daemon.wait(ENDS_S)


def make_key(path: Path, kind: str) -> None:
    """Makes a key pair without a passphrase."""
    subprocess.run(["ssh-keygen", "-q", "-t", kind, "-N", "", "-C", "", "-f", path], check=True)


def wait_until(holds: Callable[[], object], what: str, seconds: float = 60) -> None:
    """Returns once it holds.

    Raises:
        TimeoutError: If it does not in so many seconds.
    """
    end = time.monotonic() + seconds
    while not holds():
        if time.monotonic() >= end:
            raise TimeoutError(f"not within {seconds:g} s: {what}")
        time.sleep(0.02)


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]
