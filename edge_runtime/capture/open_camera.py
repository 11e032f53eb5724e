"""What ``--camera`` may name, and how each of it is opened."""

import os
import re
from collections.abc import Callable
from difflib import get_close_matches
from functools import partial
from pathlib import Path

from edge_runtime.capture.demo import Demo
from edge_runtime.capture.files import OnSkipped, open_path
from edge_runtime.capture.frame import Source
from edge_runtime.capture.opencv import GStreamerPipeline, NetworkStream, V4L2Camera
from edge_runtime.capture.picamera import Picamera
from edge_runtime.capture.redaction import redact
from edge_runtime.errors import SourceError

SCHEMES = ("rtsp", "http", "https")
"""Of the addresses that are opened; FFmpeg knows more, some of which read local files."""

WORDS = ("demo", "picamera")
"""Names of cameras, which are often mistyped."""
_KINDS = (
    "expected a number (0 is /dev/video0), /dev/videoN, picamera, picamera:N, rtsp://..., http://..., "
    "gst:PIPELINE, demo, a file or a folder"
)


def open_camera(spec: str, on_skipped: OnSkipped) -> Source:
    """Opens what ``--camera`` names.

    Args:
        spec: ``0`` or ``/dev/video0``, ``picamera`` or ``picamera:N``, ``rtsp://``, ``http://`` or ``https://``,
            ``gst:PIPELINE``, ``demo``, or a picture, a folder of pictures or a video. No shell sees it.
        on_skipped: Told of each file in a folder that is no readable picture.

    Raises:
        SourceError: If it is missing, cannot be opened or is no source.
        MissingExtraError: If it needs a library that is not installed.
    """
    opener = _live(spec)
    if opener is not None:
        return opener()
    near = get_close_matches(spec.lower(), WORDS, n=1)
    if near and not os.path.exists(spec):
        raise SourceError(f"there is no file {redact(spec)} and no such camera", f"did you mean {near[0]}?")
    return open_path(Path(spec), on_skipped)


def is_live(spec: str) -> bool:
    """Whether `open_camera` gives a live camera for it; told without opening anything.

    Raises:
        SourceError: If it begins like the address of a camera, but of no kind that is known.
    """
    return _live(spec) is not None


def _live(spec: str) -> Callable[[], Source] | None:
    """Opens the live camera that spec names; None if it can only be a file or a folder."""
    name = redact(spec)
    if spec.isascii() and spec.isdigit():
        return partial(V4L2Camera, f"/dev/video{spec.lstrip('0') or '0'}", name)
    if spec.startswith(("/dev/video", "/dev/v4l/")):
        return partial(V4L2Camera, spec, name)
    if spec == "demo":
        return partial(Demo, name)
    kind, colon, rest = spec.partition(":")
    if kind == "picamera":
        return partial(Picamera, _camera_number(spec, colon, rest), name)
    if kind == "gst" and colon:
        return partial(GStreamerPipeline, rest, name)
    if re.match(r"[A-Za-z][\w+.-]*://", spec):
        if kind not in SCHEMES:
            near = get_close_matches(kind.lower(), SCHEMES, n=1)
            raise SourceError(
                f"{name} has an unknown scheme, {kind}://", f"did you mean {near[0]}://?" if near else _KINDS
            )
        return partial(NetworkStream, spec, name)
    return None


def _camera_number(spec: str, colon: str, rest: str) -> int:
    if not colon:
        return 0
    if not re.fullmatch(r"[0-9]{1,3}", rest):
        raise SourceError(f"{redact(spec)} names no camera, expected picamera:N, N from 0", "picamera:0")
    return int(rest)
