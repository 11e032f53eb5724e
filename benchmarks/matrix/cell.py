"""A cell of the matrix, seen from outside: a model in an interpreter with a number of threads, in another process."""

import os
import sys
from typing import Any

from benchmarks.driven_process import DrivenProcess
from benchmarks.matrix.candidates import Candidate
from benchmarks.matrix.messages import Busy, Load, Refused
from edge_runtime.errors import LitelensError

LIMIT_S = 60.0
"""So long a process may be silent beyond what it was asked for; a slow board takes seconds to start Python."""


class CellFailed(LitelensError):
    """An interpreter refused the model, or its process died or hung."""


class Cell(DrivenProcess):
    """A process that runs one model; ended with the ``with`` block, whatever it does."""

    def __init__(self, candidate: Candidate, interpreter: str, threads: int):
        """Takes what is to be run; nothing is started yet."""
        # The same modules as here, whatever lies in the working directory.
        modules = {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
        super().__init__([sys.executable, "-P", "-m", "benchmarks.matrix.worker"], os.environ | modules)
        self.candidate, self.interpreter, self.threads = candidate, interpreter, threads

    def __str__(self) -> str:
        return f"{self.candidate.name}, {self.interpreter}, {threads_text(self.threads)}"

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
        self.send(task)
        while isinstance(answer := self.receive(limit_s), Busy):
            pass
        if isinstance(answer, Refused):
            raise CellFailed(answer.problem, answer.hint)
        return answer

    def failure(self, problem: str) -> CellFailed:
        alone = f"{self.candidate.model_file.path} --interpreter {self.interpreter}"
        return CellFailed(problem, f"see whether it does so alone: litelens bench matrix {alone}")


def threads_text(threads: int) -> str:
    return f"{threads} thread{'s' if threads > 1 else ''}"
