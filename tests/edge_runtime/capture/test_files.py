import os
from pathlib import Path
from time import monotonic, time

import numpy as np
import pytest

from edge_runtime.capture.files import Folder, Picture, Video, check_path, open_path
from edge_runtime.errors import SourceError


class Refusals(list):
    """Gathers what a folder skipped; most tests want it to stay empty."""

    __call__ = list.append


def test_a_folder_gives_its_pictures_by_name(pictures, coloured):
    skipped = Refusals()
    with open_path(pictures, skipped) as source:
        frames = list(source)
    assert isinstance(source, Folder) and not skipped
    # Files of a folder before the folders in it.
    assert [Path(frame.source) for frame in frames] == [pictures / n for n in ("a.png", "c.png", "b/b.png")]
    assert [frame.number for frame in frames] == [0, 1, 2]
    for frame, label in zip(frames, ("blue", "red", "green"), strict=True):
        assert np.array_equal(frame.image, coloured(label))


def test_a_folder_names_what_it_skips(pictures):
    (pictures / "notes.txt").write_text("no picture")
    (pictures / "cut.png").write_bytes((pictures / "a.png").read_bytes()[:60])
    (pictures / "gone.png").symlink_to(pictures / "absent")
    os.mkfifo(pictures / "pipe.png")  # reading it would wait for ever
    skipped = Refusals()
    with open_path(pictures, skipped) as source:
        assert [frame.number for frame in source] == [0, 1, 2]
    names = ["cut.png", "gone.png", "notes.txt", "pipe.png"]
    assert [name for name, problem in zip(names, skipped, strict=True) if name not in str(problem)] == []


@pytest.mark.skipif(os.geteuid() == 0, reason="root may list every folder")
def test_a_folder_names_folders_it_may_not_list(pictures):
    (pictures / "b").chmod(0)
    skipped = Refusals()
    assert len(list(open_path(pictures, skipped))) == 2
    assert "cannot list the folder" in str(skipped[0])


@pytest.mark.parametrize("name", [None, "notes.txt", ".hidden.png"])
def test_a_folder_without_a_readable_picture_is_an_error(tmp_path, name):
    if name:
        (tmp_path / name).write_text("no picture")
    with (
        open_path(tmp_path, Refusals()) as source,
        pytest.raises(SourceError, match="holds no readable picture"),
    ):
        list(source)


def test_a_picture_is_one_frame(pictures, coloured):
    with open_path(pictures / "c.png", Refusals()) as source:
        (frame,) = source
    assert isinstance(source, Picture)
    assert (frame.source, frame.number) == (str(pictures / "c.png"), 0)
    assert np.array_equal(frame.image, coloured("red"))


def test_a_video_gives_rgb(video):
    with open_path(video, Refusals()) as source:
        frames = list(source)
    assert isinstance(source, Video)
    assert [(frame.source, frame.number) for frame in frames] == [(str(video), n) for n in range(5)]
    for frame in frames:
        assert frame.image.shape == (48, 64, 3) and frame.image.dtype == np.uint8
        # JPEG's colours are near, not equal; BGR would have 255 in the last channel.
        assert np.abs(frame.image.astype(int) - (255, 0, 0)).max() < 8


@pytest.mark.parametrize("name", ["video", "video.png", "video.txt"])
def test_content_not_name_makes_a_video(video, name):
    renamed = video.rename(video.with_name(name))
    with open_path(renamed, Refusals()) as source:
        assert isinstance(source, Video) and len(list(source)) == 5


@pytest.mark.parametrize("name", ["picture", "picture.avi", "0"])
def test_content_not_name_makes_a_picture(pictures, name):
    renamed = (pictures / "a.png").rename(pictures / name)
    with open_path(renamed, Refusals()) as source:
        assert isinstance(source, Picture) and len(list(source)) == 1


def test_a_video_is_released_when_its_block_is_left(video):
    def is_open() -> bool:
        return any(
            os.path.realpath(f"/proc/self/fd/{fd}") == str(video) for fd in os.listdir("/proc/self/fd")
        )

    with pytest.raises(KeyboardInterrupt), open_path(video, Refusals()) as source:
        next(iter(source))
        assert is_open()
        raise KeyboardInterrupt
    assert not is_open()


def garbage() -> bytes:
    return np.random.default_rng(0).bytes(3000)


@pytest.mark.parametrize(
    "content, message",
    [
        (garbage(), "is neither a picture nor a video"),
        (b"", "is neither a picture nor a video"),
        (b"<!DOCTYPE html><title>404</title>", "is neither a picture nor a video"),
        (b"just text\n" * 100, "is neither a picture nor a video"),
    ],
    ids=["garbage", "empty", "html", "text"],
)
def test_a_file_that_is_no_source_is_an_error(tmp_path, content, message):
    path = tmp_path / "file.jpg"
    path.write_bytes(content)
    with pytest.raises(SourceError, match=message) as caught, open_path(path, Refusals()) as source:
        list(source)
    assert str(path) in str(caught.value) and caught.value.hint


def test_a_cut_picture_is_no_video(pictures):
    path = pictures / "a.png"
    path.write_bytes(path.read_bytes()[:60])
    with (
        open_path(path, Refusals()) as source,
        pytest.raises(SourceError, match="a.png is no readable picture"),
    ):
        list(source)


def test_a_video_without_frames_is_an_error(video):
    video.write_bytes(video.read_bytes()[:1000])
    with pytest.raises(SourceError, match="nor a video"), open_path(video, Refusals()) as source:
        list(source)


@pytest.mark.parametrize("name, message", [("absent", "is not there"), ("x" * 300, "is not there")])
def test_a_missing_path_is_an_error(tmp_path, name, message):
    with pytest.raises(SourceError, match=message):
        check_path(tmp_path / name)


def test_a_mistyped_name_is_answered_with_the_near_one(pictures):
    with pytest.raises(SourceError, match="cc.png is not there") as caught:
        check_path(pictures / "cc.png")
    assert caught.value.hint == f"did you mean {pictures / 'c.png'}?"


def test_no_file_is_live(pictures, video):
    for path in (pictures, pictures / "a.png", video):
        with open_path(path, Refusals()) as source:
            assert source.live is False


def test_frames_say_when_they_were_read(pictures):
    with open_path(pictures, Refusals()) as source:
        before, frame, after = monotonic(), next(iter(source)), monotonic()
    assert before <= frame.captured_s <= after
    assert abs(frame.time - time()) < 60
