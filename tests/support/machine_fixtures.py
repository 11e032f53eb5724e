"""A machine that nobody has provisioned yet: a booted systemd with a real sshd, users with and without sudo, and no network.

Its files are this machine's, over which a memory disk lies: its Python is Debian's, in /usr/bin. It can be reached only
from its own network namespace, where `Provisionable.workstation` runs commands. A test module takes it by
`pytest_plugins = ["systemd_fixtures", "machine_fixtures"]`.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from ssh_server import SSHD, Person, make_key
from systemd_fixtures import ROOT, Booted, boot

ALIASES = {
    "root": "root",
    "pi": "may use sudo without a password",
    "ann": "may use sudo with a password",
    "bob": "may not use sudo",
}
"""Users, each a name in ~/.ssh/config of the workstation; litelens reaches them as it reaches root@127.0.0.1 ..."""
SSHD_CONFIG = """
ListenAddress 127.0.0.1
HostKey /etc/ssh/test_host_key
PermitRootLogin prohibit-password
PasswordAuthentication no
UsePAM yes
UseDNS no
Subsystem sftp internal-sftp
"""


class Provisionable:
    """The machine, and the workstation beside it."""

    password = "gnomes & 'roses' $HOME"
    """Ann's and bob's, for sudo."""

    def __init__(self, booted: Booted, home: Path, cache: Path):
        self.booted = booted
        self.home = home
        """The workstation's HOME, with a key and a known_hosts that fit."""
        self._environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(home),
            "LITELENS_CACHE": str(cache),
            "PYTHONPATH": str(ROOT),
        }

    @property
    def files(self) -> Path:
        """Its /, seen from outside."""
        return self.booted.files

    def command(self, *words: object) -> list[str]:
        """A litelens command of the workstation, in the machine's network."""
        return self.in_its_network(sys.executable, "-m", "litelens", *words)

    def in_its_network(self, *words: object) -> list[str]:
        """Any command of the workstation there: a web server, for example. It sees this machine's files."""
        environment = (f"{name}={value}" for name, value in self._environment.items())
        net = f"--net=/proc/{self.booted.init}/ns/net"
        return ["nsenter", net, "--", "env", "-i", *environment, *map(str, words)]

    def workstation(
        self, *words: object, cache: Path | None = None, **options
    ) -> subprocess.CompletedProcess:
        """Runs a litelens command at the workstation, with another LITELENS_CACHE where one is named."""
        options = {
            "capture_output": True,
            "text": True,
            "timeout": 600,
            "stdin": subprocess.DEVNULL,
        } | options
        command = self.command(*words)
        if cache:
            command.insert(command.index(sys.executable), f"LITELENS_CACHE={cache}")
        return subprocess.run(command, cwd=self.home, **options)

    def person(self, *words: object) -> Person:
        """The same at a terminal."""
        return Person(self.command(*words))

    def run(self, *words: object, user: str = "root", **options) -> subprocess.CompletedProcess:
        """Runs a command on the machine as a user, with that user's groups of now."""
        enter = () if user == "root" else ("setpriv", f"--reuid={user}", f"--regid={user}", "--init-groups")
        return self.booted.run(*enter, *words, **options)

    def litelens(self, *words: object, **options) -> subprocess.CompletedProcess:
        """Runs the litelens that was provisioned."""
        return self.run("/usr/local/bin/litelens", *words, **options)

    def wipe(self) -> None:
        """Takes back what `provision` did, so that the next test begins at nothing."""
        self.run("sh", "-c", _WIPE)


_WIPE = """
for unit in /etc/systemd/system/litelens*.service; do
    [ -e "$unit" ] || continue
    systemctl disable --now "${unit##*/}"
    rm -rf "$unit" "$unit.d"
done
systemctl daemon-reload
systemctl reset-failed
rm -rf /opt/litelens /srv/litelens /etc/litelens /usr/local/bin/litelens /var/lib/litelens* /var/lib/private/litelens*
rm -rf /root/.cache/litelens /home/*/.cache/litelens
getent group litelens_store && groupdel litelens_store
true
"""


@pytest.fixture(scope="session")
def wheels_cache(tmp_path_factory) -> Path:
    """LITELENS_CACHE with the wheels for this machine's own Debian Python, so that provisioning needs no network."""
    if sys.platform != "linux" or not Path("/usr/bin/python3").exists():
        pytest.skip("there is no /usr/bin/python3 here; Debian: sudo apt-get install python3-venv")
    version = subprocess.run(
        ["/usr/bin/python3", "-c", "import ensurepip, sys; print('%d.%d' % sys.version_info[:2])"],
        capture_output=True,
        text=True,
    ).stdout.strip()
    if not version:
        pytest.skip("/usr/bin/python3 has no ensurepip; Debian: sudo apt-get install python3-venv")
    from fleet.provisioning.bundle import EXTRAS
    from fleet.provisioning.wheels import WheelsError, collect_wheels

    cache = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("LITELENS_CACHE", str(cache))
        try:
            collect_wheels(os.uname().machine, version, cache / "collected", EXTRAS)
        except WheelsError as problem:
            pytest.skip(f"the wheels cannot be had here: {problem}")
    return cache


@pytest.fixture(scope="module")
def machine(wheels_cache, tmp_path_factory) -> Iterator[Provisionable]:
    """Boots it, once for a module's tests."""
    for program, package in ((SSHD, "openssh-server"), (shutil.which("sudo"), "sudo")):
        if program is None:
            pytest.skip(f"Debian's package {package} is not installed")
    home = tmp_path_factory.mktemp("workstation")
    with boot(tmp_path_factory.mktemp("machine"), Path("/usr/bin/python3")) as booted:
        _make_users(booted)
        _start_sshd(booted, home)
        yield Provisionable(booted, home, wheels_cache)


@pytest.fixture
def provisionable(machine) -> Iterator[Provisionable]:
    """The machine, with nothing of litelens on it."""
    machine.wipe()
    yield machine
    machine.wipe()


def _make_users(booted: Booted) -> None:
    # What this machine's pip is told: the machine is to find what is brought to it, and nothing else.
    booted.run("rm", "-rf", "/etc/pip.conf", "/root/.config/pip", "/root/.pip", check=True)
    for user in ALIASES.keys() - {"root"}:
        booted.run(
            "useradd",
            "--create-home",
            "--shell=/bin/dash" if user == "pi" else "--shell=/bin/bash",
            user,
            check=True,
        )
    booted.run(
        "chpasswd", input="".join(f"{user}:{Provisionable.password}\n" for user in ("ann", "bob")), check=True
    )
    rights = booted.files / "etc/sudoers.d/litelens-tests"
    rights.write_text("pi ALL=(ALL) NOPASSWD: ALL\nann ALL=(ALL) ALL\n")
    rights.chmod(0o440)


def _start_sshd(booted: Booted, home: Path) -> None:
    """As a service of the machine: what ends with it."""
    files = booted.files
    ssh = home / ".ssh"
    ssh.mkdir(mode=0o700)
    make_key(ssh / "id_ed25519", "ed25519")
    make_key(home / "host_key", "ed25519")
    for name in ("host_key", "host_key.pub"):
        shutil.copy(home / name, files / f"etc/ssh/test_{name}")
    (files / "etc/ssh/test_host_key").chmod(0o600)
    (files / "etc/ssh/test_sshd_config").write_text(SSHD_CONFIG)
    kind, key = (home / "host_key.pub").read_text().split()[:2]
    (ssh / "known_hosts").write_text(f"127.0.0.1 {kind} {key}\n")
    (ssh / "config").write_text(
        "".join(f"Host {user}\n  HostName 127.0.0.1\n  User {user}\n" for user in ALIASES)
    )
    public = (ssh / "id_ed25519.pub").read_text()
    for user in ALIASES:
        folder = "/root/.ssh" if user == "root" else f"/home/{user}/.ssh"
        booted.run("install", "-d", "-m", "700", "-o", user, "-g", user, folder, check=True)
        booted.run("tee", f"{folder}/authorized_keys", input=public, check=True)
    unit = f"[Service]\nRuntimeDirectory=sshd\nExecStart={SSHD} -D -e -f /etc/ssh/test_sshd_config\n"
    (files / "etc/systemd/system/test-sshd.service").write_text(unit)
    booted.run("systemctl", "daemon-reload", check=True)
    # Until systemd-user-sessions has run, PAM lets in root alone.
    booted.run("systemctl", "start", "systemd-user-sessions", "test-sshd", check=True)
    booted.wait_until(lambda: "Server listening" in booted.log("test-sshd"), 60)
