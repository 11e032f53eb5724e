"""`litelens run` as a process, as a shell or systemd sees it."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from edge_runtime.whole_file import write_whole


def assert_fails(ended: subprocess.CompletedProcess, message: str) -> None:
    """An expected failure: exit 1, error: and hint: on stderr, no traceback."""
    assert ended.returncode == 1, ended.stderr
    assert "error: " in ended.stderr and message in ended.stderr
    assert "hint: " in ended.stderr and "Traceback" not in ended.stderr


def lines(text: str) -> list[dict]:
    return [json.loads(line) for line in text.splitlines()]


@pytest.fixture
def many_pictures(tmp_path, coloured) -> Path:
    """More lines than a pipe holds: 64 KiB, at over 200 bytes a line."""
    Image.fromarray(coloured("red", (8, 8))).save(tmp_path / "red.png")
    folder = tmp_path / "many"
    folder.mkdir()
    for number in range(1000):
        os.link(tmp_path / "red.png", folder / f"{number:04}.png")
    return folder


@pytest.fixture
def start(tiny, tmp_path):
    """Starts `litelens run` and gives its process; what still runs at the end is killed."""
    started = []

    def begin(*arguments: object, model: Path = tiny, **options) -> subprocess.Popen:
        command = [sys.executable, "-m", "litelens", "run", str(model), *map(str, arguments)]
        options = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, **options}
        started.append(subprocess.Popen(command, **options))
        return started[-1]

    yield begin
    for process in started:
        process.kill()
        process.communicate()


def test_a_line_a_frame(litelens, tiny, pictures):
    ended = litelens("run", tiny, "--camera", pictures, "--smooth", "none")
    assert ended.returncode == 0
    found = lines(ended.stdout)
    assert [line["predictions"][0]["label"] for line in found] == ["blue", "red", "green"]
    assert [line["frame"] for line in found] == [0, 1, 2]
    assert [line["answer"] for line in found] == [line["state"] for line in found] == ["blue", "red", "green"]
    assert [[f"{e['kind']} {e['label']}" for e in line["events"]] for line in found] == [
        ["entered blue"],
        ["left blue", "entered red"],
        ["left red", "entered green"],
    ]
    keys = {"source", "frame", "time", "answer", "predictions", "state", "events", "age_ms", "invoke_ms"}
    assert all(set(line) == keys for line in found)
    assert all(
        line["age_ms"] >= line["invoke_ms"] > 0 and abs(line["time"] - time.time()) < 60 for line in found
    )


def test_a_line_an_event(litelens, tiny, pictures):
    found = lines(litelens("run", tiny, "--camera", pictures, "--smooth", "none", "--events-only").stdout)
    assert [(line["kind"], line["label"], Path(line["source"]).name) for line in found] == [
        ("entered", "blue", "a.png"),
        *(("left", "blue", "c.png"), ("entered", "red", "c.png")),
        *(("left", "red", "b.png"), ("entered", "green", "b.png")),
    ]


def test_no_line(litelens, tiny, pictures):
    ended = litelens("run", tiny, "--camera", pictures, "--quiet")
    assert (ended.returncode, ended.stdout) == (0, "")


def test_settings_come_from_a_file_and_go_into_one(litelens, tiny, pictures, tmp_path):
    config = tmp_path / "run.toml"
    config.write_text(f'camera = "{pictures}"\nsmooth = "none"\nstdout = "events"\nmax_frames = 1\n')
    assert len(lines(litelens("run", tiny, "--config", config).stdout)) == 1
    ended = litelens("run", tiny, "--config", config, "--max-frames", 2, "--print-config")
    assert (
        ended.returncode == 0 and "max_frames = 2\n" in ended.stdout and 'smooth = "none"\n' in ended.stdout
    )
    config.write_text(ended.stdout)
    assert len(lines(litelens("run", tiny, "--config", config).stdout)) == 3, (
        "two frames, a change with the second"
    )


@pytest.mark.parametrize("limit, count", [(1, 1), (3, 3), (100, 5)])
def test_run_stops_after_max_frames(litelens, tiny, video, limit, count):
    ended = litelens("run", tiny, "--camera", video, "--max-frames", limit, "--threads", 1)
    assert ended.returncode == 0 and len(ended.stdout.splitlines()) == count


def test_a_region_is_looked_at(litelens, tiny, coloured, tmp_path):
    image = coloured("red")
    image[:, 32:] = coloured("blue")[:, 32:]
    Image.fromarray(image).save(tmp_path / "both.png")
    for roi, label in (("0,0,32,48", "red"), ("0.5,0,0.5,1", "blue")):
        (line,) = lines(litelens("run", tiny, "--camera", tmp_path / "both.png", "--roi", roi).stdout)
        assert line["answer"] == label
    ended = litelens("run", tiny, "--camera", tmp_path / "both.png", "--roi", "33,0,32,48")
    assert_fails(ended, "the region 33,0,32,48 is not within a frame of 64 x 48 px")


def test_skipped_pictures_are_named_and_counted(litelens, tiny, pictures):
    (pictures / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n cut")
    ended = litelens("run", tiny, "--camera", pictures)
    assert ended.returncode == 0 and len(ended.stdout.splitlines()) == 3
    assert "broken.png" in ended.stderr and "skipped 1 file in all" in ended.stderr


@pytest.mark.skipif(Path("/dev/video7").exists(), reason="camera 7 exists here")
def test_run_fails_without_a_camera(litelens, tiny):
    pytest.importorskip("cv2")
    ended = litelens("run", tiny, "--camera", "7")
    assert_fails(ended, "camera 7 is not there")
    assert ended.stdout == ""
    # Nothing of OpenCV's own.
    assert "VIDEOIO" not in ended.stderr and "WARN" not in ended.stderr


@pytest.mark.parametrize(
    "camera, message", [("absent", "absent is not there"), ("empty", "holds no readable")]
)
def test_run_fails_without_a_source(litelens, tiny, tmp_path, camera, message):
    (tmp_path / "empty").mkdir()
    assert_fails(litelens("run", tiny, "--camera", camera, cwd=tmp_path), message)


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("--camera", ".", "--max-frames", 0),
        ("--camera", ".", "--threads", -1),
        ("--camera", ".", "--hysteresis", 2),
        ("--camera", ".", "--min-interval", "soon"),
        ("--camera", ".", "--fps", 5),
    ],
)
def test_wrong_usage_exits_2(litelens, tiny, arguments):
    ended = litelens("run", tiny, *arguments)
    assert ended.returncode == 2 and "Usage: " in ended.stderr and ended.stdout == ""


@pytest.mark.parametrize(
    "arguments, message",
    [
        (("--smooth", "median:3"), "smooth is 'median:3'"),
        (("--roi", "1,2,3"), "roi is '1,2,3'"),
        (("--mqtt-prefix", "a"), "mqtt.address is missing"),
        (("--web", "8080"), "no address to serve the page at"),
        (("--config", "absent.toml"), "cannot read the config absent.toml"),
    ],
)
def test_wrong_settings_are_told_before_any_work(litelens, tmp_path, arguments, message):
    assert_fails(litelens("run", tmp_path / "absent.tflite", "--camera", "demo", *arguments), message)


@pytest.mark.parametrize("by, code", [(signal.SIGINT, 130), (signal.SIGTERM, 0)])
@pytest.mark.parametrize("camera", ["demo", "{many_pictures}"])
def test_a_signal_ends_it_quietly(start, many_pictures, camera, by, code):
    """The demo is live; the folder's lines stand in a pipe that nobody empties."""
    process = start("--camera", camera.format(many_pictures=many_pictures))
    assert json.loads(process.stdout.readline())["frame"] == 0
    time.sleep(0.5)
    sent_s = time.monotonic()
    process.send_signal(by)
    assert process.wait(60) == code
    assert time.monotonic() - sent_s < 5, "two seconds on a machine with nothing else to do"
    out, err = process.communicate()
    assert "Traceback" not in err and "rror" not in err
    assert all(lines(out)), "whole lines"


@pytest.mark.parametrize("service", [False, True])
def test_a_signal_ends_it_while_the_camera_hangs(start, tmp_path, service):
    """A server that accepts and never answers: FFmpeg waits for 8 s, and cannot be interrupted."""
    pytest.importorskip("cv2")
    environ = os.environ | ({"NOTIFY_SOCKET": f"@{tmp_path}"} if service else {})
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        process = start("--camera", f"http://127.0.0.1:{port}/", env=environ)
        server.accept()
        sent_s = time.monotonic()
        process.terminate()
        assert process.wait(60) == 0
        assert time.monotonic() - sent_s < 5
    assert "Traceback" not in process.stderr.read()


HANGING = """
import ctypes, sys
from edge_runtime.classifier import Classifier

def invoke(self, picture=None):
    print("hangs", flush=True)
    mutex = ctypes.create_string_buffer(64)
    lock = ctypes.CDLL(None).pthread_mutex_lock
    lock(mutex), lock(mutex)  # the second waits for the first, in C, whatever signal comes

Classifier.invoke = invoke
from litelens.cli import main
main(sys.argv[1:])
"""


@pytest.mark.parametrize("by, code", [(signal.SIGINT, 130), (signal.SIGTERM, 0)])
def test_a_signal_ends_it_while_the_model_hangs(tiny, by, code):
    """As with an Edge TPU that was pulled out: the main thread calls no handler of Python's any more."""
    command = [sys.executable, "-c", HANGING, "run", str(tiny), "--camera", "demo"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "hangs\n"
        process.send_signal(by)
        try:
            assert process.wait(60) == code
        finally:
            process.kill()


@pytest.mark.parametrize("camera", ["demo", "{many_pictures}"])
def test_a_closed_pipe_ends_quietly(start, many_pictures, camera):
    process = start("--camera", camera.format(many_pictures=many_pictures))
    process.stdout.readline()
    process.stdout.close()
    assert process.wait(timeout=60) != 0
    err = process.stderr.read()
    assert "Traceback" not in err and "rror" not in err and "Exception ignored" not in err


@pytest.mark.parametrize("how", [pytest.param("replaced", marks=pytest.mark.soak), "SIGHUP"])
def test_a_model_is_loaded_again(start, tiny, tmp_path, how):
    model = Path(shutil.copy(tiny, tmp_path / "model.tflite"))
    process = start("--camera", "demo", "--quiet", model=model)
    time.sleep(2)
    if how == "replaced":
        write_whole(model, tiny.read_bytes())
    else:
        process.send_signal(signal.SIGHUP)
    assert any("tiny 1 answers now" in line for line in process.stderr)


@pytest.mark.soak
def test_garbage_in_the_place_of_the_model_does_not_end_it(start, tiny, tmp_path):
    model = Path(shutil.copy(tiny, tmp_path / "model.tflite"))
    process = start("--camera", "demo", model=model)
    process.stdout.readline()
    model.write_bytes(np.random.default_rng(0).bytes(100))  # in place, and shorter than it was
    assert any("the new model is refused, the one before goes on" in line for line in process.stderr)
    frames = [json.loads(process.stdout.readline())["frame"] for _ in range(30)]
    assert frames == sorted(frames)


def test_it_waits_as_a_service_for_its_camera(start, tmp_path):
    """Where systemd listens, a camera that is not there is no error; it may be switched on later."""
    process = start("--camera", "rtsp://127.0.0.1:9/", env=os.environ | {"NOTIFY_SOCKET": f"@{tmp_path}"})
    assert any("camera rtsp://127.0.0.1:9/ is lost: " in line for line in process.stderr)
    process.terminate()
    assert process.wait(60) == 0


def test_a_folder_source_does_without_opencv(tiny, pictures):
    script = (
        "import sys\nfrom litelens.cli import main\n"
        "try: main(sys.argv[1:])\nexcept SystemExit: print([m for m in ('cv2', 'tensorflow') if m in sys.modules])"
    )
    command = [sys.executable, "-c", script, "run", str(tiny), "--camera", str(pictures)]
    ended = subprocess.run(command, capture_output=True, text=True)
    assert ended.stdout.splitlines()[-1] == "[]", ended.stderr
