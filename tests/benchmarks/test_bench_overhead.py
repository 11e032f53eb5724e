import json
import subprocess
import sys

import numpy as np
import pytest

from benchmarks.bench_overhead import Overhead


def test_both_loops_are_timed(tiny, tmp_path):
    path = tmp_path / "report.json"
    command = [
        sys.executable,
        "-m",
        "benchmarks.bench_overhead",
        tiny,
        "--threads",
        "1",
        "--rounds",
        "1",
        "--json",
        path,
    ]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert ended.returncode == 0, ended.stderr
    report = json.loads(path.read_text())
    assert report["kind"] == "bench_overhead" and report["machine"]["cpu"]
    assert (report["model"], report["threads"], report["rounds"]) == (tiny.name, 1, 1)
    for clock in ("wall", "processor"):
        found = report[clock]
        assert found["bare_ms"] > 0 and found["benched_ms"] > 0
        assert found["overhead"]["low"] <= found["overhead"]["median"] <= found["overhead"]["high"]
        assert f"{found['overhead']['median']:+.2%}" in ended.stdout
    assert report["sensors_ms"] > 0


def test_the_overhead_is_that_of_each_round():
    # A machine that halves its pace from one round to the next hits both loops.
    overhead = Overhead.of(np.array([[1.0, 1.01], [2.0, 2.02], [4.0, 4.04], [1.0, 1.03], [1.0, 0.99]]))
    assert overhead.median == pytest.approx(0.01)
    assert -0.0101 <= overhead.low <= 0.01 <= overhead.high <= 0.0301
