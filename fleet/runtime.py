"""The litelens of another machine: found there, and asked by its own verbs."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from edge_runtime.store.history import printable
from fleet.connection import Connection
from fleet.errors import DeviceRefused, RemoteTimeout, RuntimeMissing

ANSWER_S = 120.0
"""For what is done in a moment, on a board that is busy and whose card is slow."""
LARGEST_ANSWER_BYTES = 16 * 1024 * 1024
"""A store's history is 1 MB at most; a device that says more would fill the workstation's memory."""
VENV = "/opt/litelens/venv"
"""Where `litelens provision` installs it."""

# The login shell's PATH has what the user added to it, which a command over ssh does not see. Then where `pip install
# --user` puts it, and the environment that `litelens provision` makes.
_FIND = f"""
for found in "$("${{SHELL:-sh}}" -lc 'command -v litelens' 2>/dev/null | grep '^/.*/litelens$' | tail -n 1)" \\
    "$HOME/.local/bin/litelens" {VENV}/bin/litelens
do
    if [ -f "$found" ] && [ -x "$found" ]; then echo "$found"; exit; fi
done
"""
_SAID = 500
"""The characters of an answer that is no JSON which an error shows, its last."""


@dataclass(frozen=True)
class Runtime:
    """The litelens that a machine has."""

    connection: Connection
    program: str
    """Its absolute path there."""
    version: str

    async def ask(
        self, *words: str, timeout_s: float | None = ANSWER_S, accept: Sequence[int] = (0,)
    ) -> dict[str, Any]:
        """Runs a verb with ``--json`` and returns the object that it prints.

        Args:
            words: The verb and its arguments, without ``--json``.
            timeout_s: Then it is ended there. None waits for ever.
            accept: The exit statuses with which an object is an answer; others are errors.

        Raises:
            DeviceRefused: If it ended with an error, which this one repeats under the machine's name; or its answer is no
                JSON object.
            RemoteTimeout, ConnectionCut: As `Connection.run`.
        """
        command = (self.program, *words, "--json")
        address = self.connection.address
        stdout, stderr = bytearray(), bytearray()

        def take(chunk: bytes) -> None:
            stdout.extend(chunk)
            if len(stdout) > LARGEST_ANSWER_BYTES:
                raise DeviceRefused(
                    f"{address}: litelens answers with more than {LARGEST_ANSWER_BYTES} bytes",
                    f"look there: {address.ssh(self.program, *words)}",
                    "",
                    1,
                )

        def keep_last(chunk: bytes) -> None:
            stderr.extend(chunk)
            del stderr[: -4 * _SAID]

        ended = await self.connection.run(command, timeout_s=timeout_s, on_stdout=take, on_stderr=keep_last)
        try:
            answer = json.loads(stdout)
        except (ValueError, RecursionError):
            answer = None
        problem = answer.get("error") if isinstance(answer, dict) else None
        if isinstance(problem, dict):
            raise DeviceRefused(
                f"{address}: {printable(str(problem.get('message')))}",
                f"there: {printable(str(problem.get('hint')))}",
                str(problem.get("kind")),
                ended.status,
            )
        if ended.status not in accept or not isinstance(answer, dict):
            said = printable(" ".join((stderr or stdout).decode(errors="replace").split())[-_SAID:])
            raise DeviceRefused(
                f"litelens {self.version} on {address} ended with {cause(ended.status)}: {said or 'it said nothing'}",
                f"look there: {address.ssh(self.program, *words)}; or bring it up to date: litelens provision {address}",
                "",
                ended.status,
            )
        return answer


async def find_runtime(connection: Connection) -> Runtime:
    """Looks for litelens on a machine.

    Raises:
        RuntimeMissing: If there is none, or it does not start.
        FleetError: As `Connection.check`.
    """
    address = connection.address
    program = (await connection.check(("sh", "-c", _FIND), timeout_s=ANSWER_S)).rstrip("\n")
    if not program:
        raise RuntimeMissing(
            f"{address} has no litelens: it is not on the login shell's PATH, nor in ~/.local/bin, nor in {VENV}",
            f"litelens provision {address}",
        )
    try:
        asked = await connection.run((program, "--version"), timeout_s=ANSWER_S)
    except RemoteTimeout as problem:
        raise RuntimeMissing(
            f"{program} on {address} does not start within {ANSWER_S:g} s", problem.hint
        ) from problem
    words = asked.stdout.decode(errors="replace").split()
    if asked.status or not words:
        said = asked.stderr.decode(errors="replace").strip().splitlines()
        raise RuntimeMissing(
            f"{program} on {address} does not start: {said[-1] if said else f'status {asked.status}'}",
            f"see what it says: {address.ssh(program, '--version')}; or install it anew: litelens provision {address}",
        )
    return Runtime(connection, program, printable(words[-1]))


def cause(status: int) -> str:
    """How a command ended, for people."""
    return "status 137, killed; its memory may be too small" if status == 137 else f"status {status}"
