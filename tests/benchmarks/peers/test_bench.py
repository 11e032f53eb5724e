import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.peers.runtimes.rows import ROWS

ROOT = Path(__file__).parents[3]
ENVIRONMENTS = ROOT / ".venv-peers"
NAMES = sorted(path.stem for path in (ROOT / "benchmarks/peers/runtimes/environments").glob("*.txt"))


@pytest.fixture
def bench(tiny, tmp_path):
    """Runs the command, as make does, on a folder of pictures in the tiny model's colours."""

    def run(*options: object, model: Path = tiny, timeout: float = 120) -> subprocess.CompletedProcess:
        command = [
            sys.executable,
            "-m",
            "benchmarks.peers.runtimes.bench",
            model,
            "--data",
            tmp_path / "data",
        ]
        return subprocess.run(
            [*map(str, command), *map(str, options)],
            capture_output=True,
            text=True,
            timeout=timeout,
            cwd=ROOT,
        )

    return run


@pytest.fixture
def data(tmp_path, coloured) -> Path:
    from PIL import Image

    for label in ("blue", "green", "red"):
        (tmp_path / "data" / label).mkdir(parents=True)
        Image.fromarray(coloured(label)).save(tmp_path / "data" / label / "1.png")
    return tmp_path / "data"


@pytest.mark.clients
@pytest.mark.skipif(not ENVIRONMENTS.is_dir(), reason="no .venv-peers: make bench-peers")
def test_every_runtime_gives_the_tiny_models_answers(bench, data, tiny, tmp_path):
    path = tmp_path / "found.json"
    ended = bench(
        *("--float", tiny.with_name("tiny_float.tflite"), "--environments", ENVIRONMENTS),
        *("--rounds", 2, "--json", path),
        timeout=600,
    )
    assert ended.returncode == 0, ended.stderr
    print(ended.stdout)
    found = json.loads(path.read_text())
    assert (found["kind"], found["pictures"], found["threads"], found["rounds"]) == ("peers", 3, 1, 2)
    assert found["model"]["sha256"] and found["float_model_sha256"]
    assert len(found["peers"]) == len(ROWS)
    for row, one in zip(ROWS, found["peers"], strict=True):
        assert one["problem"] is None, one
        assert one["p50_ms"] > 0 and one["ratio"]["low"] > 0 and one["environment_bytes"] > 50e6
        # A step of the output is 0.004; kernels that round otherwise may be some steps off.
        assert one["largest_difference"] <= 0.05, one
        assert one["top1"] == (1.0 if row.answers else None), one
    for name in ("MediaPipe Tasks", "ONNX Runtime", "OpenVINO", "OpenCV DNN", "aim at most 1.10"):
        assert name in ended.stdout


@pytest.mark.parametrize("name", ["absent", "damaged"])
def test_a_model_that_cannot_be_read_is_an_error(bench, data, tmp_path, name):
    (tmp_path / "damaged.tflite").write_bytes(b"no model")
    ended = bench(model=tmp_path / f"{name}.tflite")
    assert ended.returncode == 1 and "error: " in ended.stderr and "hint: " in ended.stderr


def test_classes_that_are_not_the_models_are_an_error(bench, data):
    (data / "blue").rename(data / "cyan")
    ended = bench()
    assert ended.returncode == 1 and "do not match the model" in ended.stderr


def test_without_environments_the_error_names_the_command_that_makes_them(bench, data, tmp_path):
    ended = bench("--environments", tmp_path)
    assert ended.returncode == 1 and "does not run: no environment: " in ended.stderr
    assert "hint: make bench-peers" in ended.stderr


@pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed (Debian: make)")
def test_make_says_what_is_missing_before_it_makes_anything():
    command = ["make", "bench-peers", "MODEL=absent.tflite"]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60, cwd=ROOT)
    assert ended.returncode == 2 and "absent.tflite is not there: make demo" in ended.stdout
    assert "venv" not in ended.stdout


def test_every_peer_has_an_environment_and_every_environment_exact_hashed_versions():
    assert {row.environment for row in ROWS} | {"tf2onnx"} == set(NAMES)
    for name in NAMES:
        text = (ROOT / "benchmarks/peers/runtimes/environments" / f"{name}.txt").read_text()
        packages = [line for line in text.splitlines() if "==" in line and line[0] != "#"]
        assert packages and all(line.endswith(" \\") for line in packages), "each has its hashes"
        assert "://" not in text and "make lock" in text
