"""What a source is told by its name and content."""

import numpy as np
import pytest
from PIL import Image

from edge_runtime.errors import DataError
from trainer.sources.open_source import open_source


@pytest.mark.slow
def test_the_digits_of_scikit_learn(cache):
    datasets = pytest.importorskip("sklearn.datasets")
    source = open_source("sklearn:digits")
    assert len(source.files) == 1797 and sorted({f.label for f in source.files}) == list("0123456789")
    assert {file.split for file in source.files} == {""} and source.folder.parent == cache / "data"
    digits = datasets.load_digits()
    for file in source.files[::100]:
        number = int(file.path.stem)
        assert file.label == str(digits.target[number])
        with Image.open(file.path) as image:
            np.testing.assert_allclose(np.asarray(image) / 255 * 16, digits.images[number], atol=0.04)
    assert open_source("sklearn:digits") == source


@pytest.mark.parametrize(
    "spec, says",
    [
        ("sklearn:iris", "scikit-learn brings digits"),
        ("nowhere", "nowhere is not there, expected a folder of pictures"),
        ("nowhere/*.tfrecord", "fits 0 files and no TFRecord shard"),
        ("ftp://example.org/a.zip", "is not there"),
        ("x" * 5000, "cannot read"),
    ],
)
def test_what_is_not_there_is_an_instruction(spec, says):
    with pytest.raises(DataError) as caught:
        open_source(spec)
    assert says in str(caught.value) and caught.value.hint


def test_a_pattern_of_files_that_are_no_shards_is_an_instruction(tmp_path, build):
    build(tmp_path, "a.png", "b.png")
    with pytest.raises(DataError, match="fits 2 files and no TFRecord shard"):
        open_source(f"{tmp_path}/*.png")


def test_a_folder_with_the_characters_of_a_pattern_is_a_folder(tmp_path, build):
    folder = build(tmp_path / "set [1]*", "cat/0.png", "dog/0.png")
    assert len(open_source(str(folder)).files) == 2


def test_a_folder_in_the_home_folder(tmp_path, build, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    build(tmp_path / "pets", "cat/0.png", "dog/0.png")
    assert open_source("~/pets").folder == tmp_path / "pets"


def test_a_file_that_is_no_source_is_an_instruction(tmp_path, build):
    build(tmp_path, "a.png")
    with pytest.raises(DataError, match="is a file, expected a folder"):
        open_source(str(tmp_path / "a.png"))


def test_missing_shards_of_a_row_are_named(tmp_path):
    for number in (0, 1, 3):
        (tmp_path / f"train-{number:05}-of-00004").write_bytes(b"")
    with pytest.raises(DataError, match="has 3 of the 4 shards of train, absent is train-00002-of-00004"):
        open_source(str(tmp_path))
