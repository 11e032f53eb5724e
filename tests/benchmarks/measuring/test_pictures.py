import os
import re
import shutil
from itertools import islice

import pytest

from benchmarks.measuring.pictures import find_pictures, frames, measure_accuracy
from edge_runtime.classifier import Classifier
from edge_runtime.errors import DataError, SourceError

LABELS = ("blue", "green", "red")


@pytest.fixture
def data(labelled, tmp_path):
    return shutil.copytree(labelled, tmp_path / "colours")


def test_top_1_through_the_classifier(tiny, data):
    accuracy, size = measure_accuracy(Classifier(tiny, 1), find_pictures(data, LABELS))
    assert (accuracy.data, accuracy.split) == ("colours", "test")
    assert (accuracy.pictures, accuracy.correct, accuracy.top1) == (5, 4, 0.8)
    assert accuracy.skipped == ("test/green/broken.jpg", "test/red/notes.txt")
    assert size == (48, 64)


def test_pictures_are_read_as_the_device_reads_them(data):
    shapes = [frame.shape for frame in islice(frames(find_pictures(data, LABELS)), 2)]
    assert shapes == [(48, 64, 3), (30, 20, 3)], "the second is 30 wide and 20 high, and to be turned"


def test_frames_never_end_and_leave_out_what_cannot_be_read(data):
    colours = [tuple(frame[0, 0]) for frame in islice(frames(find_pictures(data, LABELS)), 12)]
    assert colours[:5] == colours[5:10] and colours[2] == (0, 255, 0)


@pytest.mark.parametrize(
    "splits, taken", [(("test", "validation", "train"), "test"), (("train", "validation"), "validation")]
)
def test_the_split_that_was_held_back_is_taken(data, splits, taken):
    for split in splits:
        if split != "test":
            shutil.copytree(data / "test", data / split, dirs_exist_ok=True)
    if "test" not in splits:
        shutil.rmtree(data / "test")
    if (data / "train" / "another").exists():
        (data / "train" / "another").rmdir()
    found = find_pictures(data, LABELS)
    assert found.split == taken and all(path.is_relative_to(data / taken) for path, _ in found.files)


def test_a_folder_of_class_folders(data):
    found = find_pictures(data / "test", LABELS)
    assert found.split == "" and len(found.files) == 7
    assert [label for _, label in found.files] == ["blue"] * 2 + ["green"] * 2 + ["red"] * 3


def test_a_class_may_be_called_test(data):
    labels = ("another", "test")
    (data / "train" / "another").rmdir()
    (data / "train").rename(data / "another")
    assert find_pictures(data, labels).split == ""


@pytest.mark.parametrize(
    "labels, words",
    [
        (("blue", "green", "rot"), ("'blue', 'green', 'red'", "'blue', 'green', 'rot'", "label for 'red'", "folder for 'rot'")),
        (("blue", "green"), ("no label for 'red'",)),
        ((*LABELS, "white"), ("no folder for 'white'",)),
    ],
)  # fmt: skip
def test_class_folders_that_are_not_the_models_labels_are_named_with_them(data, labels, words):
    with pytest.raises(DataError) as error:
        find_pictures(data, labels)
    for word in (str(data / "test"), *words):
        assert word in str(error.value)


def test_a_folder_without_any_class_folder(tmp_path):
    with pytest.raises(DataError, match="they are none, the model's labels 'blue', 'green', 'red'"):
        find_pictures(tmp_path, LABELS)


def test_what_is_no_folder(tiny, tmp_path):
    with pytest.raises(SourceError, match="is not there"):
        find_pictures(tmp_path / "absent", LABELS)
    with pytest.raises(DataError, match=f"{re.escape(str(tiny))} is a file"):
        find_pictures(tiny, LABELS)


def test_empty_class_folders(tmp_path):
    for label in LABELS:
        (tmp_path / label).mkdir()
    with pytest.raises(DataError, match="are empty"):
        find_pictures(tmp_path, LABELS)


def test_pictures_none_of_which_can_be_read(tiny, tmp_path):
    for label in LABELS:
        (tmp_path / label).mkdir()
        (tmp_path / label / "broken.jpg").write_bytes(b"\xff\xd8\xff\xe0 cut")
    pictures = find_pictures(tmp_path, LABELS)
    with pytest.raises(DataError, match="none of the 3 files"):
        next(frames(pictures))
    with pytest.raises(DataError, match="none of the 3 files"):
        measure_accuracy(Classifier(tiny, 1), pictures)


def test_a_pipe_is_no_picture(data):
    os.mkfifo(data / "test" / "blue" / "pipe.png")
    assert "pipe.png" not in {path.name for path, _ in find_pictures(data, LABELS).files}
