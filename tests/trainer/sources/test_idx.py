"""MNIST's files, whole and in parts, packed and not, and damaged ones."""

import gzip
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from edge_runtime.errors import DataError
from trainer.sources import idx
from trainer.sources.open_source import open_source

MNIST = Path(__file__).parents[4] / "shared" / "data" / "mnist"
PICTURES = np.random.default_rng(0).integers(0, 256, (12, 28, 20), np.uint8)
LABELS = np.array([5, 0, 4, 1, 9, 2, 1, 3, 1, 4, 0, 9], np.uint8)


def idx_bytes(array):
    return bytes((0, 0, 8, array.ndim)) + np.array(array.shape, ">u4").tobytes() + array.tobytes()


def whole(folder):
    (folder / "train-images-idx3-ubyte").write_bytes(idx_bytes(PICTURES))


def packed(folder):
    (folder / "train-images-idx3-ubyte.gz").write_bytes(gzip.compress(idx_bytes(PICTURES)))


def both(folder):
    whole(folder)
    packed(folder)


def parts_with_headers(folder):
    for number in range(12):  # part10 comes after part9
        name = f"train-images-part{number}-idx3-ubyte.gz"
        (folder / name).write_bytes(gzip.compress(idx_bytes(PICTURES[number : number + 1])))


def cut_and_then_packed(folder):
    content = idx_bytes(PICTURES)
    for number, start in enumerate(range(0, len(content), 2000)):
        (folder / f"train-images-part{number}.gz").write_bytes(gzip.compress(content[start : start + 2000]))


def packed_and_then_cut(folder):
    content = gzip.compress(idx_bytes(PICTURES))
    for number, start in enumerate(range(0, len(content), 2000)):
        (folder / f"train-images-idx3-ubyte.gz.{number:03}").write_bytes(content[start : start + 2000])


@pytest.mark.parametrize(
    "write", [whole, packed, both, parts_with_headers, cut_and_then_packed, packed_and_then_cut]
)
def test_pictures_and_labels_whole_or_in_parts(tmp_path, listed, write, cache):
    write(tmp_path)
    (tmp_path / "train-labels-idx1-ubyte").write_bytes(idx_bytes(LABELS))
    (tmp_path / "README").write_text("digits")
    source = open_source(str(tmp_path))
    assert source.folder.parent == cache / "data"
    assert sorted(listed(source)) == sorted((f"{n}/{i:06}.png", str(n), "") for i, n in enumerate(LABELS))
    for file in source.files:
        with Image.open(file.path) as image:
            assert image.mode == "L"
            np.testing.assert_array_equal(np.asarray(image), PICTURES[int(file.path.stem)])


@pytest.mark.parametrize("test", ["t10k", "test"])
def test_two_sets_are_train_and_test(tmp_path, test, listed):
    for name, count in (("train", 12), (test, 4)):
        (tmp_path / f"{name}-images-idx3-ubyte").write_bytes(idx_bytes(PICTURES[:count]))
        (tmp_path / f"{name}-labels-idx1-ubyte").write_bytes(idx_bytes(LABELS[:count]))
    found = listed(open_source(str(tmp_path)))
    assert found == sorted(found)
    assert set(found) == {
        (f"{split}/{n}/{i:06}.png", str(n), split)
        for split, count in (("train", 12), ("test", 4))
        for i, n in enumerate(LABELS[:count])
    }


def test_it_is_unpacked_once_and_anew_if_the_files_changed(tmp_path, capsys):
    folder = tmp_path / "digits"
    folder.mkdir()
    whole(folder)
    (folder / "train-labels-idx1-ubyte").write_bytes(idx_bytes(LABELS))
    first = open_source(str(folder))
    assert "unpacked 12 pictures: " in capsys.readouterr().err
    assert open_source(str(folder)) == first
    assert capsys.readouterr().err == ""
    (folder / "train-labels-idx1-ubyte").write_bytes(idx_bytes(LABELS[::-1]))
    assert open_source(str(folder)).folder != first.folder


@pytest.mark.parametrize(
    "images, labels, says",
    [
        (None, idx_bytes(LABELS), "has no images of train, only train-labels-idx1-ubyte"),
        (idx_bytes(PICTURES), None, "has no labels of train"),
        (idx_bytes(PICTURES), idx_bytes(LABELS[:-1]), "12 pictures and .* 11 labels"),
        (idx_bytes(PICTURES)[:-1], idx_bytes(LABELS), "is cut: 6,719 bytes for 12 x 28 x 20, expected 6,720"),
        (idx_bytes(PICTURES) + b"\0", idx_bytes(LABELS), "is no idx file: it starts with 00,"),
        (idx_bytes(PICTURES)[:7], idx_bytes(LABELS), "is no idx file"),
        (b"", idx_bytes(LABELS), "starts with nothing"),
        (idx_bytes(LABELS), idx_bytes(PICTURES), "expected 00 00 08 03"),
        (b"\0\0\x0d\3" + idx_bytes(PICTURES)[4:], idx_bytes(LABELS), "starts with 00 00 0d 03"),
        (gzip.compress(idx_bytes(PICTURES))[:-9], idx_bytes(LABELS), "is cut or damaged"),
        (gzip.compress(idx_bytes(PICTURES))[:200] + b"\0" * 900, idx_bytes(LABELS), "is cut or damaged"),
        (b"<html>not found", idx_bytes(LABELS), "is no idx file"),
        (idx_bytes(PICTURES[:0]), idx_bytes(LABELS[:0]), "is cut: 0 bytes for 0 x 28 x 20"),
        (idx_bytes(PICTURES[:6]) + idx_bytes(PICTURES[6:, :5]), idx_bytes(LABELS), "different sizes"),
    ],
)
def test_a_damaged_file_is_an_instruction_and_leaves_nothing(tmp_path, cache, images, labels, says):
    folder = tmp_path / "digits"
    folder.mkdir()
    for name, content in (("train-images-idx3-ubyte", images), ("train-labels-idx1-ubyte", labels)):
        if content is not None:
            (folder / name).write_bytes(content)
    with pytest.raises(DataError, match=says) as caught:
        open_source(str(folder))
    assert caught.value.hint
    assert not cache.exists() or [path.name for path in (cache / "data").iterdir() if path.is_dir()] == []


@given(content=st.binary(max_size=64), dimensions=st.sampled_from([1, 3]), packed=st.booleans())
def test_any_bytes_are_an_array_or_an_instruction(tmp_path_factory, content, dimensions, packed):
    path = tmp_path_factory.mktemp("idx") / "train-images-idx3-ubyte"
    content = bytes((0, 0, 8, dimensions)) + content
    path.write_bytes(gzip.compress(content) if packed else content)
    try:
        array = idx._read([path], dimensions)
    except DataError as problem:
        assert problem.hint
    else:
        assert array.ndim == dimensions and len(array)


@given(st.data())
def test_parts_cut_anywhere_are_the_same_pictures(tmp_path_factory, data):
    folder = tmp_path_factory.mktemp("idx")
    content = idx_bytes(PICTURES)
    cuts = [0, *sorted(data.draw(st.lists(st.integers(0, len(content)), max_size=4))), len(content)]
    for number, (start, end) in enumerate(zip(cuts, cuts[1:], strict=False)):
        (folder / f"train-images-part{number}").write_bytes(content[start:end])
    parts = idx.idx_files(folder)["train", "images"]
    np.testing.assert_array_equal(idx._read(parts, 3), PICTURES)


@pytest.mark.skipif(not MNIST.is_dir(), reason=f"{MNIST} is not there")
def test_the_parts_of_mnist_are_joined():
    files = idx.idx_files(MNIST)
    assert [path.name[:18] for path in files["train", "images"]] == [
        f"train-images-part{n}" for n in range(4)
    ]
    pictures, labels = idx._read(files["train", "images"], 3), idx._read(files["train", "labels"], 1)
    assert pictures.shape == (60_000, 28, 28) and np.bincount(labels).tolist() == [
        5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949,
    ]  # fmt: skip
