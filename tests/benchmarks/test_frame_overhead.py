import json
import subprocess
import sys


def test_says_what_a_frame_costs_beyond_the_model(tiny, tmp_path):
    path = tmp_path / "report.json"
    command = [sys.executable, "-m", "benchmarks.frame_overhead", tiny, tiny]
    command += ["--threads", "1", "--runs", "20", "--json", path]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert ended.returncode == 0, ended.stderr
    report = json.loads(path.read_text())
    assert report["machine"]["cpu"] and report["frame_size_px"] == [480, 640]
    found, again = report["models"]
    assert found["model"] == again["model"] == str(tiny)
    assert (found["input_height_px"], found["input_width_px"]) == (8, 8)
    assert (found["threads"], found["runs"]) == (1, 20) and found["interpreter"]
    invoke, classify = found["invoke"]["p50_ms"], found["classify"]["p50_ms"]
    assert 0 < invoke < classify and found["overhead_p50_ms"] == classify - invoke
    *_, row, _ = ended.stdout.splitlines()
    times = [f"{ms:.2f}" for ms in (invoke, classify, classify - invoke)]
    assert row.split() == ["8x8", "1", *times, str(tiny)]
