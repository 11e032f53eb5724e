"""The adapter against a stand-in for picamera2, which needs libcamera and a Raspberry Pi: nothing here ran on one.

The stand-in imitates what the Picamera2 manual says of the memory order of its formats, of requests and their metadata,
and what picamera2's source raises where there is no camera.
"""

import sys
import time
from itertools import islice
from types import ModuleType

import numpy as np
import pytest

from edge_runtime.capture.open_camera import open_camera
from edge_runtime.errors import MissingExtraError, SourceError

RED = (255, 0, 0)
EXPOSURE_S = 0.25
CHANNELS = {"RGB888": (2, 1, 0), "BGR888": (0, 1, 2)}
"""Of each format, which of red, green and blue comes first, second and third in memory."""


class Request:
    def __init__(self, camera):
        self.camera = camera
        camera.out += 1

    def make_array(self, stream):
        main = self.camera.configured[stream]
        width, height = main["size"]
        pixel = [RED[channel] for channel in CHANNELS[main["format"]]]
        return np.broadcast_to(np.array(pixel, np.uint8), (height, width, 3)).copy()

    def get_metadata(self):
        return {"SensorTimestamp": time.clock_gettime_ns(time.CLOCK_BOOTTIME) - int(EXPOSURE_S * 1e9)}

    def release(self):
        self.camera.out -= 1


class Picamera2:
    opened: list["Picamera2"] = []
    refuses = False

    def __init__(self, number):
        if number == 7:
            raise RuntimeError("Camera __init__ sequence did not complete.")
        if number:
            raise IndexError("list index out of range")
        self.out, self.started, self.closed, self.fails = 0, False, False, False
        self.opened.append(self)

    def create_video_configuration(self, main):
        return {"main": main}

    def configure(self, configuration):
        if self.refuses:
            raise RuntimeError("Failed to configure")
        self.configured = configuration

    def start(self):
        self.started = True

    def capture_request(self):
        assert self.started and not self.out  # each request is given back
        if self.fails:
            raise RuntimeError("Camera frontend has timed out!")
        return Request(self)

    def close(self):
        self.closed = True


@pytest.fixture
def picamera2(monkeypatch) -> type[Picamera2]:
    module = ModuleType("picamera2")
    module.Picamera2 = Picamera2
    monkeypatch.setitem(sys.modules, "picamera2", module)
    monkeypatch.setattr(Picamera2, "opened", [])
    return Picamera2


@pytest.mark.parametrize("spec", ["picamera", "picamera:0"])
def test_frames_are_rgb_with_the_time_of_their_exposure(picamera2, spec):
    with open_camera(spec, print) as source:
        frames = list(islice(source, 3))
    assert source.live and picamera2.opened[0].closed
    assert [(frame.source, frame.number) for frame in frames] == [(spec, 0), (spec, 1), (spec, 2)]
    for frame in frames:
        assert frame.image.shape == (480, 640, 3) and frame.image.dtype == np.uint8
        assert (frame.image == RED).all()
        assert EXPOSURE_S <= time.monotonic() - frame.captured_s < EXPOSURE_S + 30


@pytest.mark.parametrize("spec", ["picamera:1", "picamera:7"])
def test_a_camera_that_is_not_there_is_an_error(picamera2, spec):
    with pytest.raises(SourceError, match=f"camera {spec} cannot be opened") as caught:
        open_camera(spec, print)
    assert "rpicam-hello --list-cameras" in caught.value.hint


def test_a_camera_that_cannot_be_set_up_is_given_back(picamera2, monkeypatch):
    monkeypatch.setattr(picamera2, "refuses", True)
    with pytest.raises(SourceError, match="cannot be opened: Failed to configure"):
        open_camera("picamera", print)
    assert picamera2.opened[0].closed


def test_a_camera_that_fails_is_a_lost_camera(picamera2):
    with open_camera("picamera", print) as source:
        frames = iter(source)
        next(frames)
        picamera2.opened[0].fails = True
        with pytest.raises(SourceError, match="gave no more frames after 1: Camera frontend has timed out!"):
            next(frames)


def test_without_picamera2_the_error_says_how_to_get_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "picamera2", None)  # Python's own way to say: not installed
    with pytest.raises(MissingExtraError, match="camera picamera needs picamera2") as caught:
        open_camera("picamera", print)
    assert "apt install python3-picamera2" in caught.value.hint
    assert "--system-site-packages" in caught.value.hint


def test_picamera2_built_against_another_numpy_is_named(monkeypatch, tmp_path):
    (tmp_path / "picamera2.py").write_text("raise ValueError('numpy.dtype size changed')")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(MissingExtraError, match="numpy.dtype size changed") as caught:
        open_camera("picamera", print)
    assert "pip install 'numpy<2'" in caught.value.hint
