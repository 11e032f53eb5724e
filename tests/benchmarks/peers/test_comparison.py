from pathlib import Path

import numpy as np
import pytest

from benchmarks.measuring.pictures import find_pictures
from benchmarks.peers.runtimes.camera_frames import write_frames
from benchmarks.peers.runtimes.comparison import (
    FRAMES,
    Comparison,
    NothingToCompare,
    installed_bytes,
    largest_difference,
)
from benchmarks.peers.runtimes.models import Models, NotTheSameModel
from benchmarks.peers.runtimes.onnx_conversion import to_onnx
from benchmarks.peers.runtimes.peer_process import PeerFailed
from benchmarks.peers.runtimes.rows import FLOAT, INT8, ROWS


@pytest.fixture
def compare(tiny, tmp_path, pictures):
    """Runs a comparison of the tiny model with the environments in tmp_path."""
    for name, label in (("a.png", "blue"), ("b/b.png", "green"), ("c.png", "red")):
        (pictures / label).mkdir()
        (pictures / name).rename(pictures / label / "1.png")
    (pictures / "b").rmdir()

    def run(float_model: Path | None = None):
        models = Models.load(tiny, float_model, threads=1)
        truth = write_frames(find_pictures(pictures, models.classifier.labels), 3, tmp_path / FRAMES)
        comparison = Comparison(models, tmp_path / "environments", tmp_path, tell=lambda text: None)
        return {(one.name, one.model): one for one in comparison.run(truth, rounds=1)}

    return run


def test_what_runs_is_measured_and_what_does_not_is_a_reason(compare, environment, tiny):
    """litelens and the loops around its interpreter run here as they do in environments of their own."""
    environment("litelens")
    environment("interpreter")
    environment("openvino", "echo it broke; exit 4")
    environment("tf2onnx", "echo no such operator; exit 1")
    found = compare(tiny.with_name("tiny_float.tflite"))
    assert list(found) == [(row.name, row.model) for row in ROWS]
    ran = [row for row in ROWS if row.environment in ("litelens", "interpreter")]
    for row in ran:
        one = found[row.name, row.model]
        assert one.problem is None and one.version and one.frames >= 5
        assert 0 < one.p50_ms <= one.p90_ms and 0 < one.ratio.low <= one.ratio.median <= one.ratio.high
        assert one.largest_difference == pytest.approx(0, abs=1e-6) and one.start_s > 0
        assert (one.agreement, one.top1) == ((1.0, 1.0) if row.answers else (None, None))
    assert {row.model for row in ran} == {INT8, FLOAT}
    assert found["litelens", INT8].ratio.median == 1
    assert found["OpenVINO", INT8].problem == "its process ended with exit code 4: it broke"
    assert found["MediaPipe Tasks", INT8].problem.startswith("no environment: ")
    assert found["ONNX Runtime", FLOAT].problem == "no ONNX: tf2onnx ended with exit code 1: no such operator"


def test_without_a_float_model_the_float_rows_say_so(compare, environment):
    environment("litelens")
    found = compare()
    assert found["litelens", INT8].p50_ms > 0
    assert {one.problem for one in found.values() if one.model == FLOAT} == {"no float model was named"}


def test_without_litelens_there_is_nothing_to_compare_with(compare, environment):
    environment("litelens", "exit 1")
    with pytest.raises(
        NothingToCompare, match="litelens, .* does not run: its process ended with exit code 1"
    ):
        compare()


def test_what_is_no_float_twin_is_refused(tiny):
    with pytest.raises(NotTheSameModel, match=r"takes uint8 of shape .* expected float32, \(1, 8, 8, 3\)"):
        Models.load(tiny, tiny, threads=1)


@pytest.mark.parametrize(
    "answers, reason",
    [
        (np.zeros((2, 4)), r"shape \(2, 4\), 100% of it numbers; expected numbers of shape \(2, 3\)"),
        (np.full((2, 3), np.nan), "0% of it numbers"),
    ],
)
def test_answers_that_are_none_are_a_reason(answers, reason):
    with pytest.raises(PeerFailed, match=reason):
        largest_difference(answers, np.zeros((2, 3)))


def test_the_largest_difference_is_of_any_input_and_class():
    expected = np.array([[0.5, 0.5], [0.9, 0.1]])
    assert largest_difference(np.array([[0.5, 0.5], [0.8, 0.2]]), expected) == pytest.approx(0.1)


def test_what_every_environment_has_is_not_counted(tmp_path):
    for name, size in {"numpy/core.so": 1000, "numpy-2.dist-info/RECORD": 10, "pip/a.py": 5000}.items():
        path = tmp_path / "lib" / "python3.11" / "site-packages" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(bytes(size))
    assert installed_bytes(tmp_path) == 1010


def test_a_conversion_without_its_environment_is_a_reason(tmp_path, tiny):
    with pytest.raises(PeerFailed, match="no ONNX: .* is not there; make bench-peers"):
        to_onnx(tmp_path / "python", tiny, tmp_path / "out.onnx")


def test_a_conversion_that_writes_nothing_is_a_reason(environment, tmp_path, tiny):
    with pytest.raises(PeerFailed, match="no ONNX: tf2onnx ended with exit code 0: it said nothing"):
        to_onnx(environment("tf2onnx", "exit 0"), tiny, tmp_path / "out.onnx")
