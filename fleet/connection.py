"""An ssh connection to another machine: runs commands there, and says in time when it is cut."""

import asyncio
import shlex
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass

import asyncssh

from edge_runtime.store.history import printable
from fleet.address import Address
from fleet.errors import (
    ConnectionCut,
    FleetError,
    RemoteCommandFailed,
    RemoteDiskFull,
    RemotePermissionDenied,
    RemoteTimeout,
)
from fleet.login import log_in
from fleet.terminal import Terminal

END_S = 10.0
"""How long a command that is no longer wanted may take to end, its own cleaning up included."""
_CHUNK_BYTES = 64 * 1024
_SAID = 500
"""The characters of a failed command's stderr that an error shows, its last."""
_FULL = ("No space left on device", "Disk quota exceeded", "Wrote only")  # the last is tar's
_FORBIDDEN = ("Permission denied", "Read-only file system", "not permitted")

# Runs a command that ends when the connection does: its standard input, which is never written to, ends then, whether
# by Ctrl-C here, by a kill or by a cut. Signals over ssh are no way: OpenSSH passes none on to root's processes.
# sshd has made this shell the leader of a group of its own; where it is none, the command alone gets the signal.
# Its 3 seconds for cleaning up are within END_S.
_LEASH = """
exec 3<&0
"$@" 3<&- </dev/null &
command=$!
(
    trap '' TERM
    read -r _
    kill -TERM -$$ || kill -TERM $command
    sleep 3 3<&- <&-
    kill -KILL $command
) <&3 3<&- >/dev/null 2>&1 &
leash=$!
exec 3<&- >/dev/null 2>&1
trap : TERM
while :; do
    wait $command
    status=$?
    kill -0 $command || break
done
kill -KILL $leash
exit $status
"""


@dataclass(frozen=True)
class Ended:
    """A command that has ended, whatever its status."""

    status: int
    """128 and more: the signal that ended it."""
    stdout: bytes
    """Empty where a callback took it."""
    stderr: bytes
    """The same."""


class Connection:
    """A user's way onto a machine; made by `connect`."""

    def __init__(self, address: Address, ssh: asyncssh.SSHClientConnection):
        self.address = address
        self._ssh = ssh

    async def run(
        self,
        command: Sequence[str],
        *,
        timeout_s: float | None = None,
        on_stdout: Callable[[bytes], None] | None = None,
        on_stderr: Callable[[bytes], None] | None = None,
    ) -> Ended:
        """Runs a command, without input; it does not outlive the connection, nor this call.

        Args:
            command: The program and its arguments, any texts; no shell sees them.
            timeout_s: Then it is ended. None waits for ever.
            on_stdout: Takes what it prints, as it comes, in pieces of any size.
            on_stderr: The same for stderr.

        Raises:
            RemoteTimeout: If it took longer.
            ConnectionCut: If the connection ended first; the command is then ended there.
            RemoteCommandFailed: If the machine starts no more commands beside those that run.
        """
        return await self._run(command, None, timeout_s, on_stdout, on_stderr)

    async def check(self, command: Sequence[str], *, timeout_s: float | None = None) -> str:
        """Runs a command that is not expected to fail; returns what it printed.

        Raises:
            RemoteDiskFull, RemotePermissionDenied, RemoteCommandFailed: If it ended with another status than 0.
            RemoteTimeout, ConnectionCut: As `run` does.
        """
        ended = await self.run(command, timeout_s=timeout_s)
        if ended.status:
            raise self.failure(command, ended)
        return ended.stdout.decode(errors="replace")

    async def feed(
        self,
        command: Sequence[str],
        chunks: Iterable[bytes],
        *,
        timeout_s: float | None = None,
        on_stdout: Callable[[bytes], None] | None = None,
        on_stderr: Callable[[bytes], None] | None = None,
    ) -> Ended:
        """Runs a command whose standard input is chunks; it sees its input's end too if the connection is cut.

        Args:
            command: As `run` takes it.
            chunks: In their order.
            timeout_s: Then it is ended. None waits for ever.
            on_stdout: Takes what it prints, as `run` has it.
            on_stderr: The same for stderr.

        Raises:
            RemoteTimeout, ConnectionCut: As `run` does.
        """
        return await self._run(command, chunks, timeout_s, on_stdout, on_stderr)

    def failure(self, command: Sequence[str], ended: Ended) -> FleetError:
        """The error for a command that failed, by what it printed in English, the locale C."""
        said = printable(" ".join(ended.stderr.decode(errors="replace").split())[-_SAID:])
        if any(words in said for words in _FULL):
            return RemoteDiskFull(
                f"{self.address} has no room left: {said}",
                f"{self.address.ssh('df', '-h')} shows its disks; make room and try again",
            )
        if any(words in said for words in _FORBIDDEN):
            return RemotePermissionDenied(
                f"{self.address} does not permit it: {said}",
                "log in as a user who may, or give this one the right",
            )
        # The program alone: scripts are long.
        return RemoteCommandFailed(
            f"{command[0]} on {self.address} ended with status {ended.status}: {said or 'it said nothing'}",
            f"look there: {self.address.ssh()}",
        )

    async def _run(
        self,
        command: Sequence[str],
        chunks: Iterable[bytes] | None,
        timeout_s: float | None,
        on_stdout: Callable[[bytes], None] | None,
        on_stderr: Callable[[bytes], None] | None,
    ) -> Ended:
        stdout, stderr = bytearray(), bytearray()
        words = command if chunks is not None else ("sh", "-c", _LEASH, "sh", *command)
        try:
            async with asyncio.timeout(timeout_s), self._process(words) as process:
                await asyncio.gather(
                    _read(process.stdout, on_stdout or stdout.extend),
                    _read(process.stderr, on_stderr or stderr.extend),
                    _write(process.stdin, chunks),
                )
                await process.wait_closed()
                if process.returncode is None:
                    raise self._cut("it ended without a word")
                status = process.returncode if process.returncode >= 0 else 128 - process.returncode
                return Ended(status, bytes(stdout), bytes(stderr))
        except TimeoutError as problem:
            said = printable(" ".join(stderr.decode(errors="replace").split())[-_SAID:])
            raise RemoteTimeout(
                f"{command[0]} on {self.address} took longer than {timeout_s:g} s and was ended{said and f': {said}'}",
                f"look there what it waits for: {self.address.ssh()}",
            ) from problem

    @asynccontextmanager
    async def _process(self, words: Sequence[str]) -> AsyncIterator[asyncssh.SSHClientProcess]:
        """A command that has ended when the block does, or has been told to, by the end of its input."""
        with self._noticing_cuts():
            # `exec`: the login shell, whichever it is, makes way. C: `failure` reads English.
            command = "exec " + shlex.join(("env", "LC_ALL=C", *words))
            process = await self._ssh.create_process(command, encoding=None)
            try:
                yield process
            finally:
                if not process.is_closing():
                    with suppress(OSError):
                        process.stdin.write_eof()
                    # Not wait_closed(): what it still prints, and nobody reads, would keep it from ending.
                    with suppress(TimeoutError):
                        await asyncio.wait_for(process.communicate(), END_S)
                    process.close()

    @contextmanager
    def _noticing_cuts(self) -> Iterator[None]:
        try:
            yield
        except (asyncssh.Error, ConnectionError) as problem:
            if isinstance(problem, asyncssh.ChannelOpenError) and not self._ssh.is_closed():
                raise RemoteCommandFailed(
                    f"{self.address} starts no more commands on this connection: {problem}",
                    "its sshd_config has a limit: MaxSessions, 10 unless it says otherwise",
                ) from problem
            raise self._cut(str(problem)) from problem

    def _cut(self, why: str) -> ConnectionCut:
        return ConnectionCut(
            f"the connection to {self.address} was cut: {why}",
            f"once {self.address.ssh('true')} goes through, run the same command again",
        )


@asynccontextmanager
async def connect(address: str, terminal: Terminal | None = None) -> AsyncIterator[Connection]:
    """Logs in as ssh does: ~/.ssh/config, known_hosts, the agent, the user's keys; closed at the block's end.

    A host key that was never seen, and a password, are asked for at the terminal; where nobody is there they are errors.

    Args:
        address: user@host, user@host:port, or a Host of ~/.ssh/config.
        terminal: Shared by connections that are opened at once; None makes one.

    Raises:
        AddressError, SshConfigError, HostUnreachable, HostKeyUnknown, HostKeyChanged, LoginRefused: If there is no way.

    Example:
        >>> async with connect("pi@raspberrypi.local") as pi:                     # doctest: +SKIP
        ...     await pi.check(["uname", "-m"])
        'aarch64\\n'
    """
    parsed = Address.parse(address)
    ssh = await log_in(parsed, terminal or Terminal())
    try:
        yield Connection(parsed, ssh)
    finally:
        ssh.close()
        with suppress(TimeoutError):
            await asyncio.wait_for(ssh.wait_closed(), END_S)


async def _read(reader: asyncssh.SSHReader, take: Callable[[bytes], object]) -> None:
    while chunk := await reader.read(_CHUNK_BYTES):
        take(chunk)


async def _write(writer: asyncssh.SSHWriter, chunks: Iterable[bytes] | None) -> None:
    """Sends all chunks and the end of the input; None sends nothing, and no end."""
    if chunks is None:
        return
    with suppress(BrokenPipeError):  # the command ended before its input did: its status says why
        for chunk in chunks:
            writer.write(chunk)
            await writer.drain()
            # drain() does not wait while there is room; the other connections have their turn now.
            await asyncio.sleep(0)
        writer.write_eof()
