"""What goes through the pipe between benchmarks.matrix.cell and its process, benchmarks.matrix.worker."""

from dataclasses import dataclass

from benchmarks.card.contract import Accuracy
from benchmarks.matrix.candidates import Candidate
from benchmarks.measuring.pictures import Pictures


@dataclass(frozen=True)
class Load:
    """To be sent first; the answer is a Loaded."""

    candidate: Candidate
    interpreter: str
    """A key of benchmarks.matrix.interpreters.INTERPRETERS."""
    threads: int


@dataclass(frozen=True)
class Loaded:
    """The model can be run."""


@dataclass(frozen=True)
class TimeFrames:
    """The answer is the seconds of each frame, float64 of shape (frames,)."""

    seconds: float


@dataclass(frozen=True)
class Classify:
    """The answer is an Answers."""

    pictures: Pictures


@dataclass(frozen=True)
class Answers:
    """What a cell said of the pictures."""

    accuracy: Accuracy
    labels: tuple[str, ...]
    """A picture that could be read, in their order."""


@dataclass(frozen=True)
class Busy:
    """Sent while pictures are classified, which may take long."""


@dataclass(frozen=True)
class Refused:
    """In place of an answer, and the last one."""

    problem: str
    hint: str
