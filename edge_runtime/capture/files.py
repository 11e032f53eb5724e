"""Frames from files: pictures, folders of pictures and videos, each of them handled, in order.

OpenCV is imported only when a video is opened, so folders and pictures do without it.
"""

import os
from collections.abc import Callable, Iterator
from difflib import get_close_matches
from pathlib import Path

import numpy as np

from edge_runtime.capture.frame import Frame, Source
from edge_runtime.capture.opencv import import_opencv, read_rgb
from edge_runtime.capture.redaction import redact
from edge_runtime.errors import PictureError, SourceError
from edge_runtime.pictures import is_picture, read_picture

OnSkipped = Callable[[PictureError], None]
"""Told of each file in a folder that is no readable picture."""

_NAME_A_SOURCE = "name a picture, a folder of pictures or a video"


class Picture:
    """One picture file: one frame."""

    live = False

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

    live = False

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

    live = False

    def __init__(self, path: Path):
        """Opens the video.

        Raises:
            SourceError: If OpenCV cannot open it.
            MissingExtraError: If OpenCV is not installed.
        """
        self.path = path
        self._cv2 = import_opencv(f"{path} is no picture; reading it as a video")
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
        while (image := read_rgb(self._cv2, self._capture)) is not None:
            yield Frame(image, str(self.path), number)
            number += 1
        if not number:
            raise SourceError(f"{self.path} is neither a picture nor a video with frames", _NAME_A_SOURCE)


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


def check_path(path: Path) -> None:
    """Raises SourceError unless path is a folder or a regular file that may be read."""
    # Not Path's exists(), which raises where a folder may not be entered or the name is too long.
    if not os.path.exists(path):
        # Redacted, as it may be the address of a camera with its beginning mistyped.
        raise SourceError(f"{redact(str(path))} is not there", _instead_of(path))
    if not os.path.isdir(path) and not os.path.isfile(path):
        raise SourceError(
            f"{path} is a device or a pipe, expected a file or a folder", "name a camera by its number: 0"
        )
    if not os.access(path, os.R_OK):
        raise SourceError(f"{path} may not be read", "check its permissions")


def _instead_of(path: Path) -> str:
    """What the user may have meant by a path that is not there."""
    try:
        near = get_close_matches(path.name, os.listdir(path.parent), n=1)
    except OSError:  # the folder is not there either, or may not be listed
        near = []
    if near:
        return f"did you mean {path.with_name(near[0])}?"
    return f"{_NAME_A_SOURCE}, or a camera by its number: 0"


def _read_regular(path: Path) -> np.ndarray:
    # Opening a named pipe would wait for its writer for ever.
    if not path.is_file():
        raise PictureError(f"{path} is no regular file", "remove it")
    return read_picture(path)
