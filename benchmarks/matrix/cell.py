"""A cell of the matrix, seen from outside: a model in an interpreter with a number of threads, in another process."""

import contextlib
import multiprocessing
import os
import signal
import subprocess
import sys
import tempfile
from typing import Any

from benchmarks.matrix.candidates import Candidate
from benchmarks.matrix.messages import Busy, Load, Refused
from edge_runtime.errors import LitelensError

LIMIT_S = 60.0
"""So long a process may be silent beyond what it was asked for; a slow board takes seconds to start Python."""
LONGEST = 300
"""Characters of what an interpreter said last that are passed on."""
_CHATTER = ("INFO:", "WARNING:")


class CellFailed(LitelensError):
    """An interpreter refused the model, or its process died or hung."""


class Cell:
    """A process that runs one model; ended with the ``with`` block, whatever it does."""

    def __init__(self, candidate: Candidate, interpreter: str, threads: int):
        """Takes what is to be run; nothing is started yet."""
        self.candidate, self.interpreter, self.threads = candidate, interpreter, threads
        self._process: subprocess.Popen | None = None

    def __str__(self) -> str:
        return f"{self.candidate.name}, {self.interpreter}, {threads_text(self.threads)}"

    def __enter__(self) -> "Cell":
        # A file, not a pipe: what an interpreter prints must not make it wait for a reader.
        self._said = tempfile.TemporaryFile()
        self._pipe, theirs = multiprocessing.Pipe()
        with theirs:
            command = [sys.executable, "-P", "-m", "benchmarks.matrix.worker", str(theirs.fileno())]
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=self._said,
                stderr=self._said,
                # The same modules as here, whatever lies in the working directory.
                env=os.environ | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
                pass_fds=[theirs.fileno()],
            )
        return self

    def __exit__(self, *exception: object) -> None:
        self._pipe.close()
        self._end()
        self._said.close()

    @property
    def pid(self) -> int:
        return self._process.pid

    def load(self, limit_s: float = LIMIT_S) -> None:
        """Loads the model and runs it once.

        Raises:
            CellFailed: If the interpreter refuses it, crashes, or does not come to an end.
        """
        self.ask(Load(self.candidate, self.interpreter, self.threads), limit_s)

    def ask(self, task: object, limit_s: float = LIMIT_S) -> Any:
        """Sends one of benchmarks.matrix.messages.

        Args:
            task: What to do.
            limit_s: So long the process may be silent; then it is ended.

        Returns:
            The answer, as the task describes it.

        Raises:
            CellFailed: If there is none.
        """
        try:
            self._pipe.send(task)
            while True:
                if not self._pipe.poll(limit_s):
                    self._end()
                    raise CellFailed(f"it hung: no answer within {limit_s:g} s", self._hint)
                answer = self._pipe.recv()
                if isinstance(answer, Refused):
                    raise CellFailed(answer.problem, answer.hint)
                if not isinstance(answer, Busy):
                    return answer
        except (EOFError, OSError) as problem:
            raise CellFailed(self._how_it_ended(), self._hint) from problem

    @property
    def _hint(self) -> str:
        alone = f"{self.candidate.model_file.path} --interpreter {self.interpreter}"
        return f"see whether it does so alone: litelens bench matrix {alone}"

    def _how_it_ended(self) -> str:
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(5)
        code = self._process.poll()
        if code is None:
            return "its process closed the pipe"
        how = (
            f"its process was ended by {_signal(-code)}"
            if code < 0
            else f"its process ended with exit code {code}"
        )
        return f"{how}{self._last_words()}"

    def _last_words(self) -> str:
        self._said.seek(0)
        lines = self._said.read().decode(errors="replace").splitlines()
        said = [line.strip() for line in lines if line.strip() and not line.startswith(_CHATTER)]
        return f": {said[-1][:LONGEST]}" if said else ""

    def _end(self) -> None:
        self._process.kill()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(1)  # no longer: a process that hangs in the kernel outlives that


def threads_text(threads: int) -> str:
    return f"{threads} thread{'s' if threads > 1 else ''}"


def _signal(number: int) -> str:
    """ "SIGKILL (Killed)"."""
    return f"{signal.Signals(number).name} ({signal.strsignal(number)})"
