"""Runs litelens and its peers on the same frames, in turns."""

import os
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from benchmarks.peers.runtimes.models import Models
from benchmarks.peers.runtimes.onnx_conversion import to_onnx
from benchmarks.peers.runtimes.peer_process import PeerFailed, PeerProcess
from benchmarks.peers.runtimes.ratios import Ratio, paired_ratio
from benchmarks.peers.runtimes.rows import LITELENS, ONNX, ROWS, Row
from edge_runtime.errors import LitelensError

FRAMES, INPUTS = "frames.npy", "inputs.npy"
PROGRAMS = Path(__file__).parent / "programs"
TURN_S = 0.2
"""Short, so that a round is over before the machine has changed."""
WARMUP_S = 0.1
"""Of each turn, and not counted: the caches hold another peer's model, and ONNX Runtime's idle threads spin a while."""
CHECKED = 16
"""Inputs on which a model that was read or converted by others is held against LiteRT's."""
EVERYWHERE = ("pip", "setuptools", "pkg_resources", "_distutils_hack")
"""What `python -m venv` puts into each environment."""


class NothingToCompare(LitelensError):
    """litelens itself does not run in its environment."""


@dataclass(frozen=True)
class Found:
    """One row; where it failed, only its problem is known."""

    name: str
    model: str
    """rows.INT8 or rows.FLOAT."""
    preprocessing: str
    """How the frame becomes the model's input."""
    version: str | None = None
    """Of the runtime."""
    frames: int = 0
    """How many were timed."""
    p50_ms: float | None = None
    """Of a whole frame, from memory to its label."""
    p90_ms: float | None = None
    ratio: Ratio | None = None
    """Its time by litelens's."""
    agreement: float | None = None
    """0 to 1: how often its label was litelens's; None for what looks at no frame, like the next."""
    top1: float | None = None
    """0 to 1: how often its label was right."""
    largest_difference: float | None = None
    """Of a probability from LiteRT's, the original model on the same inputs; 0 to 1."""
    cores: float | None = None
    """Processor time by time: 1.0 is one thread that never waits."""
    start_s: float | None = None
    """Once, from the start of its process to the loaded model."""
    environment_bytes: int | None = None
    """What is installed for it, Python itself apart."""
    problem: str | None = None
    """Why nothing was measured."""

    @classmethod
    def of(cls, row: Row, **known: object) -> "Found":
        return cls(row.name, row.model, row.preprocessing, **known)


class Comparison:
    """One run of all rows; one that fails is left out of what follows."""

    def __init__(self, models: Models, environments: Path, folder: Path, tell: Callable[[str], None]):
        """Starts nothing yet.

        Args:
            models: What is compared.
            environments: Has a virtual environment for each `rows.Row.environment`, and "tf2onnx".
            folder: Has FRAMES, as `camera_frames.write_frames` writes them; conversions are put there.
            tell: Is called with what is being done.
        """
        self._models, self._environments, self._folder, self._tell = models, environments, folder, tell
        self._running: dict[Row, PeerProcess] = {}
        self._found: dict[Row, Found] = {row: Found.of(row) for row in ROWS}
        self._converted: dict[str, Path | PeerFailed] = {}

    def run(self, truth: list[str], rounds: int) -> tuple[Found, ...]:
        """All of it, in the order of `rows.ROWS`.

        Args:
            truth: The label of each frame in the folder's FRAMES.
            rounds: In each, every peer has a turn.

        Raises:
            NothingToCompare: If litelens itself does not run.
        """
        with ExitStack() as processes:
            self._each(ROWS, lambda row: self._start(row, processes))
            self._check(len(truth))
            self._classify(truth)
            self._take_turns(rounds)
        return tuple(self._found.values())

    def _each(self, rows: tuple[Row, ...], step: Callable[[Row], None]) -> None:
        """One step of every row; one that fails at it has no further ones."""
        for row in rows:
            try:
                step(row)
            except PeerFailed as problem:
                if row == LITELENS:
                    raise NothingToCompare(
                        f"litelens, which all others are compared with, does not run: {problem}",
                        "make bench-peers",
                    ) from problem
                self._running.pop(row, None)
                self._found[row] = Found.of(row, problem=str(problem))

    def _know(self, row: Row, **facts: object) -> None:
        self._found[row] = replace(self._found[row], **facts)

    def _start(self, row: Row, processes: ExitStack) -> None:
        self._tell(f"starting {row.name}, {row.model}")
        path = self._model(row)
        program = PROGRAMS / f"{row.program}.py"
        process = processes.enter_context(PeerProcess(self._python(row.environment), program))
        version, start_s = process.load(self._models.settings(row, path))
        installed = installed_bytes(self._environments / row.environment)
        self._know(row, version=version, start_s=start_s, environment_bytes=installed)
        self._running[row] = process

    def _model(self, row: Row) -> Path:
        """The row's model in its format; it is converted once."""
        path = self._models.path(row.model)
        if not path:
            raise PeerFailed("no float model was named")
        if row.format != ONNX:
            return path
        if row.model not in self._converted:
            out = self._folder / f"{row.model}.onnx"
            try:
                to_onnx(self._python("tf2onnx"), path, out)
                self._converted[row.model] = out
            except PeerFailed as problem:
                self._converted[row.model] = problem
        if isinstance(converted := self._converted[row.model], PeerFailed):
            raise converted
        return converted

    def _python(self, environment: str) -> Path:
        return self._environments.absolute() / environment / "bin" / "python"

    def _check(self, count: int) -> None:
        """Holds what each made of the model against LiteRT."""
        self._tell("comparing probabilities")
        frames = np.load(self._folder / FRAMES, mmap_mode="r")
        picked = np.linspace(0, count - 1, min(CHECKED, count)).round().astype(int)
        inputs = self._models.inputs(frames[picked])
        np.save(self._folder / INPUTS, inputs)
        expected = {
            kind: self._models.probabilities(kind, inputs) for kind in {row.model for row in self._running}
        }

        def check(row: Row) -> None:
            answers = np.array(self._running[row].probabilities(self._folder / INPUTS))
            self._know(row, largest_difference=largest_difference(answers, expected[row.model]))

        self._each(tuple(self._running), check)

    def _classify(self, truth: list[str]) -> None:
        """All frames once through each: agreement and top-1."""
        self._tell(f"classifying {len(truth)} frames")
        ours: list[str] = []

        def classify(row: Row) -> None:
            labels = self._running[row].classify_all(self._folder / FRAMES, len(truth))
            if row == LITELENS:
                ours[:] = labels
            if row.answers:
                self._know(row, agreement=_share_of_same(labels, ours), top1=_share_of_same(labels, truth))

        self._each(tuple(self._running), classify)

    def _take_turns(self, rounds: int) -> None:
        """The times. The order changes from round to round, so that nobody always follows the same peer."""
        seconds: dict[Row, list[list[float]]] = {row: [] for row in self._running}
        cpu_s = dict.fromkeys(self._running, 0.0)

        def turn(row: Row) -> None:
            taken, busy_s = self._running[row].turn(TURN_S, WARMUP_S)
            seconds[row].append(taken)
            cpu_s[row] += busy_s

        random = np.random.default_rng(0)
        for number in range(1, rounds + 1):
            rows = tuple(self._running)
            order = tuple(rows[index] for index in random.permutation(len(rows)))
            self._tell(f"timing, round {number} of {rounds}")
            self._each(order, turn)
        for row in self._running:
            whole = np.concatenate(seconds[row])
            p50_ms, p90_ms = (float(p) for p in np.percentile(whole, (50, 90)) * 1000)
            self._know(
                row,
                frames=len(whole),
                p50_ms=p50_ms,
                p90_ms=p90_ms,
                ratio=paired_ratio(seconds[row], seconds[LITELENS]),
                cores=float(cpu_s[row] / whole.sum()),
            )


def installed_bytes(environment: Path) -> int:
    """What the packages of a virtual environment take, without those that every one has."""
    total = 0
    for packages in environment.glob("lib/python*/site-packages"):
        for child in packages.iterdir():
            if not child.name.startswith(EVERYWHERE):
                total += sum(
                    file.lstat().st_size for file in (child, *child.rglob("*")) if not os.path.isdir(file)
                )
    return total


def largest_difference(answers: np.ndarray, expected: np.ndarray) -> float:
    """Of any probability; both of shape (inputs, classes).

    Raises:
        PeerFailed: If the answers are no probabilities of these classes at all.
    """
    if answers.shape != expected.shape or not np.isfinite(answers).all():
        raise PeerFailed(
            f"it answers with shape {answers.shape}, {np.isfinite(answers).mean():.0%} of it numbers; "
            f"expected numbers of shape {expected.shape}"
        )
    return float(np.abs(answers - expected).max())


def _share_of_same(labels: list[str], others: list[str]) -> float:
    return float(np.mean([label == other for label, other in zip(labels, others, strict=True)]))
