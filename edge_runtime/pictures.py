"""Reads picture files as a person would see them: rotated as the camera held them, RGB, 8 bits."""

import struct
import warnings
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from edge_runtime.errors import PictureError

MOST_PIXELS = 2**26
"""A file that claims more is refused before it is unpacked. 67 million is above what cameras give in one shot: 61 in a
Sony A7R, 50 and 64 in telephones. Pillow and the result together hold at most 8 bytes a pixel, so 0.5 GiB here, which a
Raspberry Pi with 512 MB bears by its swap file; Pillow's own limit, 179 million, would come to 1.3 GiB."""

# Pillow warns above this and refuses above twice this; its own checks see what lies within a file too, such as the PNG
# in an icon.
Image.MAX_IMAGE_PIXELS = MOST_PIXELS // 2
# Pillow warns of odd metadata in pictures that it then reads; stderr is for what was not read.
warnings.filterwarnings("ignore", category=UserWarning, module=r"PIL\.")
warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)

UNREADABLE = (
    OSError,
    ValueError,
    SyntaxError,
    EOFError,
    TypeError,
    IndexError,
    KeyError,
    OverflowError,
    RuntimeError,
    struct.error,
    Image.DecompressionBombError,
)
"""What Pillow's readers raise on damaged or hostile files, seen on a collection of 79 of them, and on the same with bytes
changed at random."""

# Pillow knows MPEG video by its first bytes but cannot read a frame of it; PostScript is a program, which it would
# have Ghostscript run.
_NO_PICTURES = ("MPEG", "EPS")
# Pictures larger than this become RGB a strip at a time, so that no second copy of all of them is held.
_STRIP_PIXELS = 2**20


def read_picture(path: str | Path) -> np.ndarray:
    """Reads one picture; of an animation, the first frame.

    Returns:
        RGB, uint8, shape (height, width, 3).

    Raises:
        PictureError: If the file is missing, is no picture, is damaged, or has more than MOST_PIXELS.
    """
    try:
        # Not by its path: Pillow then maps TIFFs into memory, and scrambles uncompressed ones that are to be turned.
        with open(path, "rb") as file, Image.open(file) as image:
            return upright_rgb(image)
    except UNREADABLE as problem:
        message = f"{path} is no readable picture: {str(problem).partition(' <_io')[0]}"
        raise PictureError(message, "remove or repair the file") from problem


def upright_rgb(image: Image.Image) -> np.ndarray:
    """Decodes a picture that Pillow has opened, and turns it upright in place.

    Returns:
        RGB, uint8, shape (height, width, 3).

    Raises:
        One of UNREADABLE: If it is damaged, or of a format that is no picture.
    """
    if image.format in _NO_PICTURES:
        raise ValueError(f"{image.format} is no format of pictures")
    bits = 12 if any("I;12" in str(tile) for tile in image.tile) else 16  # loading forgets the tiles
    # In place, and no conversion where none is needed, because both copy the picture: the peak of
    # `litelens run` on pictures of up to 1721 x 1721 was 114 MiB with the copies and is 87 without.
    ImageOps.exif_transpose(image, in_place=True)
    rows = max(1, _STRIP_PIXELS // image.width)
    strips = [(top, min(top + rows, image.height)) for top in range(0, image.height, rows)]
    if len(strips) == 1:
        return _rgb(image, bits if _is_deep(image) else 8)
    pixels = np.empty((image.height, image.width, 3), np.uint8)
    deep = any(_is_deep(image.crop((0, top, image.width, end))) for top, end in strips)
    for top, end in strips:
        pixels[top:end] = _rgb(image.crop((0, top, image.width, end)), bits if deep else 8)
    return pixels


def is_picture(path: str | Path) -> bool:
    """Whether the file starts as a picture does; it may still be damaged further on."""
    try:
        with Image.open(path) as image:
            return image.format not in _NO_PICTURES
    except Image.DecompressionBombError:
        return True
    except UNREADABLE:
        return False


def _is_deep(image: Image.Image) -> bool:
    """Whether it is grey of more than 8 bits, by its values: a PNG of 16 bits may hold 8-bit ones."""
    return image.mode.startswith("I") and bool(np.asarray(image).max() > 255)


def _rgb(image: Image.Image, bits: int) -> np.ndarray:
    """RGB, uint8; grey of so many bits is shifted to 8, because Pillow would clip it to white."""
    if image.mode.startswith("I"):
        grey = np.asarray(image).astype(np.int64) >> (bits - 8)
        image = Image.fromarray(grey.clip(0, 255).astype(np.uint8))
    return np.asarray(image if image.mode == "RGB" else image.convert("RGB"))
