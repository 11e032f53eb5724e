"""How a command runs as root on another machine: by root's login, by sudo, or by sudo with a password."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

from fleet.connection import Connection, Ended
from fleet.provisioning.errors import RootRightsMissing
from fleet.terminal import Terminal

_ANSWER_S = 120.0
"""For sudo's own doing; where its directory of users is another machine's, that takes long."""
_PASSWORD_TRIES = 3
_SUDO = ("sudo", "-k", "-S", "-p", "", "--")
"""-S: the password from standard input. -k: it is asked for each time, so that this line is always its."""


@dataclass
class Passwords:
    """What the person at the terminal has typed: one password is often that of a whole fleet."""

    terminal: Terminal
    known: list[str] = field(default_factory=list)
    _one_device: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def find(self, connection: Connection) -> str:
        """The one that sudo takes there.

        Raises:
            RootRightsMissing: If it takes none that was typed, or would take none of anybody.
        """
        async with self._one_device:  # so that the next device is tried with what was typed for this one
            for password in self.known:
                if not (ended := await _try(connection, password)).status:
                    return password
            if not self.terminal.attended:
                raise RootRightsMissing(
                    f"{connection.address}: sudo wants a password there, which can only be asked for at a terminal",
                    "run it at a terminal; or log in as root; or have sudo ask for none (docs/provision.md)",
                )
            for _ in range(_PASSWORD_TRIES):
                password = await self.terminal.ask(f"{connection.address}, password for sudo: ", secret=True)
                if not (ended := await _try(connection, password)).status:
                    self.known.append(password)
                    return password
        raise RootRightsMissing(
            f"{connection.address}: sudo takes none of the {_PASSWORD_TRIES} passwords: {_said(ended)}",
            f"see what it says: {connection.address.ssh('-t', 'sudo', 'true')}",
        )


@dataclass(frozen=True)
class RootRights:
    """A way to root."""

    connection: Connection
    words: tuple[str, ...]
    """What goes before a command."""
    password: str | None = None
    """What sudo reads first; None where it asks for nothing."""

    async def run(
        self, command: tuple[str, ...], on_stdout: Callable[[bytes], None], on_stderr: Callable[[bytes], None]
    ) -> Ended:
        """Runs a command as root, however long it takes.

        Raises:
            ConnectionCut: If the connection ended first; the command may go on there until it next says something.
        """
        # Not an argument, which all users of the machine could read.
        chunks = [] if self.password is None else [f"{self.password}\n".encode()]
        return await self.connection.feed(
            (*self.words, *command), chunks, on_stdout=on_stdout, on_stderr=on_stderr
        )


async def root_rights(connection: Connection, passwords: Passwords) -> RootRights:
    """Finds the way to root there.

    Raises:
        RootRightsMissing: If there is none.
    """
    if (await connection.check(("id", "-u"), timeout_s=_ANSWER_S)).strip() == "0":
        return RootRights(connection, ())
    asked = await connection.run(("sudo", "-n", "true"), timeout_s=_ANSWER_S)
    if not asked.status:
        return RootRights(connection, ("sudo", "-n", "--"))
    if asked.status == 127:
        raise RootRightsMissing(
            f"{connection.address} has no sudo, and this user is not root", "log in as root: root@HOST"
        )
    return RootRights(connection, _SUDO, await passwords.find(connection))


_NO_RIGHT = "log in as root, or as a user who may; root there gives the right: adduser USER sudo"


async def _try(connection: Connection, password: str) -> Ended:
    """Whether sudo takes a password: status 0.

    Raises:
        RootRightsMissing: If this user may not, whatever the password.
    """
    # Only after a password does sudo say whether it would be of use.
    ended = await connection.feed((*_SUDO, "true"), [f"{password}\n".encode()], timeout_s=_ANSWER_S)
    if "sudoers" in _said(ended) or "not allowed" in _said(ended):
        raise RootRightsMissing(f"{connection.address}: {_said(ended)}", _NO_RIGHT)
    return ended


def _said(ended: Ended) -> str:
    """What sudo says, in a line."""
    lines = [line.strip() for line in ended.stderr.decode(errors="replace").splitlines() if line.strip()]
    return " ".join(lines)[-300:] or f"sudo ended with status {ended.status}"
