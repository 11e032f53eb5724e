from dataclasses import replace

import pytest

from benchmarks.peers.runtimes.comparison import Found
from benchmarks.peers.runtimes.ratios import Ratio
from benchmarks.peers.runtimes.rows import FLOOR, LITELENS, MEDIAPIPE, ONNX_RUNTIME, ROWS, SAME_RULE
from benchmarks.peers.runtimes.table import HEAD, aims, table

MEASURED = Found.of(
    LITELENS,
    version="ai_edge_litert 2.3.0",
    frames=100,
    p50_ms=1.234,
    p90_ms=2.0,
    ratio=Ratio(1.0, 1.0, 1.0),
    agreement=1.0,
    top1=0.955,
    largest_difference=0.0,
    cores=1.0,
    start_s=0.42,
    environment_bytes=161_000_000,
)


def found(**ratios: Ratio) -> list[Found]:
    """A row of each, with these ratios where they are given, by the rows' programs and resizes."""
    by_row = {FLOOR: "floor", SAME_RULE: "same_rule", MEDIAPIPE: "mediapipe", ONNX_RUNTIME: "onnx"}
    return [
        replace(MEASURED, name=row.name, model=row.model, ratio=ratios.get(by_row.get(row), Ratio(2, 2, 2)))
        for row in ROWS
    ]


def test_each_row_stands_in_its_columns():
    head, line = table([MEASURED]).splitlines()
    assert line.split("  ")[0] == "litelens" and "centre, its rule: NumPy" in line
    for name, cell in {
        "p50, ms": "1.23",
        "p90": "2.00",
        "top-1": "95.5%",
        "start, s": "0.4",
        "MB": "161",
    }.items():
        end = head.index(name) + len(name)
        assert line[:end].endswith(cell), name
    assert all(name in head for name in HEAD)


def test_what_looks_at_no_frame_has_no_accuracy():
    _, line = table([replace(MEASURED, agreement=None, top1=None)]).splitlines()
    assert line.count(" - ") == 2 and "%" not in line


def test_a_peer_that_failed_is_a_line_with_its_reason_below_the_others():
    failed = Found.of(ROWS[-1], problem="cv2.error: no such layer")
    lines = table([failed, MEASURED]).splitlines()
    assert lines[1].startswith("litelens") and lines[2] == "OpenCV DNN, float: cv2.error: no such layer"


@pytest.mark.parametrize(
    "ratio, ours, reached",
    [
        (Ratio(0.8, 0.5, 1.0), "1.25 [1.00, 2.00]", "missed"),
        (Ratio(0.95, 0.9, 1.0), "1.05 [1.00, 1.11]", "reached"),
        (Ratio(1.25, 1.0, 2.0), "0.80 [0.50, 1.00]", "reached"),
    ],
)
def test_the_aim_is_held_against_the_floor(ratio, ours, reached):
    first, *_ = aims(found(floor=ratio)).splitlines()
    assert first == f"litelens by bare loop: {ours}, aim at most 1.10: {reached}"


@pytest.mark.parametrize(
    "ratio, place",
    [
        (Ratio(1.2, 1.1, 1.3), "ahead"),
        (Ratio(0.8, 0.7, 0.9), "behind"),
        (Ratio(1.2, 0.9, 1.3), "neither ahead nor behind"),
    ],
)
def test_who_is_ahead_is_said_only_where_the_interval_says_so(ratio, place):
    lines = aims(found(mediapipe=ratio)).splitlines()
    (line,) = (line for line in lines if line.startswith("MediaPipe"))
    assert line.endswith(f": litelens is {place}")


def test_of_a_peer_that_failed_no_aim_is_said():
    others = [one for one in found() if one.name not in ("bare loop", "MediaPipe Tasks")]
    failed = [Found.of(FLOOR, problem="x"), Found.of(MEDIAPIPE, problem="x")]
    said = aims([*failed, *others])
    assert "litelens by bare loop:" not in said and "MediaPipe" not in said and "ONNX Runtime" in said
