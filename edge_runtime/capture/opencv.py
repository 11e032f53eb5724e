"""Cameras through OpenCV: those that Linux lists, those on the network, and GStreamer's pipelines."""

import os
import re
from collections.abc import Iterator
from glob import glob
from time import monotonic

import numpy as np

from edge_runtime.capture.frame import Frame
from edge_runtime.errors import SourceError
from edge_runtime.extras import extra
from edge_runtime.pictures import MOST_PIXELS

TIMEOUT_S = 8
"""How long a camera may take to open, or to give the next frame, before OpenCV gives it up. OpenCV's own 30 s (10 s for
V4L2) are longer than a hanging reader is waited for; see newest.HANG_S."""

DECODING_THREADS = 2
"""FFmpeg decodes as many frames at once as it has threads, so each thread after the first delays the picture by a frame:
measured at 30 fps, H.264 over HTTP, 69 ms behind the sender with one thread, 102 with two, 169 with four. OpenCV's choice is
one a core. Not one, because a small board may not decode a large picture in time with one core, and is then late by more."""


class OpenCVCamera:
    """What the cameras here have in common: frames until OpenCV gives no more."""

    live = True

    def __init__(self, name: str, cv2, capture, if_lost: str):
        """Takes over an opened cv2.VideoCapture.

        Args:
            name: What frames give as their source; without a password.
            cv2: The module.
            capture: The cv2.VideoCapture.
            if_lost: What to do when the camera stops giving frames.
        """
        self.name = name
        self._cv2, self._capture = cv2, capture
        self._if_lost = if_lost

    def __enter__(self) -> "OpenCVCamera":
        return self

    def __exit__(self, *exception: object) -> None:
        self._capture.release()

    def __iter__(self) -> Iterator[Frame]:
        """Yields frames for as long as the camera gives them and the caller takes them.

        Raises:
            SourceError: When the camera stops giving frames.
        """
        number = 0
        try:
            while (image := self._read()) is not None:
                yield Frame(image, self.name, number)
                number += 1
        except self._cv2.error as problem:
            raise SourceError(
                f"camera {self.name}: OpenCV cannot read it: {problem.err}", self._if_lost
            ) from problem
        raise SourceError(f"camera {self.name} gave no more frames after {number}", self._if_lost)

    def _read(self) -> np.ndarray | None:
        return read_rgb(self._cv2, self._capture)


class V4L2Camera(OpenCVCamera):
    """A camera that Linux lists as /dev/videoN."""

    def __init__(self, device: str, name: str):
        """Opens the camera.

        Args:
            device: The path of /dev/videoN, or of a link to it in /dev/v4l.
            name: What frames give as their source.

        Raises:
            SourceError: If it cannot be opened.
            MissingExtraError: If OpenCV is not installed.
        """
        cv2 = import_opencv(f"camera {name}")
        if not os.path.exists(device):
            raise SourceError(f"camera {name} is not there: expected {device}", _cameras_here())
        if not os.access(device, os.R_OK | os.W_OK):
            raise SourceError(
                f"camera {name}: {device} may not be read and written by this user",
                "sudo usermod -aG video $USER, then log in again",
            )
        capture = cv2.VideoCapture(device, cv2.CAP_V4L2)
        if not capture.isOpened():
            raise SourceError(
                f"camera {name} cannot be opened: expected {device} to give pictures and to be in no other "
                "program's use",
                _cameras_here(),
            )
        super().__init__(name, cv2, capture, "check its cable and power")


class NetworkStream(OpenCVCamera):
    """A camera on the network: RTSP, Motion JPEG over HTTP, and whatever else FFmpeg reads from such an address."""

    def __init__(self, address: str, name: str):
        """Opens the stream.

        RTSP goes over TCP, which is what OpenCV asks for first: over UDP, lost packets are torn pictures.

        Args:
            address: rtsp://, http:// or https://, with user and password where the camera wants them.
            name: What frames give as their source; without the password.

        Raises:
            SourceError: If it cannot be opened within TIMEOUT_S.
            MissingExtraError: If OpenCV is not installed.
        """
        cv2 = import_opencv(f"camera {name}")
        settings = [cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, TIMEOUT_S * 1000]
        settings += [cv2.CAP_PROP_READ_TIMEOUT_MSEC, TIMEOUT_S * 1000]
        if hasattr(cv2, "CAP_PROP_N_THREADS"):  # not in Debian 12's OpenCV 4.6
            settings += [cv2.CAP_PROP_N_THREADS, DECODING_THREADS]
        capture = cv2.VideoCapture(address, cv2.CAP_FFMPEG, settings)
        if not capture.isOpened():
            raise SourceError(
                f"camera {name} cannot be opened: expected a video stream at that address within {TIMEOUT_S} s",
                "check the address, user and password, and that the camera is on: ffplay ADDRESS",
            )
        super().__init__(name, cv2, capture, "check the camera's power and the network")
        # OpenCV goes on showing the last picture when one of another size or colour format comes: a camera that turns to
        # grey at night would be frozen, unnoticed. Motion JPEG is therefore taken as it came and unpacked here.
        motion_jpeg = int(capture.get(cv2.CAP_PROP_FOURCC)) == cv2.VideoWriter_fourcc(*"MJPG")
        self._packed = motion_jpeg and capture.set(cv2.CAP_PROP_FORMAT, -1)

    def _read(self) -> np.ndarray | None:
        until_s = monotonic() + TIMEOUT_S
        if not self._packed:
            image = super()._read()
            # A read that ran out of time gives a frame all the same, while the decoder still holds old ones.
            return image if monotonic() < until_s else None
        while monotonic() < until_s:
            there, jpeg = self._capture.read()
            if not there:
                return None
            image = self._cv2.imdecode(jpeg, self._cv2.IMREAD_COLOR)
            if image is not None:  # else torn: the next one may be whole
                return self._cv2.cvtColor(image, self._cv2.COLOR_BGR2RGB)
        return None


class GStreamerPipeline(OpenCVCamera):
    """A pipeline of GStreamer's elements, where OpenCV was built with GStreamer."""

    def __init__(self, pipeline: str, name: str):
        """Opens the pipeline.

        Args:
            pipeline: As gst-launch-1.0 takes it, ending in an appsink that is given BGR.
            name: What frames give as their source; without passwords.

        Raises:
            SourceError: If this OpenCV has no GStreamer, or GStreamer refuses the pipeline.
            MissingExtraError: If OpenCV is not installed.
        """
        cv2 = import_opencv(f"camera {name}")
        if not re.search(r"GStreamer:\s+YES", cv2.getBuildInformation()):
            raise SourceError(
                f"camera {name}: OpenCV {cv2.__version__} was built without GStreamer",
                "Debian's OpenCV has it: sudo apt install python3-opencv, and litelens in an environment made by "
                "python3 -m venv --system-site-packages, without opencv-python-headless",
            )
        capture = cv2.VideoCapture(pipeline, cv2.CAP_GSTREAMER)
        if not capture.isOpened():
            raise SourceError(
                f"camera {name}: GStreamer cannot run this pipeline",
                "end it with ! videoconvert ! video/x-raw,format=BGR ! appsink; try it with gst-launch-1.0, "
                "fakesink in place of appsink",
            )
        super().__init__(name, cv2, capture, "check what the pipeline reads from")


def import_opencv(needed: str):
    """The module cv2: silent, waiting no longer than TIMEOUT_S for a V4L2 camera, unpacking no JPEG above MOST_PIXELS.

    Raises:
        MissingExtraError: If OpenCV is not installed; says that `needed` needs it.
    """
    # Read when cv2 is imported or first used; its own lines would say in other words what our errors say, and FFmpeg's
    # would show passwords.
    os.environ.setdefault("OPENCV_LOG_LEVEL", "SILENT")
    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")
    os.environ.setdefault("OPENCV_VIDEOIO_V4L_SELECT_TIMEOUT", str(TIMEOUT_S))
    os.environ.setdefault("OPENCV_IO_MAX_IMAGE_PIXELS", str(MOST_PIXELS))
    with extra("camera", needed):
        import cv2
    return cv2


def read_rgb(cv2, capture) -> np.ndarray | None:
    """The next frame, or None at the end: RGB, where OpenCV hands out BGR; anything else (grey, RGBA, empty) as it is."""
    there, image = capture.read()
    if not there:
        return None
    coloured = image.ndim == 3 and image.shape[2] == 3 and image.size
    return cv2.cvtColor(image, cv2.COLOR_BGR2RGB) if coloured else image


def _cameras_here() -> str:
    found = sorted(glob("/dev/video*"))
    if found:
        return f"cameras here: {', '.join(found)}"
    return "there is no /dev/video*: plug a camera in; a Raspberry Pi's own camera is --camera picamera"
