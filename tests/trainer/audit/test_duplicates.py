"""Which files show the same picture."""

import io
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from trainer.audit.duplicates import RADIUS, close_pairs, look_alike_groups, looking_like
from trainer.audit.findings import Inspection
from trainer.audit.inspection import inspect_files

DATA = Path(__file__).parents[3].parent / "shared" / "data"


def resized(picture: Image.Image, width: int, height: int) -> Image.Image:
    return picture.resize((width, height), Image.Resampling.BICUBIC)


# What becomes of a picture on its way through the web; (name, options of save) beside it.
SAVED_ANEW = {
    "png": ("a.png", {}, lambda picture: picture),
    "jpeg of low quality": ("a.jpg", {"quality": 30}, lambda picture: picture),
    "webp": ("a.webp", {"quality": 60}, lambda picture: picture),
    "palette": ("a.gif", {}, lambda picture: picture.quantize(64, Image.Quantize.FASTOCTREE)),
    "grey": ("a.jpg", {}, lambda picture: picture.convert("L")),
    "cmyk": ("a.jpg", {"quality": 90}, lambda picture: picture.convert("CMYK")),
    "half": ("a.jpg", {}, lambda picture: resized(picture, picture.width // 2, picture.height // 2)),
    "larger": (
        "a.jpg",
        {},
        lambda picture: resized(picture, picture.width * 3 // 2, picture.height * 3 // 2),
    ),
    "a square": ("a.jpg", {}, lambda picture: resized(picture, 224, 224)),
    "a square, not smoothed": (
        "a.png",
        {},
        lambda picture: picture.resize((128, 128), Image.Resampling.NEAREST),
    ),
}


@pytest.mark.parametrize("name, options, change", SAVED_ANEW.values(), ids=SAVED_ANEW)
def test_finds_a_picture_saved_anew(save, scene, name, options, change):
    originals = [save(f"{seed}.png", scene(seed, (240, 320))) for seed in range(8)]
    doubles = [save(f"{seed}_{name}", change(scene(seed, (240, 320))), **options) for seed in range(8)]
    groups = look_alike_groups(inspect_files(originals + doubles))
    assert groups == [[n, n + 8] for n in range(8)]


def test_finds_those_of_many_that_look_like_one(save, scene):
    names = [save(f"{seed}.png", scene(seed % 3)) for seed in range(6)]
    flat = save("flat.png", Image.new("RGB", (160, 120), "red"))
    inspections = inspect_files(names)
    hashes = np.array([inspection.perceptual_hash for inspection in inspections], np.uint64)
    thumbnails = np.stack([np.frombuffer(inspection.thumbnail, np.uint8) for inspection in inspections])
    double, other, featureless = inspect_files(
        [save("double.jpg", scene(1), quality=60), save("other.png", scene(9)), flat]
    )
    assert looking_like(double, hashes, thumbnails) == [1, 4]
    assert looking_like(other, hashes, thumbnails) == looking_like(featureless, hashes, thumbnails) == []
    assert looking_like(double, hashes[:0], thumbnails[:0]) == []


@pytest.mark.slow
@pytest.mark.skipif(not DATA.is_dir(), reason="the real pictures are not here")
@pytest.mark.parametrize("name, options, change", SAVED_ANEW.values(), ids=SAVED_ANEW)
def test_finds_photographs_saved_anew(save, name, options, change):
    originals = sorted((DATA / "flowers5").glob("*/*.jpg"))[::20]
    assert len(originals) == 15
    doubles = []
    for number, path in enumerate(originals):
        with Image.open(path) as picture:
            doubles.append(save(f"{number}_{name}", change(picture.convert("RGB")), **options))
    groups = look_alike_groups(inspect_files([*originals, *doubles]))
    assert groups == [[n, n + len(originals)] for n in range(len(originals))]


@pytest.mark.slow
@pytest.mark.skipif(not DATA.is_dir(), reason="the real pictures are not here")
def test_takes_no_two_photographs_for_one():
    paths = [
        path for folder in ("flowers5", "dog_breeds/train") for path in sorted((DATA / folder).rglob("*.jpg"))
    ]
    paths += sorted((DATA / "mnist_digits" / "validation").rglob("*.png"))
    assert len(paths) > 1000
    assert look_alike_groups(inspect_files(paths)) == []


@pytest.mark.slow
def test_takes_no_two_rendered_parts_for_one(parts):
    """Plain backgrounds, the same six outlines: their pHashes alone come within RADIUS."""
    inspections = inspect_files(sorted(path for path in parts.rglob("*") if path.is_file()))
    known = [i.perceptual_hash for i in inspections if i.perceptual_hash is not None]
    assert len(known) > 100
    assert look_alike_groups(inspections) == []


def test_small_and_flat_pictures_are_the_same_only_by_their_pixels(save, scene):
    paths = [
        save("a.png", scene(1, (28, 28))),
        save("b.png", scene(1, (28, 28))),
        save("c.png", scene(1, (28, 28)).point(lambda level: min(255, level + 1))),
        save("white.png", Image.new("RGB", (200, 200), "white")),
        save("white.bmp", Image.new("RGB", (200, 200), "white")),
        save("white_again.png", Image.new("RGB", (200, 201), "white")),
        save("grey.png", Image.new("RGB", (200, 200), "grey")),
        save("cut.png", b"\x89PNG\r\n\x1a\n"),
        save("cut_too.png", b"\x89PNG\r\n\x1a\n"),
    ]
    assert look_alike_groups(inspect_files(paths)) == [[0, 1], [3, 4]]


def inspection(number: int, perceptual_hash: int | None, pixels: str = "") -> Inspection:
    thumbnail = bytes(range(256)) if perceptual_hash is not None else b""
    return Inspection(
        Path(f"{number}.png"), True, (), "", pixels or str(number), perceptual_hash, (64, 64), thumbnail
    )


def test_a_chain_is_not_one_group():
    """Each is close to the next, and the last is all but the first's opposite."""
    chain = [inspection(n, (1 << 2 * n) - 1) for n in range(31)]
    groups = look_alike_groups(chain)
    assert max(map(len, groups)) <= 2 * (RADIUS // 2) + 1
    for group in groups:
        assert max(group) - min(group) <= RADIUS


def test_close_hashes_of_unlike_thumbnails_are_two_pictures(scene):
    left, right = inspection(0, 5), inspection(1, 5)
    right = Inspection(*(list(vars(right).values())[:-1]), thumbnail=bytes(reversed(range(256))))
    assert look_alike_groups([left, right]) == []
    assert look_alike_groups([left, inspection(1, 5)]) == [[0, 1]]


@pytest.mark.parametrize(
    "inspections", [[], [inspection(0, None)], [inspection(0, 7)]], ids=["none", "flat", "one"]
)
def test_few_files_have_no_groups(inspections):
    assert look_alike_groups(inspections) == []


@given(
    st.lists(st.integers(0, 2**64 - 1), min_size=1, max_size=6),
    st.lists(st.tuples(st.integers(0, 5), st.sets(st.integers(0, 63), max_size=6)), max_size=30),
)
def test_pairs_are_those_of_comparing_all(seeds, changes):
    numbers = [seeds[i % len(seeds)] ^ sum(1 << bit for bit in bits) for i, bits in changes]
    expected = [
        [i, j]
        for i in range(len(numbers))
        for j in range(i + 1, len(numbers))
        if (numbers[i] ^ numbers[j]).bit_count() <= RADIUS
    ]
    assert close_pairs(np.array(numbers, np.uint64)).tolist() == expected


def test_a_hundred_thousand_pictures_take_seconds():
    draw = np.random.default_rng(0)
    hashes = draw.integers(0, 2**63, 100_000, dtype=np.uint64)
    hashes[50_000:50_100] = hashes[:100] ^ np.uint64(0b1001)
    started = time.process_time()
    pairs = close_pairs(hashes)
    assert time.process_time() - started < 20  # about 1 s; comparing all with all takes minutes
    assert pairs.tolist() == [[n, n + 50_000] for n in range(100)]


def test_many_copies_are_not_compared_with_each_other():
    started = time.process_time()
    copies = [inspection(n, 12345, "same") for n in range(20_000)]
    assert [len(group) for group in look_alike_groups(copies)] == [20_000]
    assert time.process_time() - started < 10


def test_jpeg_noise_does_not_hide_equal_pixels(save, scene):
    """The same pixels under two formats are equal, whatever the bytes."""
    picture = Image.open(io.BytesIO(save("a.jpg", scene(3)).read_bytes()))
    groups = look_alike_groups(
        inspect_files([save("a.png", picture), save("a.bmp", picture), save("b.png", scene(4))])
    )
    assert groups == [[0, 1]]
