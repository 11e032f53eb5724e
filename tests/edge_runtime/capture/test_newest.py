"""Cameras that are lost and come back are real servers on loopback; one that hangs in read() waits on a lock, as a thread
inside a driver does: nothing outside can end it."""

import gc
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from time import monotonic, sleep

import numpy as np
import pytest

from edge_runtime.capture import newest, opencv
from edge_runtime.capture.frame import Frame
from edge_runtime.capture.newest import MOST_STUCK, NewestFrames
from edge_runtime.capture.open_camera import open_camera
from edge_runtime.errors import MissingExtraError, SourceError

ROOT = Path(__file__).parents[3]
PIXEL = np.zeros((1, 1, 3), np.uint8)


class Camera:
    """A live source whose pictures a test decides on: gives each of them, then waits, fails or ends."""

    live = True

    def __init__(self, images=(PIXEL,), pause_s: float = 0.0, then=None):
        self.images, self.pause_s, self.then = images, pause_s, then
        self.closed = False

    def __enter__(self) -> "Camera":
        return self

    def __exit__(self, *exception: object) -> None:
        self.closed = True

    def __iter__(self) -> Iterator[Frame]:
        for number, image in enumerate(self.images):
            yield Frame(image, "camera", number)
            sleep(self.pause_s)
        if self.then is not None:
            self.then()


class Cameras:
    """Opens one camera after another, and counts."""

    def __init__(self, *cameras):
        self.cameras = list(cameras)
        self.opened = []

    def __call__(self) -> Camera:
        camera = self.cameras[min(len(self.opened), len(self.cameras) - 1)]
        self.opened.append(camera)
        if isinstance(camera, Exception):
            raise camera
        return camera


def fail():
    raise SourceError("camera 0 gave no more frames after 1", "check its cable")


@pytest.fixture
def stop() -> threading.Event:
    return threading.Event()


@pytest.fixture
def hurried(monkeypatch):
    """Lost cameras are opened again soon."""
    monkeypatch.setattr(newest, "FIRST_DELAY_S", 0.05)
    monkeypatch.setattr(newest, "LONGEST_DELAY_S", 0.2)


def watch(frames: NewestFrames, until, within_s: float = 30) -> None:
    """Takes frames as a loop does until something is so."""
    until_s = monotonic() + within_s
    while not until():
        assert monotonic() < until_s, frames.status()
        frames.next(0.1)


def resident_bytes() -> int:
    gc.collect()
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGESIZE")


def test_a_slow_consumer_sees_new_frames_and_drops_the_others(mjpeg_camera, stop):
    address = mjpeg_camera(fps=30).address
    ages_s, numbers = [], []
    with NewestFrames("front", lambda: open_camera(address, print), stop=stop) as frames:
        for _ in range(10):
            sleep(0.2)
            frame = frames.next(5)
            ages_s.append(monotonic() - frame.captured_s)
            numbers.append(frame.number)
        status = frames.status()
    assert frame.source == "front"
    # A frame comes each 33 ms. After 2 s, a consumer that took each in turn would be 1.7 s behind.
    assert np.median(ages_s[-5:]) < 1
    assert numbers == sorted(set(numbers))
    assert status.ok and status.captured > 30 and status.reopened == 0
    assert status.captured - len(numbers) - 1 <= status.dropped <= status.captured - len(numbers)


@pytest.mark.parametrize("kind", ["mjpeg_camera", "rtsp_camera"])
def test_a_camera_that_is_lost_is_opened_again_when_it_comes_back(kind, request, stop):
    server = request.getfixturevalue(kind)()
    with NewestFrames(server.address, lambda: open_camera(server.address, print), stop=stop) as frames:
        first = frames.next(5)
        server.kill()
        watch(frames, lambda: not frames.status().ok)
        assert frames.status().error.startswith(f"camera {server.address} ")
        watch(frames, lambda: "cannot be opened" in frames.status().error)
        server.start()
        watch(frames, lambda: frames.status().ok)
        again = frames.next(5)
        status = frames.status()
    assert (status.reopened, status.error) == (1, "")
    assert again.number > first.number and again.captured_s > first.captured_s


@pytest.mark.soak
@pytest.mark.parametrize("kind", ["mjpeg_camera", "rtsp_camera"])
def test_memory_does_not_grow_with_a_camera_that_comes_and_goes(kind, request, stop, hurried):
    server = request.getfixturevalue(kind)()
    with NewestFrames(server.address, lambda: open_camera(server.address, print), stop=stop) as frames:
        sizes = []
        for _ in range(25):
            server.kill()
            watch(frames, lambda: not frames.status().ok)
            server.start()
            watch(frames, lambda: frames.status().ok)
            sizes.append(resident_bytes())
        assert frames.status().reopened == 25
    print([size // 1024 for size in sizes])
    assert np.mean(sizes[-5:]) - np.mean(sizes[5:10]) < 8e6


def test_a_server_that_hangs_and_goes_on_is_waited_for(mjpeg_camera, stop, monkeypatch):
    monkeypatch.setattr(opencv, "TIMEOUT_S", 2)
    server = mjpeg_camera()
    with NewestFrames(server.address, lambda: open_camera(server.address, print), stop=stop) as frames:
        server.hang()
        watch(frames, lambda: not frames.status().ok)
        server.go_on()
        watch(frames, lambda: frames.status().ok)
        assert frames.status().reopened == 1


def test_a_camera_that_hangs_in_read_is_reported_left_alone_and_opened_again(stop, hurried):
    never = threading.Event()
    hanging = Camera(then=never.wait)
    cameras = Cameras(hanging, Camera([PIXEL] * 10_000, pause_s=0.01))
    with NewestFrames("0", cameras, stop=stop, hang_s=0.5) as frames:
        sleep(1)
        assert not frames.status().ok and "it hangs: no frame for" in frames.status().error
        watch(frames, lambda: frames.status().ok)
        assert frames.status().reopened == 1 and len(cameras.opened) == 2
        # Late, the first one gives way; what it had to say is heard no more.
        never.set()
        watch(frames, lambda: hanging.closed)
        assert frames.status().ok


def test_no_more_threads_hang_in_a_camera_than_is_said(stop, hurried):
    never = threading.Event()
    hanging = Cameras(Camera(then=never.wait))
    before = threading.active_count()
    with NewestFrames("0", hanging, stop=stop, hang_s=0.1) as frames:
        watch(frames, lambda: f"{MOST_STUCK} threads hang in it" in frames.status().error)
        deadline_s = monotonic() + 1
        watch(frames, lambda: monotonic() > deadline_s)
        assert len(hanging.opened) == MOST_STUCK
        assert threading.active_count() == before + MOST_STUCK
        assert frames.status().error.startswith("camera 0 hangs: it gave no frame for")
        never.set()  # the driver recovers, and so does the camera
        watch(frames, lambda: frames.status().reopened == MOST_STUCK)


def test_an_opening_that_hangs_is_an_error_and_may_be_waited_for(stop, hurried):
    never = threading.Event()
    try:
        with (
            pytest.raises(SourceError, match="camera 0 hangs: it did not open"),
            NewestFrames("0", lambda: never.wait() and Camera(), stop=stop, hang_s=0.1),
        ):
            pass
    finally:
        never.set()


def test_closing_takes_less_than_two_seconds_when_read_hangs(stop):
    never = threading.Event()
    try:
        with NewestFrames("0", Cameras(Camera(then=never.wait)), stop=stop) as frames:
            frames.next(1)
            began_s = monotonic()
        assert monotonic() - began_s < 2
    finally:
        never.set()


HANGING = """
import threading, socket, sys
from edge_runtime.capture.newest import NewestFrames
from edge_runtime.capture.opencv import NetworkStream
with NewestFrames("front", lambda: NetworkStream(sys.argv[1], "front"), stop=threading.Event()) as frames:
    print(frames.next(5).image.shape, flush=True)
    sys.stdin.readline()
"""


def test_a_process_ends_while_its_reader_hangs_in_opencv(mjpeg_camera):
    server = mjpeg_camera()
    command = [sys.executable, "-c", HANGING, server.address]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "(48, 64, 3)\n"
        server.hang()
        sleep(0.5)
        began_s = monotonic()
        process.communicate("\n", timeout=30)
    assert process.returncode == 0
    # 2 s at most for the reader; OpenCV itself would wait 8.
    assert monotonic() - began_s < 7


def test_closing_gives_the_camera_back(stop):
    camera = Camera([PIXEL] * 10_000, pause_s=0.01)
    with NewestFrames("0", Cameras(camera), stop=stop):
        assert not camera.closed
    assert camera.closed


def test_a_user_gets_the_error_of_the_first_opening(stop):
    cameras = Cameras(SourceError("camera 7 is not there", "ls /dev/video*"))
    with pytest.raises(SourceError, match="camera 7 is not there"), NewestFrames("7", cameras, stop=stop):
        pass
    assert len(cameras.opened) == 1


def test_a_user_gets_the_error_of_a_camera_that_opens_and_shows_nothing(stop):
    with (
        pytest.raises(SourceError, match="no more frames"),
        NewestFrames("0", Cameras(Camera([], then=fail)), stop=stop),
    ):
        pass


def test_a_service_waits_for_its_camera(stop, hurried):
    absent = SourceError("camera 0 is not there", "ls /dev/video*")
    cameras = Cameras(absent, absent, absent, Camera([PIXEL] * 10_000, pause_s=0.01))
    with NewestFrames("0", cameras, stop=stop, patient=True) as frames:
        watch(frames, lambda: frames.status().error == "camera 0 is not there")
        assert not frames.status().ok
        watch(frames, lambda: frames.status().ok)
        assert frames.status().reopened == 0 and len(cameras.opened) == 4


@pytest.mark.parametrize("patient", [False, True])
def test_no_waiting_installs_a_library(stop, patient):
    cameras = Cameras(MissingExtraError("camera 0 needs cv2", "pip install 'litelens[camera]'"))
    with pytest.raises(MissingExtraError), NewestFrames("0", cameras, stop=stop, patient=patient) as frames:
        watch(frames, lambda: False)


def test_the_delay_doubles_up_to_a_limit_and_starts_anew_with_a_frame(stop, monkeypatch):
    clock = [1000.0]
    monkeypatch.setattr(newest, "monotonic", lambda: clock[0])
    absent = SourceError("camera 0 is not there", "ls /dev/video*")
    opened_s = []

    def opener():
        opened_s.append(clock[0])
        if len(opened_s) == 10:
            return Camera(then=fail)
        raise absent

    frames = NewestFrames("0", opener, stop=stop, patient=True)
    with frames:
        while len(opened_s) < 12:
            for thread in threading.enumerate():
                if thread.name == "capture":
                    thread.join()
            clock[0] += 0.25
            frames.next(0)
    delays = np.diff(opened_s)
    expected = [0.5, 1, 2, 4, 8, 16, 30, 30, 30, 0.5, 1]
    assert np.abs(delays - expected).max() <= 0.5


def test_stop_ends_the_iteration_and_the_wait_for_a_first_frame(stop):
    never = threading.Event()
    threading.Timer(0.3, stop.set).start()
    try:
        with NewestFrames("0", Cameras(Camera([], then=never.wait)), stop=stop) as frames:
            assert list(frames) == []
    finally:
        never.set()


@pytest.mark.parametrize("image", [
    np.zeros((0, 640, 3), np.uint8), np.zeros((480, 640), np.uint8), np.zeros((480, 640, 4), np.uint8),
    np.zeros((1, 8000, 3), np.uint8), np.zeros((4, 4, 3), np.float32),
], ids=["empty", "grey", "rgba", "wide", "float"])  # fmt: skip
def test_odd_frames_come_as_they_are(stop, image):
    with NewestFrames("0", Cameras(Camera([image] * 1000, pause_s=0.01)), stop=stop) as frames:
        assert frames.next(5).image is image
        assert frames.next(5).image is image
        assert frames.status().ok


def test_a_mistake_in_a_reader_is_shown_and_survived(stop, hurried, monkeypatch):
    seen = []
    monkeypatch.setattr(threading, "excepthook", seen.append)
    cameras = Cameras(Camera(then=lambda: 1 / 0), Camera([PIXEL] * 10_000, pause_s=0.01))
    with NewestFrames("0", cameras, stop=stop) as frames:
        watch(frames, lambda: frames.status().reopened == 1)
    assert seen[0].exc_type is ZeroDivisionError


def test_a_stream_that_ends_is_a_lost_camera(stop, hurried):
    with NewestFrames("0", Cameras(Camera()), stop=stop) as frames:
        watch(frames, lambda: frames.status().error == "camera 0 ended")
        watch(frames, lambda: frames.status().reopened > 2)


def test_the_password_is_in_no_frame_and_no_status(stop):
    address = "rtsp://admin:S3CRET@cam/stream"
    with NewestFrames(address, Cameras(Camera([PIXEL] * 1000, pause_s=0.01)), stop=stop) as frames:
        assert frames.next(5).source == frames.status().source == "rtsp://***@cam/stream"


CLOCK = """
import os, sys, threading, time
from edge_runtime.capture.newest import NewestFrames
from edge_runtime.capture.open_camera import open_camera
address, offset = sys.argv[1:]
with NewestFrames("front", lambda: open_camera(address, print), stop=threading.Event(), hang_s=5) as frames:
    before = frames.next(10)
    with open(offset, "w") as file:
        file.write("-1d")
    for _ in range(30):
        after = frames.next(10)
    status = frames.status()
    print(round((after.time - before.time) / 3600), 0 <= time.monotonic() - after.captured_s < 5, status.ok, status.reopened)
"""


@pytest.mark.soak
def test_a_clock_that_jumps_back_a_day_changes_only_what_people_read(tmp_path, libfaketime, mjpeg_camera):
    offset = tmp_path / "offset"
    offset.write_text("+0")
    environment = os.environ | {
        "LD_PRELOAD": libfaketime,
        "FAKETIME_TIMESTAMP_FILE": str(offset),
        "FAKETIME_NO_CACHE": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        "PYTHONPATH": str(ROOT),
    }
    command = [sys.executable, "-c", CLOCK, mjpeg_camera().address, str(offset)]
    ended = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=60)
    assert ended.stdout == "-24 True True 0\n", ended.stderr
