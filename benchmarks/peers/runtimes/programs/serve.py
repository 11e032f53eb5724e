"""Runs a program of this folder for `benchmarks.peers.runtimes.peer_process`: `python serve.py PROGRAM.py DESCRIPTOR`.

In the peer's own environment, so nothing of litelens is imported. Every request and every answer is a dict of plain
values. A program has a function `load` that takes Settings; what it returns has

    version         of the runtime
    classify        a frame, RGB uint8 of shape (height, width, 3), to its label
    probabilities   a picture of the model's own size, RGB uint8, to the probability of each class
"""

import importlib
import resource
import signal
import sys
import time
import traceback
from collections.abc import Iterator
from itertools import cycle
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np
from settings import Settings

LEAST_FRAMES = 5
"""Of a turn, however slow they are."""


def main(program: Path, descriptor: int) -> None:
    """Answers what comes through the pipe until its other end is closed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the one that started it
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    pipe = Connection(descriptor)

    def tell(kind: type, problem: BaseException, trace: object) -> None:
        """Whatever a runtime raises is its reason, and the end."""
        traceback.print_exception(kind, problem, trace)
        pipe.send({"problem": f"{kind.__name__}: {problem}"})

    sys.excepthook = tell
    sys.path.insert(0, str(program.parent))
    work(importlib.import_module(program.stem).load, pipe)


def work(load, pipe: Connection) -> None:
    """Loads the model first; then classifies as it is asked to."""
    asked = _next(pipe)
    if asked is None:
        return
    peer = load(Settings(**asked["load"]))
    pipe.send({"version": peer.version})
    frames = None
    while (asked := _next(pipe)) is not None:
        if "frames" in asked:
            # Mapped: all programs share the memory, and each frame is copied before it is timed.
            pictures = np.load(asked["frames"], mmap_mode="r")[: asked["count"]]
            frames = (np.array(picture) for picture in cycle(pictures))
            pipe.send({"labels": [peer.classify(np.array(picture)) for picture in pictures]})
        elif "inputs" in asked:
            answers = [peer.probabilities(picture) for picture in np.load(asked["inputs"])]
            pipe.send({"probabilities": np.asarray(answers, float).tolist()})
        else:
            take_turn(peer, frames, asked["warmup_s"])
            pipe.send(take_turn(peer, frames, asked["seconds"]))


def take_turn(peer: object, frames: Iterator[np.ndarray], seconds: float) -> dict:
    """Classifies one frame after the other for so long.

    Returns:
        Seconds of each frame, from memory to label; and all threads' processor time meanwhile.
    """
    taken, cpu_s = [], 0.0
    end = time.perf_counter() + seconds
    while time.perf_counter() < end or len(taken) < LEAST_FRAMES:
        frame = next(frames)
        cpu_start, start = time.process_time(), time.perf_counter()
        peer.classify(frame)
        taken.append(time.perf_counter() - start)
        cpu_s += time.process_time() - cpu_start
    return {"seconds": taken, "cpu_s": cpu_s}


def _next(pipe: Connection) -> dict | None:
    try:
        return pipe.recv()
    except (EOFError, ConnectionResetError):
        return None


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
