import dataclasses
import json
import os
import subprocess
import sys
from dataclasses import asdict

import numpy as np
import pytest
from PIL import Image

from edge_runtime import selftest as module
from edge_runtime.errors import InterpreterError, ModelFileError
from edge_runtime.model_file import read_model_file
from edge_runtime.selftest import SelfTestUnfinished, picture, selftest

# Of the tiny model: a tensor's index becomes 127, and LiteRT reads far outside its tensors.
CRASHING = (2019, 127)


@pytest.fixture
def crashing(tiny, repacked):
    content = tiny.read_bytes()
    model = bytearray(content[: content.index(b"PK\x03\x04")])
    offset, value = CRASHING
    model[offset] = value
    return repacked(model=bytes(model))


@pytest.fixture
def wrong(tiny, repacked):
    """A model whose answers are not those that its manifest expects."""
    vector = read_model_file(tiny).manifest.selftest[0]
    off = dataclasses.replace(vector, expected=(vector.expected[0] + 100, *vector.expected[1:]))
    return repacked(selftest=(off,))


def test_a_good_model_and_camera_pass(tiny, pictures):
    report = selftest(tiny, camera=str(pictures), max_latency_ms=60_000, threads=1)
    assert report.passed and (report.name, report.version, report.model) == ("tiny", "1", str(tiny))
    assert report.vectors.passed and report.vectors.vectors == 3 and report.vectors.largest_difference <= 3
    latency = report.latency
    assert latency.passed and 0 < latency.p50_ms <= latency.p99_ms <= latency.max_ms == 60_000
    assert latency.frames >= 100 and latency.threads == 1
    assert (latency.frame_height_px, latency.frame_width_px) == (480, 640)
    assert (
        report.camera.passed
        and report.camera.error == ""
        and report.camera.answer in ("blue", "green", "red")
    )
    assert (report.camera.height_px, report.camera.width_px) == (48, 64)


def test_without_a_camera_and_a_budget_it_only_measures(tiny):
    report = selftest(tiny)
    assert report.passed and report.camera is None and report.latency.max_ms is None


def test_what_fails_is_told_part_by_part(wrong):
    report = selftest(wrong, camera="absent.avi", max_latency_ms=0.001)
    assert not report.passed
    assert not report.vectors.passed and report.vectors.largest_difference >= 97
    assert not report.latency.passed and report.latency.p99_ms > 0.001
    assert not report.camera.passed and "absent.avi is not there" in report.camera.error


@pytest.mark.parametrize(
    "content, message",
    [
        (None, "is not there"),
        (b"", "is no TFLite model"),
        (b"\0\0\0\0TFL3", "has no manifest"),
        (bytes(range(256)) * 400, "is no TFLite model"),
        (b"\0\0\0\0TFL3" + bytes(range(256)) * 400, "has no manifest"),
    ],
)
def test_garbage_is_an_error(tmp_path, content, message):
    model = tmp_path / "model.tflite"
    if content is not None:
        model.write_bytes(content)
    with pytest.raises(ModelFileError, match=message) as raised:
        selftest(model)
    assert raised.value.exit_code == 1 and raised.value.hint


def test_a_directory_and_a_name_that_is_no_utf8_are_errors(tmp_path):
    with pytest.raises(ModelFileError, match="is a directory"):
        selftest(tmp_path)
    with pytest.raises(ModelFileError, match="is not there"):
        selftest(tmp_path / "\udcff.tflite")


def test_a_model_that_the_interpreter_refuses_is_an_error(repacked):
    with pytest.raises(InterpreterError):
        selftest(repacked(model=b"\x1c\0\0\0TFL3" + bytes(100)))


def test_a_model_that_crashes_the_interpreter_is_an_error(crashing):
    with pytest.raises(SelfTestUnfinished, match="SIGSEGV: the interpreter cannot take this model"):
        selftest(crashing)


HANGING = """
import io, json, sys
from edge_runtime import selftest

class Hanging:
    def __enter__(self):
        open(sys.argv[2]).read()

selftest.open_camera = lambda spec, on_skipped: Hanging()
selftest.CAMERA_SECONDS = 1.0
sys.stdin = io.StringIO(json.dumps([sys.argv[1], "hangs", None, 1]))
selftest._main()
"""


def test_a_camera_that_hangs_in_its_driver_fails(tiny, tmp_path):
    """Its thread waits in the kernel for ever, as in a driver: for the writer of a named pipe."""
    os.mkfifo(tmp_path / "pipe")
    command = [sys.executable, "-c", HANGING, tiny, tmp_path / "pipe"]
    report = json.loads(subprocess.run(command, capture_output=True, text=True, timeout=60).stdout)
    assert report["camera"]["error"] == "no frame came within 1 s" and not report["passed"]


def test_a_process_that_does_not_end_is_an_error(tiny, monkeypatch):
    monkeypatch.setattr(module, "TIMEOUT_S", 0.05)
    with pytest.raises(SelfTestUnfinished, match="did not end within"):
        selftest(tiny)


def test_the_working_directory_is_not_imported(tiny, tmp_path, monkeypatch):
    (tmp_path / "json.py").write_text("raise SystemExit('imported')")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [entry for entry in sys.path if entry])
    assert selftest(tiny).passed


def noise(level: float, spread: float) -> np.ndarray:
    drawn = np.random.default_rng(0).normal(level, spread, (48, 64, 3))
    return drawn.clip(0, 255).astype(np.uint8)


@pytest.mark.parametrize(
    "image, look",
    [
        (np.zeros((48, 64, 3), np.uint8), "black"),
        (noise(4, 2), "black"),
        (np.full((48, 64, 3), 200, np.uint8), "uniform"),
        (noise(128, 1), "uniform"),
        (np.full((1, 1, 3), 90, np.uint8), "uniform"),
        (noise(128, 10), "clear"),
        (noise(20, 8), "clear"),
    ],
    ids=["zeros", "covered lens", "grey", "a filled buffer", "one pixel", "a scene", "dusk"],
)
def test_what_a_picture_shows(image, look):
    assert picture(image) == look


def test_the_clearest_frame_is_taken(tiny, tmp_path):
    """Exposure settles: black, then one colour, then a scene."""
    for name, image in (("1", noise(2, 1)), ("2", np.full((48, 64, 3), 90, np.uint8)), ("3", noise(90, 30))):
        Image.fromarray(image).save(tmp_path / f"{name}.png")
    assert selftest(tiny, camera=str(tmp_path)).camera.picture == "clear"
    (tmp_path / "3.png").unlink()
    dark = selftest(tiny, camera=str(tmp_path))
    assert dark.passed and dark.camera.picture == "uniform" and dark.camera.error == ""


@pytest.mark.parametrize(
    "camera, secret",
    [("rtsp://user:secret@127.0.0.1:1/x", "secret"), ("http://127.0.0.1:1/?pw=secret", "secret")],
)
def test_a_password_is_not_told(tiny, camera, secret):
    pytest.importorskip("cv2")
    report = selftest(tiny, camera=camera)
    assert not report.camera.passed and secret not in json.dumps(asdict(report))


def test_the_command_tells_scripts_by_its_exit_code(litelens, tiny, wrong, tmp_path):
    passed = litelens("selftest", tiny, "--threads", 1, "--json")
    assert passed.returncode == 0 and json.loads(passed.stdout)["passed"], passed.stderr
    failed = litelens("selftest", wrong, "--camera", tmp_path / "absent", "--max-latency-ms", 0.001)
    assert failed.returncode == 3
    assert "vectors and latency and camera failed on this device" in failed.stderr
    verdicts = {line.split()[0]: line.split()[1] for line in failed.stdout.splitlines()}
    assert verdicts.pop("model") == "tiny" and set(verdicts.values()) == {"failed"}
    impossible = litelens("selftest", tmp_path / "absent.tflite")
    assert impossible.returncode == 1 and impossible.stdout == ""
    for ended in (failed, impossible):
        assert "error: " in ended.stderr and "hint: " in ended.stderr and "Traceback" not in ended.stderr


def test_the_command_says_what_the_picture_shows(litelens, tiny, tmp_path):
    Image.new("RGB", (64, 48)).save(tmp_path / "night.png")
    ended = litelens("selftest", tiny, "--camera", tmp_path)
    assert ended.returncode == 0 and "64x48" in ended.stdout and "the picture is black" in ended.stdout


@pytest.mark.parametrize("arguments", [(), ("x.tflite", "--max-latency-ms", 0), ("x.tflite", "--threads", 0)])
def test_wrong_usage_exits_2(litelens, arguments):
    assert litelens("selftest", *arguments).returncode == 2
