import numpy as np
import pytest
from PIL import Image

from benchmarks.measuring.frame import FRAME_SIZE
from benchmarks.measuring.pictures import find_pictures
from benchmarks.peers.runtimes.camera_frames import write_frames
from edge_runtime.errors import DataError

LABELS = ("blue", "green", "red")


@pytest.fixture
def folder(tmp_path, coloured):
    """Five pictures of each class: wide, high, small; the first of each cannot be read."""
    for label in LABELS:
        (tmp_path / "data" / label).mkdir(parents=True)
        (tmp_path / "data" / label / "0.png").write_bytes(b"no picture")
        for number, size in enumerate([(48, 64), (100, 30), (30, 200), (900, 1200)], 1):
            Image.fromarray(coloured(label, size)).save(tmp_path / "data" / label / f"{number}.png")
    return tmp_path / "data"


def test_pictures_of_any_shape_are_frames_with_their_labels(folder, tmp_path, coloured):
    labels = write_frames(find_pictures(folder, LABELS), 100, tmp_path / "frames.npy")
    frames = np.load(tmp_path / "frames.npy")
    assert labels == [label for label in LABELS for _ in range(4)]
    assert frames.shape[1:] == (*FRAME_SIZE, 3) and frames.dtype == np.uint8
    for frame, label in zip(frames, labels, strict=False):
        np.testing.assert_array_equal(frame, coloured(label, FRAME_SIZE))


def test_the_middle_of_a_wide_picture_is_seen(tmp_path):
    """As a camera would see it: 4:3 of the middle, not squeezed."""
    picture = np.zeros((48, 128, 3), np.uint8)
    picture[:, 32:96] = 255
    (tmp_path / "data" / "a").mkdir(parents=True)
    Image.fromarray(picture).save(tmp_path / "data" / "a" / "a.png")
    write_frames(find_pictures(tmp_path / "data", ("a",)), 1, tmp_path / "frames.npy")
    (frame,) = np.load(tmp_path / "frames.npy")
    assert frame[:, 10:-10].min() > 240


@pytest.mark.parametrize("limit", [3, 6, 7])
def test_a_limit_takes_from_all_classes(folder, tmp_path, limit):
    for label in LABELS:
        (folder / label / "0.png").unlink()
    labels = write_frames(find_pictures(folder, LABELS), limit, tmp_path / "frames.npy")
    assert len(labels) == limit and set(labels) == set(LABELS)


def test_nothing_readable_is_an_error(folder, tmp_path):
    for path in folder.glob("*/[1-9].png"):
        path.unlink()
    with pytest.raises(DataError, match="none of 3 files in .* is a readable picture"):
        write_frames(find_pictures(folder, LABELS), 100, tmp_path / "frames.npy")
