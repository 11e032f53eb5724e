"""`make demo` itself runs in .ci/run, before the tests; here is what it does when it cannot."""

import csv

import pytest

from litelens.demo import DemoError, _compare, _step


def test_a_folder_in_the_way_is_not_touched(litelens, tmp_path):
    (tmp_path / "kept.txt").write_text("kept")
    ended = litelens("demo", "--out", tmp_path)
    assert ended.returncode == 1 and "exists already" in ended.stderr and "hint: rm -r" in ended.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["kept.txt"]


def test_a_step_that_fails_ends_the_demo(tmp_path):
    with pytest.raises(DemoError, match="litelens info ended with exit code 1"):
        _step("info", tmp_path / "absent.tflite")


def test_frames_are_compared_with_the_videos_labels(litelens, tiny, video, tmp_path, capsys):
    frames = litelens("run", tiny, "--camera", video).stdout
    labels = tmp_path / "labels.csv"
    with labels.open("w", newline="") as file:
        # The video is five red frames; one label is wrong and one frame is not counted.
        csv.writer(file).writerows([("frame", "label"), *enumerate(["red", "red", "blue", "", "red"])])
    _compare(frames, labels)
    assert "3 of 4 frames right, 0 unknown, 1 wrong; 1 frames" in capsys.readouterr().out
