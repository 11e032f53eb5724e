import subprocess
import sys
from pathlib import Path

import pytest

from edge_runtime.capture.demo import Demo
from edge_runtime.capture.open_camera import is_live, open_camera
from edge_runtime.errors import LitelensError, SourceError


def refuse(problem):
    raise AssertionError(problem)


@pytest.mark.parametrize("spec", [
    "0", "07", "/dev/video0", "/dev/v4l/by-id/usb-046d_C920-video-index0", "picamera", "picamera:1", "demo",
    "rtsp://cam/stream", "http://cam/video", "https://cam/video", "gst:v4l2src ! appsink",
])  # fmt: skip
def test_cameras_are_live(spec):
    assert is_live(spec)


@pytest.mark.parametrize("spec", [
    "", "-1", "٣", "1.5", "belt.avi", "/data/pictures", "./demo", "./0", "gst", "/dev/null", "rtsp:/cam", "camera",
])  # fmt: skip
def test_what_is_no_camera_is_a_file(spec, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert not is_live(spec)
    with pytest.raises(SourceError, match="is not there|holds no readable picture|is a device|no file"):
        list(open_camera(spec, lambda problem: None))


@pytest.mark.parametrize("spec, message, hint", [
    ("rstp://cam/stream", "unknown scheme, rstp://", "did you mean rtsp://?"),
    ("RTSP://cam/stream", "unknown scheme, RTSP://", "did you mean rtsp://?"),
    ("htp://cam", "unknown scheme, htp://", "did you mean http://?"),
    ("file:///etc/passwd", "unknown scheme, file://", "expected a number"),
    ("picamera:", "names no camera", "picamera:0"),
    ("picamera:one", "names no camera", "picamera:0"),
    ("picamera:-1", "names no camera", "picamera:0"),
    ("picamra", "no file picamra and no such camera", "did you mean picamera?"),
    ("Demo", "no file Demo and no such camera", "did you mean demo?"),
    ("picamera2", "no file picamera2 and no such camera", "did you mean picamera?"),
])  # fmt: skip
def test_a_mistyped_camera_is_answered_with_what_was_meant(spec, message, hint):
    with pytest.raises(SourceError, match=message) as caught:
        open_camera(spec, refuse)
    assert caught.value.hint.startswith(hint)


@pytest.mark.parametrize("spec", [
    "rstp://admin:S3CRET@cam/stream", "rtsp:/admin:S3CRET@cam/stream", "admin:S3CRET@cam", "rtsp://admin:S3CRET@127.0.0.1:1/x",
    "http://127.0.0.1:1/video?user=admin&pwd=S3CRET", "gst:rtspsrc user-pw=S3CRET ! appsink",
])  # fmt: skip
def test_no_password_is_in_an_error(spec):
    with pytest.raises(LitelensError) as caught:
        open_camera(spec, refuse)
    assert "S3CRET" not in str(caught.value) + caught.value.hint


def test_a_device_is_no_file():
    with pytest.raises(SourceError, match="is a device or a pipe") as caught:
        open_camera("/dev/null", refuse)
    assert "camera by its number" in caught.value.hint


def test_no_shell_sees_what_names_a_camera(tmp_path):
    trap = tmp_path / "ran"
    for spec in (
        f"$(touch {trap})",
        f"`touch {trap}`",
        f"http://127.0.0.1:1/;touch {trap}",
        f"| touch {trap}",
    ):
        with pytest.raises(LitelensError):
            open_camera(spec, refuse)
    assert not trap.exists()


def test_open_camera_takes_what_open_path_takes(pictures, video):
    assert len(list(open_camera(str(pictures), refuse))) == 3
    assert len(list(open_camera(str(pictures / "a.png"), refuse))) == 1
    with open_camera(str(video), refuse) as source:
        assert len(list(source)) == 5


def test_a_word_means_the_camera_and_a_path_the_file(pictures, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    pictures.rename(tmp_path / "demo")
    assert isinstance(open_camera("demo", refuse), Demo)
    assert len(list(open_camera("./demo", refuse))) == 3


WITHOUT_OPENCV = """
import sys
sys.modules["cv2"] = None  # Python's own way to say: not installed
from edge_runtime.capture.open_camera import open_camera
from edge_runtime.errors import MissingExtraError
try:
    frames = [frame for frame, _ in zip(open_camera(sys.argv[1], print), range(3))]
    print(len(frames), "frames")
except MissingExtraError as problem:
    print(str(problem).partition(": ")[0], "|", problem.hint)
"""


@pytest.mark.parametrize(
    "spec, printed",
    [
        ("0", "camera 0 needs cv2, which cannot be imported | pip install 'litelens[camera]'"),
        ("rtsp://127.0.0.1:1/", "cv2, which cannot be imported | pip install 'litelens[camera]'"),
        (
            "{video}",
            "is no picture; reading it as a video needs cv2, which cannot be imported | pip install 'litelens[camera]'",
        ),
        ("{pictures}", "3 frames"),
        ("{pictures}/a.png", "1 frames"),
        ("demo", "3 frames"),
    ],
)
def test_only_cameras_and_videos_need_opencv(spec, printed, pictures, video):
    command = [sys.executable, "-c", WITHOUT_OPENCV, spec.format(video=video, pictures=pictures)]
    ended = subprocess.run(command, capture_output=True, text=True)
    assert printed in ended.stdout, ended.stderr


@pytest.mark.skipif(Path("/dev/video7").exists(), reason="camera 7 exists here")
@pytest.mark.parametrize("spec", ["7", "07", "/dev/video7", "99999999999", "9" * 5000])
def test_a_camera_that_is_not_there_is_an_error(spec):
    pytest.importorskip("cv2")
    with pytest.raises(SourceError, match=f"camera {spec} is not there: expected /dev/video") as caught:
        open_camera(spec, refuse)
    assert "/dev/video" in caught.value.hint
