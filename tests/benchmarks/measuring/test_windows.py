from itertools import count, repeat

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as st_numpy

from benchmarks.card.contract import SAMPLES
from benchmarks.measuring.windows import (
    BINS,
    CAPTURED,
    DONE,
    INVOKED,
    PREPROCESSED,
    START,
    histogram,
    record,
    stages,
    summarise,
    sustained,
    whole_s,
)
from edge_runtime.classifier import Classifier


@pytest.fixture(scope="module")
def classifier(tiny):
    return Classifier(tiny, 1)


def recording(*whole_ms: float, start_s: float = 100.0, gap_s: float = 0.5) -> np.ndarray:
    """A frame each half second whose capture takes 1 ms, and whose preprocess and postprocess take a quarter of the rest."""
    rows = []
    for number, ms in enumerate(whole_ms):
        start, whole = start_s + number * gap_s, ms / 1000
        captured = start + 0.001
        rows.append((start, captured, captured + whole / 4, captured + whole * 3 / 4, captured + whole))
    return np.array(rows)


def test_every_stage_of_every_frame_is_recorded(classifier, coloured):
    times = record(classifier, repeat(coloured("red")), 0.2, rows=100_000)
    assert times.shape[1] == 5 and len(times) >= 1
    assert (np.diff(times, axis=1) >= 0).all() and (np.diff(times[:, START]) > 0).all()
    assert (times[1:, START] >= times[:-1, DONE]).all()
    assert times[-1, START] < times[0, START] + 0.2
    assert (times[:, INVOKED] > times[:, PREPROCESSED]).all()


@pytest.mark.parametrize("least, frames", [({}, 1), ({"least": 3}, 3)])
def test_a_window_that_is_too_short_has_the_least_of_frames(classifier, coloured, least, frames):
    assert len(record(classifier, repeat(coloured("red")), 0.0, rows=1, **least)) == frames


def test_there_is_room_for_more_frames_than_were_expected(classifier, coloured):
    frames, numbers = repeat(coloured("red")), count()
    times = record(
        classifier, (frame for frame, _ in zip(frames, numbers, strict=False)), 0.0, rows=1, least=5
    )
    assert len(times) == next(numbers) == 5
    assert (np.diff(times[:, START]) > 0).all()


def test_a_window_in_the_card():
    window = summarise(recording(8, 4, 12, start_s=107.0), first_start_s=100.0)
    assert window.start_s == pytest.approx(7) and window.runs == 3
    assert window.whole.p50_ms == pytest.approx(8) and window.invoke.p50_ms == pytest.approx(4)
    assert window.whole.jitter_ms == pytest.approx((4 + 8) / 2)
    assert window.sample_ms == (8, 4, 12)


def test_samples_are_picked_evenly():
    window = summarise(recording(*range(1, 1000)), 100.0)
    assert len(window.sample_ms) == SAMPLES and window.sample_ms[0] == 1 and window.sample_ms[-1] == 999
    steps = np.diff(window.sample_ms)
    assert steps.min() >= 4 and steps.max() <= 6


@pytest.mark.parametrize("captures", [False, True])
def test_stages(captures):
    found = stages([recording(8, 8), recording(16, 16)], captures)
    assert (found.capture.p50_ms if found.capture else None) == (pytest.approx(1) if captures else None)
    medians = [spread.p50_ms for spread in (found.preprocess, found.invoke, found.postprocess, found.whole)]
    assert medians == pytest.approx([3, 6, 3, 12])


def test_frames_beyond_the_last_edge_are_in_the_last_count():
    found = histogram([recording(*[2.0] * 50, *[4.0] * 49), recording(1000.0)])
    assert len(found.edges_ms) == BINS + 1 and len(found.counts) == BINS
    assert found.edges_ms[0] == pytest.approx(2) and found.edges_ms[-1] < 1000
    assert sum(found.counts) == 100 and found.counts[0] == 50
    assert found.counts[-1] >= 1


@given(st_numpy.arrays(float, st.integers(1, 300), elements=st.floats(0.001, 1e5)))
def test_a_histogram_counts_every_frame(whole_ms):
    found = histogram([recording(*whole_ms)])
    assert sum(found.counts) == len(whole_ms)
    assert (np.diff(found.edges_ms) > 0).all()


def test_sustained_is_the_last_window_against_the_first_second():
    found = sustained([recording(10, 10, 30, 30), recording(30, 30), recording(12, 12)])
    assert found.burst_p50_ms == pytest.approx(10) and found.sustained_p50_ms == pytest.approx(12)
    assert found.slowdown == pytest.approx(1.2)


def test_the_burst_of_slow_frames_is_one_frame():
    assert sustained([recording(3000, 5000, gap_s=4)]).burst_p50_ms == pytest.approx(3000)


def test_whole_frames_leave_the_capture_out():
    times = recording(8)
    assert whole_s(times) == pytest.approx([0.008])
    assert times[0, CAPTURED] - times[0, START] == pytest.approx(0.001)
