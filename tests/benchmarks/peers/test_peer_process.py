import sys
from pathlib import Path

import numpy as np
import pytest

from benchmarks.peers.runtimes.peer_process import LONGEST, PeerFailed, PeerProcess
from benchmarks.peers.runtimes.programs.settings import Settings

SETTINGS = Settings("absent.tflite", ("dark", "bright"), (4, 4), 1.0, 0, 1 / 256, 0, threads=2)
PROGRAM = """
import os, signal, sys, time
class Peer:
    version = "7"
    def __init__(self, settings):
        print("a runtime that talks", flush=True)
        self._settings = settings
        {on_load}
    def classify(self, frame):
        {on_frame}
        return self._settings.labels[int(frame.mean() > 127)]
    def probabilities(self, picture):
        return [1 - picture.mean() / 255, picture.mean() / 255]
load = Peer
"""


@pytest.fixture
def start(tmp_path):
    """Runs a program that does something odd when it loads, or with a frame."""

    def make(on_load: str = "pass", on_frame: str = "pass") -> PeerProcess:
        program = tmp_path / "odd.py"
        program.write_text(PROGRAM.format(on_load=on_load, on_frame=on_frame))
        return PeerProcess(Path(sys.executable), program)

    return make


@pytest.fixture
def frames(tmp_path) -> Path:
    """A dark one, a bright one, and one that is not to be looked at."""
    path = tmp_path / "frames.npy"
    pictures = np.zeros((3, 4, 4, 3), np.uint8)
    pictures[1] = 255
    np.save(path, pictures)
    return path


def test_a_program_answers_what_it_is_asked(start, frames):
    with start() as peer:
        version, start_s = peer.load(SETTINGS)
        assert version == "7" and start_s > 0
        assert peer.classify_all(frames, 2) == ["dark", "bright"]
        assert peer.probabilities(frames) == [[1, 0], [0, 1], [1, 0]]


def test_a_turn_times_each_frame_and_at_least_some(start, frames):
    with start(on_frame="time.sleep(0.02)") as peer:
        peer.load(SETTINGS)
        peer.classify_all(frames, 3)
        for seconds, least in ((0.0, 5), (0.3, 5)):
            taken, cpu_s = peer.turn(seconds, warmup_s=0.0)
            assert len(taken) >= least and min(taken) >= 0.02
            assert 0 <= cpu_s < sum(taken), "it slept"


@pytest.mark.parametrize(
    "on_load, reason",
    [
        ("raise ValueError('no such\\n  layer')", "ValueError: no such layer"),
        ("import a_runtime_that_is_not_installed", "ModuleNotFoundError: No module named"),
        ("raise RuntimeError('x' * 10_000)", "RuntimeError: xxx"),
        ("print('why', file=sys.stderr, flush=True); os._exit(3)", "its process ended with exit code 3: why"),
        ("os.kill(os.getpid(), signal.SIGSEGV)", "its process was ended by SIGSEGV (Segmentation fault): a"),
    ],
)
def test_what_cannot_be_loaded_has_its_reason(start, on_load, reason):
    with start(on_load) as peer, pytest.raises(PeerFailed) as problem:
        peer.load(SETTINGS)
    assert str(problem.value).startswith(reason) and len(str(problem.value)) <= LONGEST


def test_a_program_that_is_none_has_its_reason(tmp_path):
    program = tmp_path / "broken.py"
    program.write_text("def load(:")
    with PeerProcess(Path(sys.executable), program) as peer, pytest.raises(PeerFailed, match="SyntaxError"):
        peer.load(SETTINGS)


@pytest.mark.parametrize(
    "on_frame, reason",
    [
        ("os._exit(0)", "its process ended with exit code 0"),
        ("os.kill(os.getpid(), signal.SIGABRT)", "its process was ended by SIGABRT"),
        ("return self._settings.labels[2]", "IndexError: tuple index out of range"),
    ],
)
def test_one_that_dies_at_work_has_its_reason(start, frames, on_frame, reason):
    with start(on_frame=on_frame) as peer:
        peer.load(SETTINGS)
        with pytest.raises(PeerFailed, match=reason):
            peer.classify_all(frames, 1)
        with pytest.raises(PeerFailed):
            peer.turn(0.1, 0.0)


def test_one_that_hangs_is_ended(start):
    with start(on_load="time.sleep(600)") as peer:
        with pytest.raises(PeerFailed, match="it hung: no answer within 0.5 s"):
            peer.load(SETTINGS, limit_s=0.5)
        assert peer._process.poll() is not None


def test_one_that_is_no_longer_needed_is_ended(start):
    with start() as peer:
        peer.load(SETTINGS)
    assert peer._process.poll() is not None


def test_an_environment_that_is_not_there_is_said(tmp_path):
    with pytest.raises(PeerFailed, match="no environment: .*python is not there; make bench-peers"):
        PeerProcess(tmp_path / "bin" / "python", tmp_path / "any.py")
