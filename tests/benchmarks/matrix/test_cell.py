import os
import signal
import threading

import numpy as np
import pytest

from benchmarks.matrix.candidates import find_candidates
from benchmarks.matrix.cell import Cell, CellFailed
from benchmarks.matrix.messages import Classify, TimeFrames
from benchmarks.measuring.pictures import find_pictures


@pytest.fixture
def cell(tiny):
    """A cell that has loaded the tiny model."""
    with Cell(find_candidates([tiny])[0], "ai_edge_litert", 1) as running:
        running.load()
        yield running


def test_a_cell_times_frames_and_classifies_pictures(cell, colours):
    seconds = cell.ask(TimeFrames(0.05))
    assert seconds.dtype == np.float64 and seconds.ndim == 1 and len(seconds) and (seconds > 0).all()
    assert len(cell.ask(TimeFrames(0.0))) == 1, "at least one frame"
    said = cell.ask(Classify(find_pictures(colours, ("blue", "green", "red"))))
    assert (said.accuracy.pictures, said.accuracy.correct) == (6, 5)
    assert said.labels == ("blue", "red", "green", "green", "red", "red")


def test_a_process_that_is_killed_is_told(cell):
    threading.Timer(0.5, os.kill, (cell.pid, signal.SIGKILL)).start()
    with pytest.raises(CellFailed, match=r"ended by SIGKILL \(Killed\)") as failure:
        cell.ask(TimeFrames(600))
    assert "litelens bench matrix" in failure.value.hint
    with pytest.raises(CellFailed, match="SIGKILL"):
        cell.ask(TimeFrames(600))  # and stays told


def test_a_process_that_hangs_is_ended(cell):
    os.kill(cell.pid, signal.SIGSTOP)
    with pytest.raises(CellFailed, match=r"hung: no answer within 0\.2 s"):
        cell.ask(TimeFrames(0.0), limit_s=0.2)
    with pytest.raises(CellFailed, match="SIGKILL"):
        cell.ask(TimeFrames(0.0))


def test_a_process_ends_with_its_block(tiny):
    with Cell(find_candidates([tiny])[0], "ai_edge_litert", 1) as running:
        running.load()
        pid = running.pid
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_a_process_ends_when_its_starter_is_gone(cell):
    """As when that one is killed: the pipe is closed, and nobody ends the process."""
    cell._pipe.close()
    assert cell._process.wait(60) == 0


def test_a_process_that_loads_nothing_says_why(damaged):
    with (
        Cell(find_candidates([damaged])[0], "ai_edge_litert", 1) as running,
        pytest.raises(CellFailed) as failure,
    ):
        running.load()
    assert "cannot load" in str(failure.value) and "export the model again" in failure.value.hint


def test_a_process_that_crashes_says_how(damaged):
    pytest.importorskip("tflite_runtime", reason="needs tflite-runtime 2.14.0: Python 3.11")
    with (
        Cell(find_candidates([damaged])[0], "tflite_runtime", 1) as running,
        pytest.raises(CellFailed, match="SIGSEGV"),
    ):
        running.load()
