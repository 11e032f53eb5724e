import contextlib
import os
import signal
from pathlib import Path

import pytest

from benchmarks.matrix.candidates import find_candidates
from benchmarks.matrix.rounds import measure_matrix
from benchmarks.measuring.pictures import find_pictures
from edge_runtime.errors import InterpreterError

LABELS = ("blue", "green", "red")


def children() -> list[int]:
    """Processes that this one has started, oldest first."""
    me = os.getpid()
    return [
        int(pid) for task in Path(f"/proc/{me}/task").glob("*/children") for pid in task.read_text().split()
    ]


def test_equal_cells_stand_side_by_side(tiny, colours, run_folder):
    said = []
    found = measure_matrix(
        find_candidates([tiny, run_folder]),
        ["ai_edge_litert"],
        [1],
        rounds=2,
        round_s=0.02,
        pictures=find_pictures(colours, LABELS),
        report=said.append,
    )
    first, second = found.cells
    assert [(cell.number, cell.model) for cell in found.cells] == [(1, "tiny.tflite"), (2, "colours/float")]
    for cell in found.cells:
        assert not cell.problem and cell.latency.frames >= 2 and len(cell.latency.rounds_p50_ms) == 2
        assert (cell.accuracy.correct, cell.accuracy.pictures, cell.agreement) == (5, 6, 1.0)
    assert first.latency.ratio.median == 1 and second.latency.ratio.median > 0
    assert first.on_front or second.on_front
    assert (
        "loading 1 of 2: tiny.tflite, ai_edge_litert, 1 thread" in said and "round 2 of 2: 2 x 0.02 s" in said
    )
    assert any("2 rounds, expected at least 6" in reason for reason in found.reasons)


def test_a_cell_that_is_killed_in_mid_run_is_told_and_the_rest_goes_on(tiny):
    before = set(children())

    def kill_one(line: str) -> None:
        if line.startswith("round 2"):
            os.kill(next(pid for pid in children() if pid not in before), signal.SIGKILL)

    found = measure_matrix(
        find_candidates([tiny, tiny]), ["ai_edge_litert"], [1], rounds=3, round_s=0.02, report=kill_one
    )
    killed, other = found.cells
    assert (
        killed.problem == "in round 2, its process was ended by SIGKILL (Killed)" and killed.latency is None
    )
    assert len(other.latency.rounds_p50_ms) == 3 and other.latency.ratio.median == 1, "the first that is left"
    assert set(children()) == before


def test_nothing_that_can_be_measured_is_an_error(damaged):
    with pytest.raises(
        InterpreterError, match=r"nothing could be measured: damaged\.tflite, ai_edge_litert, 1 thread"
    ):
        measure_matrix(find_candidates([damaged]), ["ai_edge_litert"], [1], rounds=1, round_s=0.01)


def test_a_model_whose_answers_mean_nothing_is_only_timed(tiny, tiny_float, colours):
    found = measure_matrix(
        find_candidates([tiny, tiny_float]),
        ["ai_edge_litert"],
        [1],
        rounds=1,
        round_s=0.01,
        pictures=find_pictures(colours, LABELS),
    )
    assert found.cells[0].accuracy and not found.cells[1].accuracy and found.cells[1].latency
    assert found.notes == (
        "tiny_float.tflite: no accuracy, its labels are unknown: neither TFLite metadata nor a run's labels.txt",
    )


def test_ctrl_c_leaves_no_process(tiny):
    before = set(children())

    def interrupt(line: str) -> None:
        if line.startswith("round 1"):
            raise KeyboardInterrupt

    with contextlib.suppress(KeyboardInterrupt):
        measure_matrix(
            find_candidates([tiny]), ["ai_edge_litert"], [1], rounds=1, round_s=0.01, report=interrupt
        )
    assert set(children()) == before
