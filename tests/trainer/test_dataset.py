import hashlib
import shutil
from collections import Counter

import numpy as np
import pytest
from PIL import Image

from edge_runtime.errors import DataError, PictureError
from trainer.config import Selection
from trainer.dataset import find_dataset as find
from trainer.dataset import load_arrays


def find_dataset(folder, seed=0, **selection):
    return find(Selection(str(folder), seed=seed, **selection))


def add_pictures(folder, count, size=(40, 30)):
    """Pictures that differ from each other and from those of other folders."""
    folder.mkdir(parents=True, exist_ok=True)
    red, green = hashlib.sha256(str(folder).encode()).digest()[:2]
    for number in range(count):
        Image.new("RGB", size, (red, green, number)).save(folder / f"{number:03}.png")


@pytest.fixture
def unsplit(tmp_path):
    add_pictures(tmp_path / "data" / "cat", 20)
    add_pictures(tmp_path / "data" / "dog", 10)
    return tmp_path / "data"


@pytest.fixture
def split(tmp_path):
    for part, count in (("train", 5), ("validation", 3), ("test", 2)):
        for label in ("cat", "dog"):
            add_pictures(tmp_path / "data" / part / label, count)
    return tmp_path / "data"


def counts(dataset):
    return {
        name: Counter(dataset.labels[p.class_id] for p in pictures)
        for name, pictures in dataset.splits.items()
    }


def names(dataset):
    return {
        split: [picture.path.relative_to(dataset.folder).as_posix() for picture in pictures]
        for split, pictures in dataset.splits.items()
    }


def test_an_unsplit_folder_is_split_by_class(unsplit):
    dataset = find_dataset(unsplit, seed=0)
    assert dataset.labels == ("cat", "dog")
    assert counts(dataset) == {
        "train": {"cat": 14, "dog": 6},
        "validation": {"cat": 3, "dog": 2},
        "test": {"cat": 3, "dog": 2},
    }
    every = [picture.path for pictures in dataset.splits.values() for picture in pictures]
    assert len(every) == len(set(every)) == 30


def test_the_split_is_the_same_for_a_seed_wherever_the_folder_lies(unsplit, tmp_path):
    elsewhere = shutil.copytree(unsplit, tmp_path / "elsewhere")
    first, second, other = find_dataset(unsplit, 3), find_dataset(elsewhere, 3), find_dataset(unsplit, 4)

    assert names(first) == names(second) != names(other)
    assert first.fingerprint == second.fingerprint != other.fingerprint


def test_the_fingerprint_follows_the_contents(unsplit):
    before = find_dataset(unsplit, 0).fingerprint
    Image.new("RGB", (40, 30)).save(unsplit / "cat" / "000.png")
    assert find_dataset(unsplit, 0).fingerprint != before


def test_a_split_folder_is_taken_as_it_is(split):
    assert counts(find_dataset(split, 0)) == {
        "train": {"cat": 5, "dog": 5},
        "validation": {"cat": 3, "dog": 3},
        "test": {"cat": 2, "dog": 2},
    }


def test_a_split_folder_may_have_no_test(split):
    shutil.rmtree(split / "test")
    dataset = find_dataset(split, 0)
    assert set(dataset.splits) == {"train", "validation"}


def test_without_validation_a_part_of_train_is_held_back(split):
    shutil.rmtree(split / "validation")
    assert counts(find_dataset(split, 0)) == {
        "train": {"cat": 4, "dog": 4},
        "validation": {"cat": 1, "dog": 1},
        "test": {"cat": 2, "dog": 2},
    }


def test_the_fractions_are_those_asked_for(unsplit):
    dataset = find_dataset(unsplit, validation_fraction=0.5, test_fraction=0.0)
    assert counts(dataset) == {"train": {"cat": 10, "dog": 5}, "validation": {"cat": 10, "dog": 5}}


def test_a_class_too_small_for_every_split_is_trained_on_first(unsplit):
    add_pictures(unsplit / "emu", 2)
    add_pictures(unsplit / "gnu", 1)
    found = counts(find_dataset(unsplit))
    assert [found[split].get("emu", 0) for split in ("train", "validation", "test")] == [1, 1, 0]
    assert [found[split].get("gnu", 0) for split in ("train", "validation", "test")] == [1, 0, 0]


def test_the_same_picture_twice_never_lies_in_two_splits(unsplit):
    for number in range(20):
        shutil.copy(unsplit / "cat" / f"{number:03}.png", unsplit / "cat" / f"copy of {number:03}.png")
    for seed in range(5):
        dataset = find_dataset(unsplit, seed)
        assert not dataset.audit.of("leakage") and len(dataset.audit.of("exact-duplicate")) == 20
        for pictures in dataset.splits.values():
            contents = Counter(p.path.read_bytes() for p in pictures if dataset.labels[p.class_id] == "cat")
            assert set(contents.values()) == {2}


def test_classes_and_limit_take_a_part(split):
    add_pictures(split / "train" / "emu", 4)
    for part in ("validation", "test"):
        add_pictures(split / part / "emu", 2)
    dataset = find_dataset(split, classes=("emu", "cat"), limit=3)
    assert counts(dataset) == {
        "train": {"cat": 3, "emu": 3},
        "validation": {"cat": 3, "emu": 2},
        "test": {"cat": 2, "emu": 2},
    }
    assert names(dataset) == names(find_dataset(split, classes=("emu", "cat"), limit=3))
    with pytest.raises(DataError, match="has no class 'cow', it has cat, dog, emu"):
        find_dataset(split, classes=("cow", "cat"))


def test_a_class_may_be_called_train(tmp_path):
    for label in ("bus", "plane", "train"):
        add_pictures(tmp_path / label, 4)
    assert find_dataset(tmp_path, 0).labels == ("bus", "plane", "train")


def test_what_is_no_picture_is_skipped_and_named_and_hidden_files_are_not_looked_at(unsplit):
    (unsplit / "cat" / "notes.txt").write_text("a cat")
    (unsplit / "dog" / "broken.jpg").write_bytes(b"\xff\xd8\xff")
    (unsplit / "dog" / ".DS_Store").write_bytes(b"x")
    dataset = find_dataset(unsplit, 0)
    assert {path.name for finding in dataset.skipped for path in finding.paths} == {"notes.txt", "broken.jpg"}
    assert all(str(finding.paths[0]) in finding.detail for finding in dataset.skipped)


def build(root, layout):
    for name, count in layout.items():
        (root / name).mkdir(parents=True)
        add_pictures(root / name, count)


@pytest.mark.parametrize(
    "layout, says",
    [
        ({}, "no class folders"),
        ({"cat": 5}, "1 class (cat), expected at least 2"),
        ({"cat": 5, "do\ng": 5}, "cannot be printed"),
        ({"cat": 5, "dog": 0}, "dog has no readable picture"),
        ({"cat": 1, "dog": 1}, "no class has two different readable ones"),
        ({"cat": 5, "Cat": 5}, "'Cat' and 'cat', which differ only in case"),
        ({"train/cat": 3, "train/dog": 3, "validation/cat": 3}, "validation/dog has no readable picture"),
        ({"train/cat": 3, "train/dog": 3, "val/cat": 3, "val/dog": 3}, "val: expected the name validation"),
        ({"training/cat": 3, "validation/cat": 3}, "expected train beside validation"),
    ],
)
def test_a_folder_that_cannot_be_used_is_an_instruction(tmp_path, layout, says):
    build(tmp_path, layout)
    with pytest.raises(DataError) as caught:
        find_dataset(tmp_path, 0)
    assert says in str(caught.value)
    assert caught.value.hint


@pytest.mark.parametrize("name, says", [("absent", "is not there"), ("file", "is a file")])
def test_what_is_no_folder_is_an_instruction(tmp_path, name, says):
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match=says):
        find_dataset(tmp_path / name, 0)


def test_pictures_are_read_as_the_device_reads_them(unsplit):
    from edge_runtime.pictures import read_picture
    from edge_runtime.preprocessing import resize

    pictures = find_dataset(unsplit).splits["train"]
    arrays, class_ids = load_arrays(pictures, (32, 32))
    assert arrays.shape == (20, 32, 32, 3) and arrays.dtype == np.uint8
    np.testing.assert_array_equal(class_ids, [picture.class_id for picture in pictures])
    np.testing.assert_array_equal(arrays[5], resize(read_picture(pictures[5].path), (32, 32)))


def test_a_picture_that_went_away_is_an_instruction(unsplit):
    pictures = find_dataset(unsplit, 0).splits["train"]
    pictures[3].path.unlink()
    with pytest.raises(PictureError, match=pictures[3].path.name):
        load_arrays(pictures, (32, 32))
