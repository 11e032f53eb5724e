"""A process that does what it is asked over a pipe, seen from outside; what it does may crash or hang."""

import contextlib
import multiprocessing
import signal
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from typing import Any, Self

from edge_runtime.errors import LitelensError

LONGEST = 300
"""Characters of what a process said or raised that are passed on."""

_CHATTER = ("INFO:", "WARNING:")


class DrivenProcess:
    """A process whose last argument is the descriptor of a pipe; ended with the ``with`` block, whatever it does."""

    def __init__(self, command: Sequence[object], environment: Mapping[str, str] | None = None):
        """Takes what is to be run; nothing is started yet.

        Args:
            command: Of which the pipe's descriptor becomes the last argument.
            environment: None is this process's.
        """
        self._command, self._environment = command, environment
        self._process: subprocess.Popen | None = None

    def __enter__(self) -> Self:
        # A file, not a pipe: what an interpreter prints must not make it wait for a reader.
        self._said = tempfile.TemporaryFile()
        self._pipe, theirs = multiprocessing.Pipe()
        with theirs:
            self._process = subprocess.Popen(
                [*map(str, self._command), str(theirs.fileno())],
                stdin=subprocess.DEVNULL,
                stdout=self._said,
                stderr=self._said,
                env=self._environment,
                pass_fds=[theirs.fileno()],
            )
        return self

    def __exit__(self, *exception: object) -> None:
        self._pipe.close()
        self._end()
        self._said.close()

    def failure(self, problem: str) -> LitelensError:
        """What is raised of a process that gave no answer."""
        raise NotImplementedError

    def send(self, request: object) -> None:
        """Asks for something.

        Raises:
            LitelensError: `failure`, if the process has ended.
        """
        with self._told():
            self._pipe.send(request)

    def receive(self, limit_s: float) -> Any:
        """The next answer.

        Args:
            limit_s: So long the process may be silent; then it is ended.

        Raises:
            LitelensError: `failure`, if it is silent for longer or has ended.
        """
        with self._told():
            if not self._pipe.poll(limit_s):
                self._end()
                raise self.failure(f"it hung: no answer within {limit_s:g} s")
            return self._pipe.recv()

    @contextlib.contextmanager
    def _told(self):
        try:
            yield
        except (EOFError, OSError) as problem:
            raise self.failure(self._how_it_ended()) from problem

    def _how_it_ended(self) -> str:
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(30)
        code = self._process.poll()
        if code is None:
            return "its process closed the pipe"
        how = f"was ended by {_signal(-code)}" if code < 0 else f"ended with exit code {code}"
        return f"its process {how}{self._last_words()}"

    def _last_words(self) -> str:
        self._said.seek(0)
        lines = self._said.read().decode(errors="replace").splitlines()
        said = [line.strip() for line in lines if line.strip() and not line.startswith(_CHATTER)]
        return f": {said[-1][:LONGEST]}" if said else ""

    def _end(self) -> None:
        self._process.kill()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(5)  # no longer: a process that hangs in the kernel outlives that


def _signal(number: int) -> str:
    """ "SIGKILL (Killed)"."""
    return f"{signal.Signals(number).name} ({signal.strsignal(number)})"
