"""Whether a machine is the one it was: its key against known_hosts."""

import os
import shlex
from pathlib import Path

import asyncssh

from fleet.address import Address
from fleet.errors import HostKeyChanged, HostKeyUnknown, SshConfigError

EVERYBODYS = Path("/etc/ssh/ssh_known_hosts")
"""Read too, never written."""
_PLAIN = "ssh-ed25519,ecdsa-sha2-nistp256,ecdsa-sha2-nistp384,ecdsa-sha2-nistp521,rsa-sha2-512,rsa-sha2-256"
_CERTIFIED = "*-cert-v01@openssh.com"


class HostKeyCheck:
    """What known_hosts says of one machine, and what the machine shows.

    By its name alone, as OpenSSH does it: an IP address may have been another machine's yesterday.
    """

    shown: asyncssh.SSHKey | None = None
    """The machine's key, once it has shown one that known_hosts does not have."""

    def __init__(self, address: Address, options: asyncssh.SSHClientConnectionOptions):
        """Reads known_hosts.

        Args:
            address: As it was typed.
            options: What ~/.ssh/config makes of it.

        Raises:
            SshConfigError: If known_hosts cannot be read.
        """
        self._address = address
        self._host, self._port = options.host, options.port
        self._name = options.host_key_alias or _listed(self._host, self._port)
        configured = [Path(file).expanduser() for file in options.known_hosts or ()]
        self._file = configured[0] if configured else Path("~/.ssh/known_hosts").expanduser()
        keys, authorities, revoked, *_ = _read({self._file, *configured, EVERYBODYS}).match(
            self._name, "", None
        )
        self.trusted = (keys, authorities, revoked)
        """For asyncssh: the machine's keys, certificate authorities', and revoked ones."""
        self.known = [*keys, *authorities]
        """Empty on the first contact."""
        # The kinds that are known first, as a machine has several; then all others, so that a machine that has none of
        # these shows its key and is refused for it, instead of failing to agree on a kind.
        kinds = [kind.decode() for key in keys for kind in key.sig_algorithms]
        self.kinds = ",".join([*([_CERTIFIED] if authorities else []), *kinds, _PLAIN])
        """What the machine is asked to show, as OpenSSH's HostKeyAlgorithms."""

    def refusal(self) -> HostKeyUnknown | HostKeyChanged:
        """Why the machine is not trusted."""
        shown = _fingerprint(self.shown)
        file = shlex.quote(str(self._file))
        if self.known:
            known = ", ".join(_fingerprint(key) for key in self.known)
            return HostKeyChanged(
                f"{self._address} does not show the host key it had, expected {known}, got {shown}",
                "another machine may answer in its place. If it was installed anew: "
                f"ssh-keygen -f {file} -R {shlex.quote(self._name)}; then try again",
            )
        port = f"-p {self._port} " if self._port != 22 else ""
        return HostKeyUnknown(
            f"{self._address} was never seen before, and nobody has said that its host key is right: {shown}",
            f"compare it with what `{self._on_the_machine()}` prints there; then {self._address.ssh()} once, "
            f"or ssh-keyscan {port}{shlex.quote(self._host)} >> {file}",
        )

    def question(self) -> str:
        """What a person is asked on the first contact."""
        return (
            f"{self._address} was never seen before. Its host key is\n"
            f"  {_fingerprint(self.shown)}\n"
            f"`{self._on_the_machine()}` prints it there. Is it right? [yes/no] "
        )

    def remember(self) -> None:
        """Adds the key that was shown to known_hosts, as ssh does.

        Raises:
            SshConfigError: If the file cannot be written.
        """
        line = f"{self._name} ".encode() + self.shown.export_public_key().rstrip() + b"\n"
        try:
            self._file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            descriptor = os.open(self._file, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o600)
            with os.fdopen(descriptor, "r+b", buffering=0) as file:
                before = file.read()
                file.write(line if not before or before.endswith(b"\n") else b"\n" + line)
        except OSError as problem:
            message = f"cannot write {self._file}: {problem}"
            raise SshConfigError(message, f"connect once with {self._address.ssh()}") from problem

    def _on_the_machine(self) -> str:
        kind = {"ssh-rsa": "rsa", "ssh-ed25519": "ed25519"}.get(self.shown.get_algorithm(), "ecdsa")
        return f"ssh-keygen -lf /etc/ssh/ssh_host_{kind}_key.pub"


def _read(files: set[Path]) -> asyncssh.SSHKnownHosts:
    known = asyncssh.SSHKnownHosts()
    for file in files:
        try:
            known.load(file.read_text())
        except FileNotFoundError:
            continue
        except (OSError, ValueError) as problem:
            raise SshConfigError(f"cannot read {file}: {problem}", f"mend or remove {file}") from problem
    return known


def _listed(host: str, port: int) -> str:
    host = host.lower()
    return host if port == 22 else f"[{host}]:{port}"


def _fingerprint(key: asyncssh.SSHKey) -> str:
    return f"{key.get_algorithm()} {key.get_fingerprint()}"
