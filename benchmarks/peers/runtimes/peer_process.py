"""A program of programs/ in the python of its own environment, driven over a pipe."""

import contextlib
import multiprocessing
import signal
import subprocess
import tempfile
import time
from dataclasses import asdict
from pathlib import Path

from benchmarks.peers.runtimes.programs.settings import Settings
from edge_runtime.errors import LitelensError

SERVE = Path(__file__).parent / "programs" / "serve.py"
LIMIT_S = 120.0
"""So long one answer may take; the longest is to classify all pictures."""

LONGEST = 300
"""Characters of a reason."""


class PeerFailed(LitelensError):
    """A peer cannot load the model, or its process died or hung."""

    def __init__(self, problem: str):
        super().__init__(" ".join(problem.split())[:LONGEST], "the other peers are measured without it")


class PeerProcess:
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
        self._python, self._program = python, program

    def __enter__(self) -> "PeerProcess":
        self._started_s = time.monotonic()
        # A file, not a pipe: what a runtime prints must not make it wait for a reader.
        self._said = tempfile.TemporaryFile()
        self._pipe, theirs = multiprocessing.Pipe()
        with theirs:
            self._process = subprocess.Popen(
                # -E -s: neither PYTHONPATH nor a user's own packages.
                [self._python, "-E", "-s", SERVE, self._program, str(theirs.fileno())],
                stdin=subprocess.DEVNULL,
                stdout=self._said,
                stderr=self._said,
                pass_fds=[theirs.fileno()],
            )
        return self

    def __exit__(self, *exception: object) -> None:
        self._pipe.close()
        self._end()
        self._said.close()

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
        try:
            self._pipe.send(request)
            if not self._pipe.poll(limit_s):
                self._end()
                raise PeerFailed(f"it hung: no answer within {limit_s:g} s")
            answer = self._pipe.recv()
        except (EOFError, OSError) as problem:
            raise PeerFailed(self._how_it_ended()) from problem
        if "problem" in answer:
            raise PeerFailed(answer["problem"])
        return answer

    def _how_it_ended(self) -> str:
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(30)
        code = self._process.poll()
        if code is None:
            return "its process closed the pipe"
        how = f"ended by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
        return f"its process {how}{self._last_words()}"

    def _last_words(self) -> str:
        self._said.seek(0)
        said = [line for line in self._said.read().decode(errors="replace").splitlines() if line.strip()]
        return f": {said[-1]}" if said else ""

    def _end(self) -> None:
        self._process.kill()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(5)  # no longer: a process that hangs in the kernel outlives that
