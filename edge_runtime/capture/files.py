"""Where frames come from: pictures, folders of pictures, videos and cameras, each handing out RGB.

OpenCV is imported only when a video or a camera is opened, so folders and pictures do without it.
"""

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from edge_runtime.errors import PictureError, SourceError
from edge_runtime.extras import extra
from edge_runtime.pictures import is_picture, read_picture

OnSkipped = Callable[[PictureError], None]
"""Told of each file in a folder that is no readable picture."""

_LIST_CAMERAS = "list the cameras with: ls /dev/video*"
_NAME_A_SOURCE = "name a picture, a folder of pictures or a video"


@dataclass(frozen=True, eq=False)
class Frame:
    """One picture of a source."""

    image: np.ndarray
    """RGB, uint8, shape (height, width, 3)."""
    source: str
    """The picture's or video's path, or the camera as the user named it."""
    number: int
    """From 0, in the order of the source."""


class Source(Protocol):
    """Frames to iterate over in a ``with`` block, which gives the device back even on Ctrl-C."""

    def __enter__(self) -> "Source": ...

    def __exit__(self, *exception: object) -> None: ...

    def __iter__(self) -> Iterator[Frame]: ...


class Picture:
    """One picture file: one frame."""

    def __init__(self, path: Path):
        self.path = path

    def __enter__(self) -> "Picture":
        return self

    def __exit__(self, *exception: object) -> None:
        """Nothing stays open between frames."""

    def __iter__(self) -> Iterator[Frame]:
        """Yields the one frame.

        Raises:
            SourceError: If the picture is damaged.
        """
        try:
            yield Frame(read_picture(self.path), str(self.path), 0)
        except PictureError as problem:
            raise SourceError(str(problem), problem.hint) from problem


class Folder:
    """The pictures below a folder, by name; hidden files and folders are left out."""

    def __init__(self, path: Path, on_skipped: OnSkipped):
        self.path = path
        self._on_skipped = on_skipped

    def __enter__(self) -> "Folder":
        return self

    def __exit__(self, *exception: object) -> None:
        """Nothing stays open between frames."""

    def __iter__(self) -> Iterator[Frame]:
        """Yields a frame a readable picture, its own path as source.

        Raises:
            SourceError: If there was none.
        """
        number = 0
        for path in self._files():
            try:
                image = _read_regular(path)
            except PictureError as problem:
                self._on_skipped(problem)
                continue
            yield Frame(image, str(path), number)
            number += 1
        if not number:
            raise SourceError(
                f"the folder {self.path} holds no readable picture",
                "name a folder with JPEG or PNG files in it",
            )

    def _files(self) -> Iterator[Path]:
        """Folder by folder, not one sorted list: the first frame need not wait for a walk over all."""
        for where, folders, files in os.walk(self.path, onerror=self._unlisted):
            folders[:] = sorted(name for name in folders if not name.startswith("."))
            yield from (Path(where, name) for name in sorted(files) if not name.startswith("."))

    def _unlisted(self, problem: OSError) -> None:
        message = f"cannot list the folder {problem.filename}: {problem.strerror}"
        self._on_skipped(PictureError(message, "check its permissions"))


class Video:
    """A video file, through OpenCV."""

    def __init__(self, path: Path):
        """Opens the video.

        Raises:
            SourceError: If OpenCV cannot open it.
            MissingExtraError: If OpenCV is not installed.
        """
        self.path = path
        self._cv2 = _import_opencv(f"{path} is no picture; reading it as a video")
        self._capture = self._cv2.VideoCapture(str(path))
        if not self._capture.isOpened():
            raise SourceError(f"{path} is neither a picture nor a video", _NAME_A_SOURCE)

    def __enter__(self) -> "Video":
        return self

    def __exit__(self, *exception: object) -> None:
        self._capture.release()

    def __iter__(self) -> Iterator[Frame]:
        """Yields frame after frame, up to the end of the file or the first damaged frame.

        Raises:
            SourceError: If there was none.
        """
        number = 0
        while (image := _next_rgb(self._cv2, self._capture)) is not None:
            yield Frame(image, str(self.path), number)
            number += 1
        if not number:
            raise SourceError(f"{self.path} is neither a picture nor a video with frames", _NAME_A_SOURCE)


class V4L2Camera:
    """A camera that Linux lists as /dev/videoN, through OpenCV."""

    def __init__(self, index: int, name: str):
        """Opens the camera.

        Args:
            index: The N of /dev/videoN.
            name: What frames give as their source.

        Raises:
            SourceError: If it cannot be opened.
            MissingExtraError: If OpenCV is not installed.
        """
        self.name = name
        self._cv2 = _import_opencv(f"camera {name}")
        device = f"/dev/video{index}"
        if not os.path.exists(device):
            raise SourceError(f"camera {name} is not there: expected {device}", _LIST_CAMERAS)
        self._capture = self._cv2.VideoCapture(index, self._cv2.CAP_V4L2)
        if not self._capture.isOpened():
            raise SourceError(
                f"camera {name} cannot be opened: expected {device} to give pictures and to be in no other "
                "program's use",
                _LIST_CAMERAS,
            )

    def __enter__(self) -> "V4L2Camera":
        return self

    def __exit__(self, *exception: object) -> None:
        self._capture.release()

    def __iter__(self) -> Iterator[Frame]:
        """Yields frames for as long as the caller takes them.

        Raises:
            SourceError: When the camera stops giving frames.
        """
        number = 0
        while (image := _next_rgb(self._cv2, self._capture)) is not None:
            yield Frame(image, self.name, number)
            number += 1
        raise SourceError(
            f"camera {self.name} gave no more frames after {number}", "check its cable and power"
        )


def open_path(path: Path, on_skipped: OnSkipped) -> Source:
    """Opens a picture, a folder of pictures or a video, told apart by content, not by name.

    Raises:
        SourceError: If path is missing or is none of these.
        MissingExtraError: If it can only be a video and OpenCV is not installed.
    """
    check_path(path)
    if path.is_dir():
        return Folder(path, on_skipped)
    return Picture(path) if is_picture(path) else Video(path)


def open_camera(spec: str, on_skipped: OnSkipped) -> Source:
    """Opens what ``--camera`` names: a V4L2 camera by its number, or what `open_path` takes.

    Raises:
        SourceError: If it is missing, cannot be opened or is no source.
        MissingExtraError: If it needs OpenCV, which is not installed.
    """
    if spec.isascii() and spec.isdigit():
        return V4L2Camera(int(spec), spec)
    return open_path(Path(spec), on_skipped)


def check_path(path: Path) -> None:
    """Raises SourceError unless path is a folder or a regular file that may be read."""
    # Not Path's exists(), which raises where a folder may not be entered or the name is too long.
    if not os.path.exists(path):
        raise SourceError(f"{path} is not there", f"{_NAME_A_SOURCE}, or a camera by its number: 0")
    if not os.path.isdir(path) and not os.path.isfile(path):
        raise SourceError(
            f"{path} is a device or a pipe, expected a file or a folder", "name a camera by its number: 0"
        )
    if not os.access(path, os.R_OK):
        raise SourceError(f"{path} may not be read", "check its permissions")


def _read_regular(path: Path) -> np.ndarray:
    # Opening a named pipe would wait for its writer for ever.
    if not path.is_file():
        raise PictureError(f"{path} is no regular file", "remove it")
    return read_picture(path)


def _import_opencv(needed: str):
    # Both are read when cv2 is imported; its own lines would say in other words what our errors say.
    os.environ.setdefault("OPENCV_LOG_LEVEL", "SILENT")
    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")
    with extra("camera", needed):
        import cv2
    return cv2


def _next_rgb(cv2, capture) -> np.ndarray | None:
    """The next frame as RGB (OpenCV hands out BGR), or None at the end."""
    there, image = capture.read()
    return cv2.cvtColor(image, cv2.COLOR_BGR2RGB) if there else None
