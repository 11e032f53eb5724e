import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from edge_runtime.errors import PictureError
from edge_runtime.pictures import is_picture, read_picture

ODD = Path(__file__).parents[2].parent / "shared" / "data" / "odd"

# EXIF orientation to how a camera held that way stores the upright picture.
STORED = {
    1: lambda upright: upright,
    2: np.fliplr,
    3: lambda upright: np.rot90(upright, 2),
    4: np.flipud,
    5: lambda upright: upright.swapaxes(0, 1),
    6: lambda upright: np.rot90(upright, 1),
    7: lambda upright: np.rot90(upright, 2).swapaxes(0, 1),
    8: lambda upright: np.rot90(upright, -1),
}


@pytest.mark.parametrize("orientation", STORED)
def test_turns_pictures_upright(tmp_path, orientation):
    upright = np.random.default_rng(0).integers(0, 256, (4, 6, 3), dtype=np.uint8)
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored = np.ascontiguousarray(STORED[orientation](upright))
    Image.fromarray(stored).save(tmp_path / "held.png", exif=exif)
    assert np.array_equal(read_picture(tmp_path / "held.png"), upright)


def sixteen_bit_grey() -> Image.Image:
    return Image.fromarray(np.full((2, 3), 0x80FF, np.uint16))


def cmyk() -> Image.Image:
    return Image.new("CMYK", (3, 2), (0, 255, 255, 0))


def transparent_palette() -> Image.Image:
    image = Image.new("P", (3, 2), 1)
    image.putpalette([0, 0, 0, 10, 20, 30])
    image.info["transparency"] = b"\x00\xff"
    return image


@pytest.mark.parametrize(
    "image, name, colour",
    [
        (sixteen_bit_grey(), "grey16.png", (128, 128, 128)),
        (sixteen_bit_grey(), "grey16.tif", (128, 128, 128)),
        (Image.new("L", (3, 2), 77), "grey.png", (77, 77, 77)),
        (Image.new("1", (3, 2), 1), "bilevel.png", (255, 255, 255)),
        (Image.new("LA", (3, 2), (77, 255)), "grey_alpha.png", (77, 77, 77)),
        (Image.new("RGBA", (3, 2), (1, 2, 3, 255)), "alpha.png", (1, 2, 3)),
        (cmyk(), "cmyk.tif", (255, 0, 0)),
        (transparent_palette(), "palette.png", (10, 20, 30)),
        (Image.new("RGB", (3, 2), (9, 8, 7)), "no_suffix.bmp", (9, 8, 7)),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
def test_reads_every_mode_as_rgb(tmp_path, image, name, colour):
    image.save(tmp_path / name)
    picture = read_picture(tmp_path / name)
    assert picture.shape == (2, 3, 3) and picture.dtype == np.uint8
    assert (picture == colour).all()


def bomb() -> bytes:
    """A PNG of a few bytes that says it has 900 million pixels."""
    header = struct.pack(">IIBBBBB", 30_000, 30_000, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(b""))
        + chunk(b"IEND", b"")
    )


def chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def truncated(tmp_path) -> bytes:
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    Image.fromarray(noise).save(tmp_path / "whole.jpg")
    return (tmp_path / "whole.jpg").read_bytes()[:2000]


@pytest.mark.parametrize(
    "content, starts_as_picture",
    [
        (lambda _: b"", False),
        (lambda _: b"<!DOCTYPE html><title>404</title>", False),
        (lambda _: bomb(), True),
        (truncated, True),
        (lambda _: b"\x89PNG\r\n\x1a\n", False),
        # An MPEG video's first bytes: Pillow knows the format, and reads no frame of it.
        (lambda _: bytes.fromhex("000001b3 160120 13 ffffe0a4"), False),
    ],
    ids=["zero bytes", "html", "decompression bomb", "truncated", "signature alone", "mpeg"],
)
def test_refuses_what_is_no_whole_picture(tmp_path, content, starts_as_picture):
    path = tmp_path / "picture.jpg"
    path.write_bytes(content(tmp_path))
    with pytest.raises(PictureError, match="picture.jpg is no readable picture: .") as caught:
        read_picture(path)
    assert caught.value.hint
    assert is_picture(path) is starts_as_picture


@pytest.mark.parametrize("name", ["absent.jpg", ""], ids=["missing", "a folder"])
def test_refuses_what_is_no_file(tmp_path, name):
    with pytest.raises(PictureError):
        read_picture(tmp_path / name)


@pytest.mark.skipif(not ODD.is_dir(), reason="the collection of odd pictures is not here")
@pytest.mark.parametrize("path", sorted(ODD.glob("*")) or [None], ids=lambda path: path and path.name)
def test_odd_pictures_are_read_or_refused(path):
    try:
        picture = read_picture(path)
    except PictureError as problem:
        assert str(path) in str(problem) and problem.hint
    else:
        assert picture.ndim == 3 and picture.shape[2] == 3 and picture.dtype == np.uint8 and picture.size
