"""Looks at every file once: what it is, whether it can be used, and by what its doubles are found."""

import hashlib
import io
import os
import re
import stat
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import imagehash
import numpy as np
from PIL import ExifTags, Image, UnidentifiedImageError

from edge_runtime.pictures import MOST_PIXELS, UNREADABLE, upright_rgb
from trainer.audit import findings
from trainer.audit.findings import Finding, Inspection

LEAST_SIDE_PX = 8
"""The digits that come with scikit-learn are 8 x 8."""
LEAST_TO_COMPARE_PX = 64
"""On the shorter side: smaller ones, such as handwritten digits, look alike without being the same picture."""
LEAST_CONTRAST = 16
"""Between the darkest and the brightest of 32 x 32 grey levels (0 to 255); below it the signs of a pHash are noise. The
flattest of 4,112 photographs of cats, dogs and flowers has 80."""
# What a picture of the most pixels takes with four channels of 16 bits: no file needs more for one picture.
_MOST_BYTES = 8 * MOST_PIXELS

Keep = Callable[[int, np.ndarray], None]
"""Takes a file's number and its picture: RGB, uint8, shape (height, width, 3). Called from several threads."""


def inspect_files(paths: Sequence[Path], keep: Keep | None = None) -> list[Inspection]:
    """Reads and decodes every file once, as many at a time as there are cores.

    Args:
        paths: Of the files.
        keep: Given each usable picture as `edge_runtime.pictures.read_picture` reads it; without it, pictures are
            dropped. What it raises is raised here.

    Returns:
        One inspection a path, in their order.
    """
    with ThreadPoolExecutor(_cores()) as pool:
        return list(pool.map(partial(_inspect, keep=keep), range(len(paths)), paths))


def _cores() -> int:
    """How many this process may use: decoding keeps one busy each, and more threads hold more pictures."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def inspect_file(path: Path) -> Inspection:
    """Reads and decodes one file."""
    return _inspect(0, path, None)


def inspect_content(path: Path, content: bytes) -> Inspection:
    """Decodes what is not on the disk yet, as the file that it would be."""
    return _inspect_content(0, path, content, None)


def _inspect(number: int, path: Path, keep: Keep | None) -> Inspection:
    try:
        content = _read(path)
    except _Unusable as problem:
        return _skipped(path, problem.kind, problem.detail)
    return _inspect_content(number, path, content, keep)


def _inspect_content(number: int, path: Path, content: bytes, keep: Keep | None) -> Inspection:
    digest = hashlib.sha256(content).hexdigest()
    if not content:
        return _skipped(path, findings.ZERO_BYTES, "0 bytes", digest)
    try:
        with Image.open(io.BytesIO(content)) as image:
            found = _oddities(path, image, content)
            rgb = upright_rgb(image)
            height, width = rgb.shape[:2]
            if min(height, width) < LEAST_SIDE_PX:
                return _skipped(path, findings.TOO_SMALL, f"{width} x {height} px", digest)
            grey = _reduced(image, rgb)
    except UNREADABLE as problem:
        return _skipped(path, *_explain(problem, content), digest)
    if keep:
        keep(number, rgb)
    pixels = hashlib.sha256(f"{height} x {width}\n".encode())
    pixels.update(np.ascontiguousarray(rgb))
    look = (None, b"") if grey is None else (_perceptual_hash(grey), grey.reduce(2).tobytes())
    return Inspection(path, True, tuple(found), digest, pixels.hexdigest(), look[0], (height, width), look[1])


def _skipped(path: Path, kind: str, detail: str, sha256: str = "") -> Inspection:
    return Inspection(path, False, (_finding(kind, path, detail),), sha256, "", None, None)


def _finding(kind: str, path: Path, detail: str) -> Finding:
    return Finding(kind, (path,), f"{path}: {detail}")


class _Unusable(Exception):
    def __init__(self, kind: str, detail: str):
        self.kind, self.detail = kind, detail


def _read(path: Path) -> bytes:
    try:
        state = path.stat()
        if not stat.S_ISREG(state.st_mode):  # opening a named pipe would wait for its writer for ever
            raise _Unusable(findings.UNREADABLE, "no regular file")
        if state.st_size > _MOST_BYTES:
            raise _Unusable(
                findings.BOMB,
                f"{state.st_size / 2**30:.1f} GiB, expected at most {_MOST_BYTES / 2**30:.1f} GiB",
            )
        return path.read_bytes()
    except OSError as problem:
        raise _Unusable(findings.UNREADABLE, f"cannot be read: {problem.strerror or problem}") from problem


def _explain(problem: Exception, content: bytes) -> tuple[str, str]:
    """(kind, detail) of what a reader raised."""
    text = str(problem)
    # Pillow bounds what compressed texts and colour profiles unpack to by a ValueError.
    if isinstance(problem, Image.DecompressionBombError) or "Decompressed data too large" in text:
        return findings.BOMB, text
    if "truncated" in text.lower() or _ends_early(content):
        return findings.TRUNCATED, f"{len(content)} bytes: {text.partition('<_io')[0].strip()}"
    if isinstance(problem, UnidentifiedImageError):
        return findings.UNREADABLE, f"no format that Pillow reads, begins with {_beginning(content)}"
    return findings.UNREADABLE, text or type(problem).__name__


def _ends_early(content: bytes) -> bool:
    """Whether the header names bytes behind the end, in formats where Pillow's reader does not say so."""
    if content[:4] == b"RIFF":  # WebP
        return int.from_bytes(content[4:8], "little") + 8 > len(content)
    if content[:4] in (b"II*\0", b"MM\0*"):  # TIFF: where the first directory is
        return int.from_bytes(content[4:8], "little" if content[:1] == b"I" else "big") >= len(content)
    return False


def _beginning(content: bytes) -> str:
    """The first bytes, as text if they are: a page of HTML or a Git LFS pointer is known by them."""
    start = content[:24]
    if start.isascii() and start.decode("ascii").replace("\n", " ").isprintable():
        return repr(start.decode("ascii"))
    return start[:8].hex(" ")


# Names for one thing: an MPO is a JPEG with another picture behind it, as telephones name .jpg.
_SAME_FORMAT = {"MPO": "JPEG", "DIB": "BMP"}
# Pillow's raw modes of more than 8 bits a channel: "RGB;16B", "I;16", "I;12"; but "BGR;16" has 16 bits a pixel.
_DEEP = re.compile(r";16[BLN]$|^[IL];1[0-6]")


def _oddities(path: Path, image: Image.Image, content: bytes) -> list[Finding]:
    """What a usable picture is besides, from its header."""
    found = []
    named = Image.registered_extensions().get(path.suffix.lower())
    if named and _SAME_FORMAT.get(named, named) != _SAME_FORMAT.get(image.format, image.format):
        found.append(_finding(findings.WRONG_EXTENSION, path, f"{image.format} under the name {path.suffix}"))
    # A JPEG has no frames, and the second picture of an MPO is another eye's or a gain map, no next frame.
    if image.format not in ("JPEG", "MPO") and (frames := _frames(content)) > 1:
        found.append(_finding(findings.ANIMATED, path, f"{frames} frames"))
    if image.mode == "CMYK":
        found.append(_finding(findings.CMYK, path, f"{image.format} in CMYK"))
    if (deep := _deep_mode(image)) is not None:
        found.append(_finding(findings.SIXTEEN_BIT, path, f"{image.format}, stored as {deep}"))
    orientation = image.getexif().get(ExifTags.Base.Orientation, 1)
    if orientation in range(2, 9):
        found.append(_finding(findings.EXIF_ROTATED, path, f"orientation {orientation}"))
    return found


def _frames(content: bytes) -> int:
    """How many; 1 where those behind the first cannot be counted, because only the first is used."""
    try:
        with Image.open(io.BytesIO(content)) as image:  # counting seeks, which would spoil one to be decoded
            return getattr(image, "n_frames", 1)
    except UNREADABLE:
        return 1


def _deep_mode(image: Image.Image) -> str | None:
    """The stored mode, if it has more than 8 bits a channel; Pillow opens 16-bit RGB as RGB and only its tiles tell."""
    for tile in image.tile:
        values = tile[3] if isinstance(tile[3], tuple) else (tile[3],)
        for raw_mode in values:
            if isinstance(raw_mode, str) and _DEEP.search(raw_mode):
                return raw_mode
        if tile[0].startswith("ppm") and isinstance(values[-1], int) and values[-1] > 255:
            return f"0 to {values[-1]}"
    return image.mode if image.mode.startswith("I") else None


def _reduced(image: Image.Image, rgb: np.ndarray) -> Image.Image | None:
    """32 x 32 grey levels, or None of a picture too small or too flat to be known by them.

    Box-reduced to about 48 px on the way: a pHash as stable as from the whole picture, at a third of the time.
    """
    if min(rgb.shape[:2]) < LEAST_TO_COMPARE_PX:
        return None
    whole = image if image.mode == "RGB" else Image.fromarray(rgb)
    grey = whole.resize((32, 32), Image.Resampling.LANCZOS, reducing_gap=1.5).convert("L")
    darkest, brightest = grey.getextrema()
    return grey if brightest - darkest >= LEAST_CONTRAST else None


def _perceptual_hash(grey: Image.Image) -> int:
    """64-bit pHash (hackerfactor.com, "Looks Like It")."""
    return int.from_bytes(np.packbits(imagehash.phash(grey).hash).tobytes(), "big")
