"""The sweep over thread counts."""

from itertools import repeat

import numpy as np

from benchmarks.card.contract import ThreadCount, Threads
from benchmarks.measuring.windows import record, whole_s
from edge_runtime.classifier import Classifier, default_threads
from edge_runtime.model_file import ModelFile

ROUNDS = 10
TOLERATED = 0.05
"""So much slower than the fastest a thread count may be and still be recommended for using fewer cores."""


def counts_to_try(asked: int) -> list[int]:
    """From one thread to the cores, at most four, and the count that was asked for."""
    return sorted({*range(1, default_threads() + 1), asked})


def sweep(model: ModelFile, counts: list[int], frame: np.ndarray, seconds: float) -> Threads:
    """Times whole frames with each thread count, in turns of a tenth of the time.

    Args:
        model: Runs on the CPU.
        counts: Each gets a classifier of its own.
        frame: RGB, uint8, shape (height, width, 3).
        seconds: For each count.

    Raises:
        InterpreterError: If the interpreter refuses the model.
    """
    classifiers = {threads: Classifier(model, threads) for threads in counts}
    found: dict[int, list[np.ndarray]] = {threads: [] for threads in counts}
    for _ in range(ROUNDS):
        for threads, classifier in classifiers.items():
            classifier.classify(frame)  # not timed: the caches still hold the classifier before
            times = record(classifier, repeat(frame), seconds / ROUNDS, rows=1024)
            found[threads].append(whole_s(times))
    measured = [_summarise(threads, np.concatenate(whole)) for threads, whole in found.items()]
    return Threads(tuple(measured), recommend(measured))


def recommend(measured: list[ThreadCount]) -> int:
    """The least threads that are within a twentieth of the fastest median."""
    limit_ms = min(count.whole_p50_ms for count in measured) * (1 + TOLERATED)
    return min(count.threads for count in measured if count.whole_p50_ms <= limit_ms)


def _summarise(threads: int, whole: np.ndarray) -> ThreadCount:
    p50, p90 = (float(p) for p in np.percentile(whole * 1000, (50, 90)))
    return ThreadCount(threads, len(whole), p50, p90)
