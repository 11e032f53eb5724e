"""One cell in a process of its own: `python -m benchmarks.matrix.worker DESCRIPTOR`; benchmarks.matrix.cell starts it.

Two interpreters in one process may not bear each other, and one that crashes takes its process along.
"""

import resource
import signal
import sys
import time
from itertools import repeat
from multiprocessing.connection import Connection

import numpy as np

from benchmarks.matrix.interpreters import matrix_classifier
from benchmarks.matrix.messages import Answers, Busy, Loaded, Refused, TimeFrames
from benchmarks.measuring.frame import synthetic_frame
from benchmarks.measuring.pictures import Pictures, measure_accuracy
from benchmarks.measuring.windows import record, whole_s
from edge_runtime.classifier import Classifier, Prediction
from edge_runtime.errors import LitelensError

WARMUP_S = 0.2
"""Of each window, before what is counted: the caches hold another cell's model, and for up to 0.05 s the idle threads of
its interpreter have not gone to sleep (tflite-runtime's float models; LiteRT's sleep at once)."""
SIGN_OF_LIFE_S = 1.0


def main(descriptor: int) -> None:
    """Answers what comes through the pipe until its other end is closed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the one that started it
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with Connection(descriptor) as pipe:
        try:
            work(pipe)
        except LitelensError as problem:
            pipe.send(Refused(str(problem), problem.hint))
        except (EOFError, BrokenPipeError, ConnectionResetError):
            return  # nobody wants to know any more


def work(pipe: Connection) -> None:
    """Loads one model, runs it once, and does what is asked."""
    asked = pipe.recv()
    classifier = matrix_classifier(asked.candidate, asked.interpreter, asked.threads)
    frame = synthetic_frame()
    classifier.classify(frame)
    pipe.send(Loaded())
    while True:
        asked = pipe.recv()
        pipe.send(
            time_frames(classifier, frame, asked.seconds)
            if isinstance(asked, TimeFrames)
            else answer(classifier, asked.pictures, pipe)
        )


def time_frames(classifier: Classifier, frame: np.ndarray, seconds: float) -> np.ndarray:
    """Seconds of each frame of a window, from its pixels to its predictions; at least one frame."""
    frames = repeat(frame)
    record(classifier, frames, WARMUP_S, rows=1024)
    return whole_s(record(classifier, frames, seconds, rows=1024))


def answer(classifier: Classifier, pictures: Pictures, pipe: Connection) -> Answers:
    """Classifies all pictures once."""
    listening = _Listening(classifier, pipe)
    accuracy, _ = measure_accuracy(listening, pictures)
    return Answers(accuracy, tuple(listening.labels))


class _Listening:
    """A classifier whose answers are kept."""

    def __init__(self, classifier: Classifier, pipe: Connection):
        self.labels: list[str] = []
        self._classifier, self._pipe = classifier, pipe
        self._told_s = time.monotonic()

    def classify(self, frame: np.ndarray, top_k: int) -> list[Prediction]:
        predictions = self._classifier.classify(frame, top_k)
        self.labels.append(predictions[0].label)
        if time.monotonic() > self._told_s + SIGN_OF_LIFE_S:
            self._pipe.send(Busy())
            self._told_s = time.monotonic()
        return predictions


if __name__ == "__main__":
    main(int(sys.argv[1]))
