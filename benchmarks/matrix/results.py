"""What a matrix found."""

import math
from dataclasses import dataclass

from benchmarks.card.contract import Accuracy, Spread

CONFIDENCE = 0.95
"""Of the interval of a ratio."""
FEWEST_ROUNDS = 6
"""With fewer there is none."""


@dataclass(frozen=True)
class Ratio:
    """A cell's time by that of the first cell: above 1 it is slower."""

    median: float
    """Of the rounds' ratios; both times of a ratio were measured within one round."""
    low: float | None
    """The interval's ends, at CONFIDENCE; None where there were too few rounds to have one."""
    high: float | None


@dataclass(frozen=True)
class Model:
    """One of the models."""

    name: str
    file: str
    """Without its folder."""
    sha256: str
    """Of the whole file."""
    size_bytes: int
    input_height_px: int
    input_width_px: int
    input_dtype: str
    weights_dtype: str
    """Of most of the weights' bytes."""


@dataclass(frozen=True)
class Latency:
    """How long a frame takes in a cell, from its pixels to its predictions."""

    frames: int
    """Of all rounds."""
    whole: Spread
    rounds_p50_ms: tuple[float, ...]
    """The median of each round."""
    spread: float
    """Of these: largest less smallest, by their median."""
    ratio: Ratio
    """To the first cell that was measured."""


@dataclass(frozen=True)
class Cell:
    """A model in an interpreter with a number of threads."""

    number: int
    """From 1, in the order of models, interpreters and threads."""
    model: str
    """Model.name."""
    interpreter: str
    """A key of benchmarks.matrix.interpreters.INTERPRETERS."""
    threads: int
    problem: str
    """Why there is no latency, or ""."""
    hint: str
    """What to do about it, or ""."""
    latency: Latency | None
    accuracy: Accuracy | None
    """Measured once for all thread counts; None without pictures, or where the labels or the normalisation are unknown."""
    agreement: float | None
    """0 to 1: how often it gave the same label as the first cell that has an accuracy."""
    on_front: bool
    """No other cell is better, as `front` says."""


@dataclass(frozen=True)
class Interpreter:
    """One of the interpreters."""

    name: str
    version: str
    """Of its distribution; "" where it is not installed."""
    install: str
    """The command that installs it where it is not, or ""."""


@dataclass(frozen=True)
class Matrix:
    """All of it."""

    litelens: str
    """The version that measured."""
    models: tuple[Model, ...]
    interpreters: tuple[Interpreter, ...]
    """All that were asked for, also those that are not installed."""
    cells: tuple[Cell, ...]
    rounds: int
    round_s: float
    """So long a cell ran in each round."""
    seed: int
    """Of the order within the rounds."""
    frame_height_px: int
    frame_width_px: int
    notes: tuple[str, ...]
    """What could not be measured, besides whole cells, and why."""
    others_share: float | None
    """Of all cores' time, what other programs took; None where the kernel does not tell."""
    reasons: tuple[str, ...]
    """Why the times may not be quoted; empty where they may."""

    @property
    def has_accuracy(self) -> bool:
        """Whether it was measured for any cell."""
        return any(cell.accuracy for cell in self.cells)


def paired_ratio(times: list[float], first: list[float]) -> Ratio:
    """How a cell's rounds compare with the first cell's.

    The interval holds the median ratio whatever its distribution: the ratios are put in order and as many are left out at
    both ends as the sign test allows (its binomial tail, at most half of what CONFIDENCE leaves over). With fewer than
    FEWEST_ROUNDS none may stand.

    Args:
        times: A median a round.
        first: The first cell's, of the same rounds.
    """
    ratios = sorted(time / reference for time, reference in zip(times, first, strict=True))
    rounds = len(ratios)
    middle = (ratios[(rounds - 1) // 2] + ratios[rounds // 2]) / 2
    left_out, tail = -1, 0.0
    while (tail := tail + math.comb(rounds, left_out + 1) / 2**rounds) <= (1 - CONFIDENCE) / 2:
        left_out += 1
    if left_out < 0:
        return Ratio(middle, None, None)
    return Ratio(middle, ratios[left_out], ratios[rounds - 1 - left_out])


@dataclass(frozen=True)
class Place:
    """Where a cell stands among the others."""

    rounds_ms: list[float]
    """A median a round."""
    size_bytes: int
    top1: float | None
    """0 to 1."""


def front(places: list[Place]) -> list[bool]:
    """Which cells are on the Pareto front of latency, size and, where it was measured, accuracy.

    A cell is off it if another one is at least as accurate, no larger, and better beyond chance: faster in the paired
    rounds, or more accurate or smaller and not slower. Of two that the rounds cannot tell apart both may be on it.
    """
    judged = [place for place in places if place.top1 is not None] or places
    return [
        place in judged and not any(_beats(other, place) for other in judged if other is not place)
        for place in places
    ]


def _beats(one: Place, other: Place) -> bool:
    top1, other_top1 = one.top1 or 0.0, other.top1 or 0.0
    if top1 < other_top1 or one.size_bytes > other.size_bytes:
        return False
    ratio = paired_ratio(other.rounds_ms, one.rounds_ms)
    faster = ratio.median > 1 if ratio.low is None else ratio.low > 1
    slower = ratio.median < 1 if ratio.high is None else ratio.high < 1
    return faster or (not slower and (top1 > other_top1 or one.size_bytes < other.size_bytes))
