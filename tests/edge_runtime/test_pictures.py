import struct
import subprocess
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, PngImagePlugin

from edge_runtime import pictures
from edge_runtime.capture.files import open_path
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


def exif_turned(orientation: int) -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = orientation
    return exif


def xmp_turned(orientation: int) -> PngImagePlugin.PngInfo:
    """As Adobe's programs write it into a PNG."""
    text = (
        f'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:Description tiff:Orientation="{orientation}"/></x:xmpmeta>'
    )
    info = PngImagePlugin.PngInfo()
    info.add_itxt("XML:com.adobe.xmp", text)
    return info


@pytest.mark.parametrize("orientation", STORED)
@pytest.mark.parametrize(
    "name, options",
    [
        ("held.jpg", lambda n: {"exif": exif_turned(n), "quality": 100, "subsampling": 0}),
        ("held.webp", lambda n: {"exif": exif_turned(n), "lossless": True}),
        ("held.tif", lambda n: {"exif": exif_turned(n)}),
        ("held.png", lambda n: {"pnginfo": xmp_turned(n)}),
    ],
    ids=["jpeg", "webp", "tiff", "xmp"],
)
def test_the_device_sees_them_upright(tmp_path, orientation, name, options):
    """`litelens classify` and `run` take their frames from this source."""
    upright = np.random.default_rng(0).integers(0, 256, (2, 3, 3), dtype=np.uint8).repeat(8, 0).repeat(8, 1)
    stored = np.ascontiguousarray(STORED[orientation](upright))
    Image.fromarray(stored).save(tmp_path / name, **options(orientation))
    with open_path(tmp_path, lambda problem: pytest.fail(str(problem))) as frames:
        (frame,) = frames
    most = 6 if name.endswith("jpg") else 0  # a JPEG rounds
    assert frame.image.shape == upright.shape
    assert np.abs(frame.image.astype(int) - upright).max() <= most


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "RGBA", "CMYK", "I;16"])
@pytest.mark.parametrize("compression", [None, "tiff_lzw"])
def test_tiffs_of_every_mode_are_turned(tmp_path, mode, compression):
    """Pillow 13 scrambles the uncompressed ones of some modes if it opens them by path."""
    grey = np.random.default_rng(0).integers(0, 256, (6, 4), dtype=np.uint8)
    image = (
        Image.fromarray(grey.astype(np.uint16) << 8)
        if mode == "I;16"
        else Image.fromarray(grey).convert(mode)
    )
    expected = grey[..., None].repeat(3, 2) if mode == "I;16" else np.asarray(image.convert("RGB"))
    image.save(tmp_path / "held.tif", exif=exif_turned(6), compression=compression)
    assert np.array_equal(read_picture(tmp_path / "held.tif"), np.rot90(expected, -1))


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "I;16"])
def test_large_pictures_are_read_in_strips_to_the_same_pixels(tmp_path, monkeypatch, mode):
    draw = np.random.default_rng(0)
    if mode == "I;16":  # the first strips alone would pass for 8-bit
        image = Image.fromarray(
            (draw.integers(0, 256, (50, 40)) << np.arange(50)[:, None] // 8).astype(np.uint16)
        )
    else:
        image = Image.fromarray(draw.integers(0, 256, (50, 40, 3), dtype=np.uint8)).convert(mode)
    path = tmp_path / ("large.tif" if mode == "CMYK" else "large.png")
    image.save(path, exif=exif_turned(6))
    at_once = read_picture(path)
    monkeypatch.setattr(pictures, "_STRIP_PIXELS", 7 * 50)
    assert np.array_equal(read_picture(path), at_once) and at_once.shape == (40, 50, 3)


def test_twelve_bit_grey_is_not_black(tmp_path):
    """Pillow reads I;12 and cannot write it."""
    pixels = bytes.fromhex("fff800") * 32  # 4095 and 2048, eight pairs a row
    tags = [
        (256, 3, 1, 16), (257, 3, 1, 4), (258, 3, 1, 12), (259, 3, 1, 1), (262, 3, 1, 1),
        (273, 4, 1, 8 + 2 + 9 * 12 + 4), (277, 3, 1, 1), (278, 3, 1, 4), (279, 4, 1, len(pixels)),
    ]  # fmt: skip
    directory = struct.pack("<H", len(tags)) + b"".join(struct.pack("<HHII", *tag) for tag in tags) + bytes(4)
    (tmp_path / "grey12.tif").write_bytes(b"II*\0" + struct.pack("<I", 8) + directory + pixels)
    assert read_picture(tmp_path / "grey12.tif")[0, :4, 0].tolist() == [255, 128, 255, 128]


PEAK = """
import sys
from pathlib import Path
from edge_runtime.pictures import read_picture
def peak_bytes():  # not ru_maxrss, which begins with that of the process that started this one
    return 1024 * int(Path("/proc/self/status").read_text().partition("VmHWM:")[2].split()[0])
before = peak_bytes()
height, width = read_picture(sys.argv[1]).shape[:2]
print((peak_bytes() - before) / height / width)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has /proc")
@pytest.mark.parametrize("mode, turned", [("RGB", 6), ("RGBA", 1), ("I;16", 1)])
def test_the_most_pixels_fit_into_memory(tmp_path, mode, turned):
    """MOST_PIXELS counts on at most 8 bytes a pixel."""
    image = (
        Image.fromarray(np.full((3000, 4000), 300, np.uint16))
        if mode == "I;16"
        else Image.new(mode, (4000, 3000))
    )
    image.save(tmp_path / "large.png", exif=exif_turned(turned), compress_level=1)
    ended = subprocess.run(
        [sys.executable, "-c", PEAK, tmp_path / "large.png"], capture_output=True, text=True
    )
    assert 3 < float(ended.stdout) < 9, ended.stderr  # 1 for buffers, of 12 million pixels


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
    """A PNG of a few bytes that says it has one row of pixels more than is read."""
    header = struct.pack(">IIBBBBB", 2**13, pictures.MOST_PIXELS // 2**13 + 1, 8, 2, 0, 0, 0)
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
        # Pillow would have Ghostscript run it, which would never end.
        (lambda _: b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\n{} loop\n", False),
    ],
    ids=["zero bytes", "html", "decompression bomb", "truncated", "signature alone", "mpeg", "postscript"],
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
