"""The tiny model answers with a picture's colour: its accuracy on painted pictures is known."""

import json
import shutil

import pytest

from edge_runtime.errors import DataError, RunFolderError, SourceError, WriteError


def test_a_model_file_is_judged_on_class_folders(call, tiny, labelled):
    ended = call("evaluate", tiny, "--data", labelled, "--json")
    assert ended.exception is None
    found = json.loads(ended.stdout)
    assert (found["pictures"], found["accuracy"], found["skipped"]) == (6, pytest.approx(4 / 6), 0)
    assert found["confusion"] == [[2, 0, 0], [1, 1, 0], [1, 0, 1]]
    by_label = {score["label"]: score for score in found["classes"]}
    assert by_label["blue"]["precision"] == 0.5 and by_label["red"]["recall"] == 0.5
    assert {(m["file"], m["true"], m["predicted"]) for m in found["worst_mistakes"]} == {
        (str(labelled / "green" / "2.png"), "green", "blue"),
        (str(labelled / "red" / "2.png"), "red", "blue"),
    }


def test_the_table_has_a_line_a_class(call, tiny, labelled):
    lines = call("evaluate", tiny, "--data", labelled).stdout.splitlines()
    assert "6 pictures" in lines[0] and "accuracy 0.6667" in lines[1]
    assert [line.split() for line in lines[-3:]] == [
        ["blue", "2", "0.5000", "1.0000", "0.6667"],
        ["green", "2", "1.0000", "0.5000", "0.6667"],
        ["red", "2", "1.0000", "0.5000", "0.6667"],
    ]


def test_a_model_may_know_more_classes_than_the_pictures(call, tiny, labelled):
    shutil.rmtree(labelled / "blue")
    found = json.loads(call("evaluate", tiny, "--data", labelled, "--json").stdout)
    assert [score["pictures"] for score in found["classes"]] == [0, 2, 2]
    assert found["classes"][0]["recall"] is None


def test_pictures_listed_in_labels_csv(call, tiny, paint, tmp_path):
    folder = paint(tmp_path / "listed", {"a.png": "red", "below/b.png": "green", "c.png": "red"})
    (folder / "labels.csv").write_text("id,colour\na,red\nb,red\ngone,blue\n")
    ended = call("evaluate", tiny, "--data", folder, "--json")
    assert json.loads(ended.stdout)["confusion"] == [[0, 0, 0], [0, 0, 0], [0, 1, 1]]
    assert "2 remarks on the source" in ended.stderr  # one line names nothing, one picture is not listed


@pytest.mark.parametrize(
    "split, pictures, accuracy", [(None, 4, 0.75), ("validation", 2, 0.5), ("train", 2, 1.0)]
)
def test_one_split_or_all(call, tiny, paint, tmp_path, split, pictures, accuracy):
    painted = {"train/blue/1.png": "blue", "train/red/1.png": "red"}
    painted |= {"validation/blue/1.png": "green", "validation/red/1.png": "red"}
    folder = paint(tmp_path / "split", painted)
    chosen = ["--split", split] if split else []
    found = json.loads(call("evaluate", tiny, "--data", folder, "--json", *chosen).stdout)
    assert (found["pictures"], found["accuracy"], found["split"]) == (pictures, accuracy, split or "all")


def test_what_cannot_be_read_is_named_and_left_out(call, tiny, labelled):
    (labelled / "blue" / "2.png").write_bytes(b"\x89PNG\r\n\x1a\n cut")
    ended = call("evaluate", tiny, "--data", labelled, "--json")
    assert f"skipped: {labelled / 'blue' / '2.png'}" in ended.stderr
    found = json.loads(ended.stdout)
    assert (found["pictures"], found["skipped"]) == (5, 1)


def test_the_page_stands_alone_and_shows_the_mistakes(call, tiny, labelled, tmp_path):
    assert call("evaluate", tiny, "--data", labelled, "--report", tmp_path / "page.html").exception is None
    page = (tmp_path / "page.html").read_text()
    assert "true: green" in page and "true: red" in page and "2 of 2 wrong answers in 6" in page
    assert page.count('src="data:image/jpeg') == 2 and "src=" in page
    assert page.count("src=") == page.count('src="data:image/')


@pytest.mark.parametrize(
    "arguments, error, says",
    [
        (["{tiny}"], DataError, "has no pictures of its own"),
        (["{tiny}", "--data", "{labelled}", "--split", "test"], DataError, "no pictures of the split 'test', it is not split"),
        (["{tiny}", "--data", "{strangers}"], DataError, "not trained on: Purple, zebra; it knows blue, green, red"),
        (["{tiny}", "--data", "{labelled}/nowhere"], DataError, "is not there"),
        (["{labelled}/run", "--data", "{labelled}"], RunFolderError, "is not there, expected a run folder or a .tflite"),
        (["{tiny}", "--data", "{labelled}", "--report", "{labelled}/no/r.html"], WriteError, "there is no folder"),
        (["{tiny}", "--data", "{broken}"], SourceError, "no readable picture"),
    ],
    ids=["no data", "no such split", "strangers", "no source", "no model", "no folder", "all broken"],
)  # fmt: skip
def test_errors_are_instructions(call, tiny, labelled, paint, tmp_path, arguments, error, says):
    strangers = paint(
        tmp_path / "strangers", {"zebra/1.png": "red", "Purple/1.png": "red", "red/1.png": "red"}
    )
    broken = tmp_path / "broken"
    for label in ("red", "blue"):
        (broken / label).mkdir(parents=True)
        (broken / label / "1.png").write_bytes(b"no picture")
    places = {"tiny": tiny, "labelled": labelled, "strangers": strangers, "broken": broken}
    ended = call("evaluate", *(argument.format(**places) for argument in arguments))
    assert isinstance(ended.exception, error)
    assert says in str(ended.exception) and ended.exception.hint
    assert ended.stdout == ""
