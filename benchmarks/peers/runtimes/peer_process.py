"""A program of programs/ in the python of its own environment, driven over a pipe."""

import time
from dataclasses import asdict
from pathlib import Path
from typing import Self

from benchmarks.driven_process import LONGEST, DrivenProcess
from benchmarks.peers.runtimes.programs.settings import Settings
from edge_runtime.errors import LitelensError

SERVE = Path(__file__).parent / "programs" / "serve.py"
LIMIT_S = 120.0
"""So long one answer may take; the longest is to classify all pictures."""


class PeerFailed(LitelensError):
    """A peer cannot load the model, or its process died or hung."""

    def __init__(self, problem: str):
        super().__init__(" ".join(problem.split())[:LONGEST], "the other peers are measured without it")


class PeerProcess(DrivenProcess):
    """One loaded model; ended with the ``with`` block, whatever it does."""

    def __init__(self, python: Path, program: Path):
        """Starts nothing yet.

        Args:
            python: Of the peer's environment.
            program: See `programs/serve.py`.

        Raises:
            PeerFailed: If the environment is not there.
        """
        if not python.exists():
            raise PeerFailed(f"no environment: {python} is not there; make bench-peers makes it")
        # -E -s: neither PYTHONPATH nor a user's own packages.
        super().__init__([python, "-E", "-s", SERVE, program])

    def __enter__(self) -> Self:
        self._started_s = time.monotonic()
        return super().__enter__()

    def load(self, settings: Settings, limit_s: float = LIMIT_S) -> tuple[str, float]:
        """Loads the model.

        Returns:
            The runtime's version, and the seconds since the process was started.

        Raises:
            PeerFailed: If it cannot.
        """
        version = self.ask({"load": asdict(settings)}, limit_s)["version"]
        return version, time.monotonic() - self._started_s

    def classify_all(self, frames: Path, count: int) -> list[str]:
        """The label of each of the first `count` frames of a .npy, which from now on are the ones that are timed.

        Raises:
            PeerFailed: If it fails.
        """
        return self.ask({"frames": str(frames), "count": count})["labels"]

    def probabilities(self, inputs: Path) -> list[list[float]]:
        """What the model answers to a .npy of pictures of its own size: a list of probabilities each.

        Raises:
            PeerFailed: If it fails.
        """
        return self.ask({"inputs": str(inputs)})["probabilities"]

    def turn(self, seconds: float, warmup_s: float) -> tuple[list[float], float]:
        """Classifies frames for so long, after some that are not counted.

        Returns:
            The seconds of each, and the processor time of all the process's threads meanwhile.

        Raises:
            PeerFailed: If it fails.
        """
        answer = self.ask({"seconds": seconds, "warmup_s": warmup_s})
        return answer["seconds"], answer["cpu_s"]

    def ask(self, request: dict, limit_s: float = LIMIT_S) -> dict:
        """Sends a request and waits for the answer.

        Raises:
            PeerFailed: If there is none within limit_s; then the process is ended.
        """
        self.send(request)
        answer = self.receive(limit_s)
        if "problem" in answer:
            raise PeerFailed(answer["problem"])
        return answer

    def failure(self, problem: str) -> PeerFailed:
        return PeerFailed(problem)
