import csv

import numpy as np
import pytest

from edge_runtime.rendering import (
    CLASSES,
    PICTURE_SIZE,
    render_picture,
    render_video,
    write_pictures,
    write_video,
)


@pytest.mark.parametrize("label", CLASSES)
def test_a_seed_draws_the_same_picture_and_another_seed_another(label):
    first, again, other = (render_picture(label, np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert first.shape == (*PICTURE_SIZE, 3) and first.dtype == np.uint8
    np.testing.assert_array_equal(first, again)
    assert (first != other).mean() > 0.5


def test_classes_are_sorted_as_folders_are_read():
    assert list(CLASSES) == sorted(CLASSES)


def test_pictures_are_written_split_and_by_class(tmp_path):
    counts = {"train": 3, "test": 2}
    write_pictures(tmp_path, counts, seed=0)
    for split, count in counts.items():
        for label in CLASSES:
            assert len(list((tmp_path / split / label).glob("*.jpg"))) == count


def test_a_video_shows_each_part_whole_at_least_once_and_begins_empty():
    labels = [label for _, label in render_video(seed=2, parts=len(CLASSES))]
    assert set(labels) == {*CLASSES, ""}
    assert labels[0] == "empty_belt"


def test_a_video_is_written_with_its_labels(tmp_path):
    cv2 = pytest.importorskip("cv2")
    labels = write_video(tmp_path / "belt.avi", seed=2, parts=2)
    with labels.open(newline="") as file:
        rows = list(csv.DictReader(file))
    capture = cv2.VideoCapture(str(tmp_path / "belt.avi"))
    frames, (read, frame) = 0, capture.read()
    first = frame
    while read:
        frames += 1
        read, frame = capture.read()
    assert frames == len(rows) and [row["frame"] for row in rows] == [str(n) for n in range(frames)]
    drawn, _ = next(iter(render_video(seed=2, parts=2)))
    # RGB was written as BGR and compressed: the colours must be those that were drawn, not swapped.
    assert np.abs(first[..., ::-1].mean((0, 1)) - drawn.mean((0, 1))).max() < 3


def test_a_video_that_cannot_be_written_is_an_error(tmp_path):
    pytest.importorskip("cv2")
    with pytest.raises(OSError, match="cannot write"):
        write_video(tmp_path / "absent" / "belt.avi", seed=0, parts=1)
