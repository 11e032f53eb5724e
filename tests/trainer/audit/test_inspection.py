"""What the audit says of single files."""

import csv
import hashlib
import io
import os
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from edge_runtime.errors import PictureError
from edge_runtime.pictures import MOST_PIXELS, read_picture
from trainer.audit.findings import SKIPPED_KINDS
from trainer.audit.inspection import inspect_content, inspect_file, inspect_files

ODD = Path(__file__).parents[3].parent / "shared" / "data" / "odd"


def encoded(image: Image.Image, file_format: str, **options) -> bytes:
    file = io.BytesIO()
    image.save(file, file_format, **options)
    return file.getvalue()


def cut(content: bytes) -> bytes:
    return content[: len(content) // 2]


def turned(orientation: int) -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = orientation
    return exif


def png_claiming(width: int, height: int) -> bytes:
    header = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    data = b"IDAT" + zlib.compress(b"")
    chunks = (struct.pack(">I", len(c) - 4) + c + struct.pack(">I", zlib.crc32(c)) for c in (header, data))
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


def tiff_claiming(width: int, height: int) -> bytes:
    tags = [
        (256, 4, 1, width),
        (257, 4, 1, height),
        (258, 3, 1, 8),
        (259, 3, 1, 1),
        (262, 3, 1, 1),
        (273, 4, 1, 8),
    ]
    return (
        b"II*\0"
        + struct.pack("<IH", 8, len(tags))
        + b"".join(struct.pack("<HHII", *tag) for tag in tags)
        + bytes(4)
    )


def icon_with(picture: bytes) -> bytes:
    """Says it is 16 x 16, and holds a PNG of any size."""
    return (
        struct.pack("<HHH", 0, 1, 1)
        + struct.pack("<BBBBHHII", 16, 16, 0, 0, 1, 32, len(picture), 22)
        + picture
    )


def rgb16_tiff() -> bytes:
    """10 x 10 pixels; Pillow reads such files and cannot write them."""
    pixels = np.full((10, 10, 3), 0x80FF, "<u2").tobytes()
    tags = [
        (256, 3, 1, 10), (257, 3, 1, 10), (258, 3, 3, 8 + 2 + 10 * 12 + 4), (259, 3, 1, 1), (262, 3, 1, 2),
        (273, 4, 1, 8 + 2 + 10 * 12 + 4 + 6), (277, 3, 1, 3), (278, 3, 1, 10), (279, 4, 1, len(pixels)),
        (284, 3, 1, 1),
    ]  # fmt: skip
    directory = struct.pack("<H", len(tags)) + b"".join(struct.pack("<HHII", *tag) for tag in tags) + bytes(4)
    return b"II*\0" + struct.pack("<I", 8) + directory + struct.pack("<HHH", 16, 16, 16) + pixels


def grey16() -> Image.Image:
    return Image.fromarray(np.full((9, 9), 0x80FF, np.uint16))


def two_frames(file_format: str, **options) -> bytes:
    red, blue = Image.new("RGB", (20, 20), "red"), Image.new("RGB", (20, 20), "blue")
    return encoded(red, file_format, save_all=True, append_images=[blue], **options)


PLAIN = Image.new("RGB", (20, 20), "blue")


@pytest.mark.parametrize(
    "name, content, kinds",
    [
        ("a.jpg", encoded(PLAIN, "JPEG"), []),
        ("a.JPEG", encoded(PLAIN, "JPEG"), []),
        ("a.mpo", encoded(PLAIN, "JPEG"), []),
        ("no_extension", encoded(PLAIN, "JPEG"), []),
        ("photo.2024", encoded(PLAIN, "JPEG"), []),
        ("a.png", encoded(Image.new("L", (8, 8)), "PNG"), []),
        ("stereo.jpg", two_frames("MPO"), []),
        ("a.png", encoded(PLAIN, "JPEG"), ["wrong-extension"]),
        ("a.jpg", encoded(PLAIN, "WEBP"), ["wrong-extension"]),
        ("a.gif", two_frames("GIF"), ["animated"]),
        ("a.png", two_frames("PNG"), ["animated"]),
        ("a.webp", two_frames("WEBP"), ["animated"]),
        ("a.tif", two_frames("TIFF"), ["animated"]),
        ("a.jpg", encoded(PLAIN.convert("CMYK"), "JPEG"), ["cmyk"]),
        ("a.tif", encoded(PLAIN.convert("CMYK"), "TIFF"), ["cmyk"]),
        ("a.png", encoded(grey16(), "PNG"), ["16-bit"]),
        ("a.tif", encoded(grey16(), "TIFF"), ["16-bit"]),
        ("a.tif", rgb16_tiff(), ["16-bit"]),
        ("a.ppm", b"P6 9 9 65535\n" + bytes(9 * 9 * 6), ["16-bit"]),
        ("a.jpg", encoded(PLAIN, "JPEG", exif=turned(1)), []),
        ("a.jpg", encoded(PLAIN, "JPEG", exif=turned(6)), ["exif-rotated"]),
        ("a.webp", encoded(PLAIN, "WEBP", exif=turned(3)), ["exif-rotated"]),
        ("a.tif", encoded(PLAIN, "TIFF", exif=turned(8)), ["exif-rotated"]),
        ("a.jpg", two_frames("PNG", exif=turned(8)), ["wrong-extension", "animated", "exif-rotated"]),
        ("a.jpg", b"", ["zero-bytes"]),
        ("a.jpg", b"<!DOCTYPE html>", ["unreadable"]),
        ("a.jpg", b"version https://git-lfs.github.com/spec/v1\n", ["unreadable"]),
        ("a.jpg", b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 20 20\n%%EndComments\n{} loop\n", ["unreadable"]),
        ("a.jpg", cut(encoded(PLAIN, "JPEG")), ["truncated"]),
        ("a.png", cut(encoded(PLAIN, "PNG")), ["truncated"]),
        ("a.webp", cut(encoded(PLAIN, "WEBP")), ["truncated"]),
        ("a.gif", encoded(PLAIN, "GIF")[:-20], ["truncated"]),
        ("a.bmp", cut(encoded(PLAIN, "BMP")), ["truncated"]),
        ("a.tif", cut(encoded(Image.effect_noise((64, 64), 90), "TIFF", compression="tiff_lzw")), ["truncated"]),
        ("a.png", png_claiming(8192, 8193), ["bomb"]),
        ("a.png", png_claiming(8192, 8192), ["truncated"]),
        ("a.tif", tiff_claiming(100_000, 100_000), ["bomb"]),
        ("a.ico", icon_with(png_claiming(8192, 8193)), ["bomb"]),
        ("a.png", encoded(Image.new("L", (1, 1)), "PNG"), ["too-small"]),
        ("a.png", encoded(Image.new("L", (8000, 7)), "PNG"), ["too-small"]),
    ],
    ids=lambda value: ",".join(value) or "nothing" if isinstance(value, list) else "" if isinstance(value, bytes) else value,
)  # fmt: skip
def test_says_what_a_file_is(save, name, content, kinds):
    path = save(name, content)
    inspection = inspect_file(path)
    assert inspect_content(path, content) == inspection, "before it is a file"
    assert [finding.kind for finding in inspection.findings] == kinds
    assert inspection.usable is not bool(set(kinds) & set(SKIPPED_KINDS))
    assert inspection.sha256 == hashlib.sha256(content).hexdigest()
    assert all(str(path) in finding.detail and finding.paths == (path,) for finding in inspection.findings)
    assert bool(inspection.pixels_sha256) is (inspection.size is not None) is inspection.usable


def test_a_bomb_is_one_pixel_above_the_most():
    assert MOST_PIXELS == 8192 * 8192


def test_what_cannot_be_opened(tmp_path):
    os.mkfifo(tmp_path / "pipe.jpg")  # reading it would wait for ever
    (tmp_path / "gone.jpg").symlink_to(tmp_path / "nowhere")
    (tmp_path / "folder.jpg").mkdir()
    for name, says in (
        ("pipe.jpg", "no regular file"),
        ("gone.jpg", "No such file"),
        ("folder.jpg", "no regular file"),
    ):
        (finding,) = inspect_file(tmp_path / name).findings
        assert finding.kind == "unreadable" and says in finding.detail and name in finding.detail


def test_a_file_too_large_to_be_a_picture_is_not_read(tmp_path):
    with (tmp_path / "video.jpg").open("wb") as file:
        file.truncate(9 * MOST_PIXELS)  # a hole: takes no disk
    inspection = inspect_file(tmp_path / "video.jpg")
    assert [finding.kind for finding in inspection.findings] == ["bomb"] and inspection.sha256 == ""


def test_only_the_first_frame_need_be_whole(save):
    frames = [Image.effect_noise((64, 64), 90) for _ in range(3)]
    content = encoded(frames[0], "GIF", save_all=True, append_images=frames[1:])
    inspection = inspect_file(save("a.gif", content[: len(content) * 2 // 3]))
    assert (
        inspection.usable and inspection.pixels_sha256 == inspect_file(save("b.gif", content)).pixels_sha256
    )


def test_keeps_what_the_device_would_read(save, scene):
    paths = [save(f"{n}.jpg", scene(n, (30 + n, 50)), exif=turned(1 + n % 8)) for n in range(20)]
    paths.insert(7, save("cut.jpg", cut(paths[0].read_bytes())))
    kept = {}
    inspections = inspect_files(paths, lambda number, rgb: kept.update({number: rgb}))
    assert [inspection.path for inspection in inspections] == paths
    assert sorted(kept) == [number for number in range(21) if number != 7]
    for number, rgb in kept.items():
        assert np.array_equal(rgb, read_picture(paths[number])) and rgb.dtype == np.uint8
        assert inspections[number].size == rgb.shape[:2]


def test_what_keep_raises_ends_the_inspection(save, scene):
    def full(number, rgb):
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space left"):
        inspect_files([save("a.png", scene(0))], full)


@pytest.mark.parametrize(
    "picture, known",
    [
        (lambda scene: scene(0, (64, 64)), True),
        (lambda scene: scene(0, (63, 200)), False),
        (lambda scene: Image.new("RGB", (200, 200), "white"), False),
        (lambda scene: scene(0).point(lambda level: 120 + level // 32), False),
    ],
    ids=["64 px", "63 px", "one colour", "almost one colour"],
)
def test_is_known_by_its_looks_where_there_is_something_to_see(save, scene, picture, known):
    inspection = inspect_file(save("a.png", picture(scene)))
    assert (inspection.perceptual_hash is not None) is (len(inspection.thumbnail) == 256) is known
    assert inspection.perceptual_hash is None or 0 <= inspection.perceptual_hash < 2**64


# What odd.csv, written by hand, lets one expect; the others are used without a remark.
EXPECTED = {
    "unreadable": {
        "broken.png", "broken_data_stream.png", "first_4k_zeroed_cat.jpg", "git_lfs_pointer.jpg",
        "html_not_found.jpg", "odd.csv", "unknown_compression_method.png", "zero_width.gif", "._cat.1.jpg", ".DS_Store",
    },
    "truncated": {
        "shortfile.bmp", "truncated_end_chunk.png", "truncated_half_cat.jpg", "truncated_image.png",
        "truncated_jpeg.jpg", "truncated_last_bytes_cat.jpg", "ultrahdr.jpg",
    },
    "zero-bytes": {"zero_bytes.jpg"},
    "bomb": {"decompression_bomb.gif", "png_decompression_dos.png"},
    "too-small": {"one_pixel.png", "orientation_rectangle.jpg", "very_thin_8000x3.png"},
    "wrong-extension": {"jpeg_named_png.png", "png_named_jpg.jpg", "webp_named_jpg.jpg"},
    "animated": {"apng_mode_16bit.png", "multipage.tiff", "chi.gif", "iss634.webp", "dispose_bgnd.gif"},
    "cmyk": {"pil_sample_cmyk.jpg", "cmyk_cat.jpg"},
    "16-bit": {
        "gray16_dog.png", "i_trns.png", "hopper_16bit.pgm", "12bit.cropped.tif", "tiff_16bit_RGB.tiff",
        "apng_mode_16bit.png",
    },
    "exif-rotated": {
        "Landscape_3.jpg", "Landscape_6.jpg", "Landscape_8.jpg", "Portrait_5.jpg", "Portrait_6.jpg",
        "hopper_orientation_6.jpg", "hopper_orientation_6.webp", "xmp_tags_orientation.png",
    },
}  # fmt: skip


@pytest.mark.skipif(not ODD.is_dir(), reason="the collection of odd pictures is not here")
def test_every_odd_file_is_what_its_csv_says():
    paths = sorted(ODD.iterdir())
    inspections = inspect_files(paths)
    found = {
        kind: {i.path.name for i in inspections for finding in i.findings if finding.kind == kind}
        for kind in EXPECTED
    }
    assert found == EXPECTED
    assert {finding.kind for i in inspections for finding in i.findings} == set(EXPECTED)
    with (ODD / "odd.csv").open(encoding="utf-8", newline="") as file:
        rows = {row["file"]: row for row in csv.DictReader(file)}
    for inspection in inspections:
        kinds = {finding.kind for finding in inspection.findings}
        assert inspection.usable is not bool(kinds & set(SKIPPED_KINDS))
        if row := rows.get(inspection.path.name):
            loads = row["pillow_open"] == row["pillow_load"] == "ok"
            assert inspection.usable is (loads and "too-small" not in kinds), inspection
            assert (
                not loads
                or "too-small" in kinds
                or ("exif-rotated" in kinds) is (row["exif_orientation"] in list("2345678"))
            )


@pytest.mark.skipif(not ODD.is_dir(), reason="the collection of odd pictures is not here")
def test_odd_pictures_are_kept_as_the_device_reads_them():
    paths, kept = sorted(ODD.iterdir()), {}
    inspections = inspect_files(paths, lambda number, rgb: kept.update({number: rgb}))
    for number, (path, inspection) in enumerate(zip(paths, inspections, strict=True)):
        if inspection.usable:
            assert np.array_equal(kept[number], read_picture(path)), path
        elif inspection.findings[0].kind != "too-small":
            with pytest.raises(PictureError):
                read_picture(path)
