import csv
import io
import os
from pathlib import Path

import numpy as np
import pytest
from click import UsageError
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image

from edge_runtime.errors import SourceError, WriteError
from trainer.evaluation.charts import draw_answers
from trainer.evaluation.prediction import choose_answers, find_truth, predict_pictures, to_csv
from trainer.evaluation.scorer import open_scorer

LABELS = ("blue", "green", "red")


def table(content: bytes) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(content.decode("utf-8", "surrogateescape"), newline="")))


def refuse(problem):
    raise AssertionError(problem)


def test_a_row_a_picture_and_a_column_a_class(call, tiny, pictures, tmp_path):
    ended = call("predict", tiny, pictures, "--csv", tmp_path / "p.csv")
    assert ended.exception is None and "3 pictures predicted" in ended.stderr
    content = (tmp_path / "p.csv").read_bytes()
    assert content.startswith(b"id,blue,green,red\n")
    rows = table(content)
    # Folder by folder: a and c lie in the folder itself.
    assert [row["id"] for row in rows] == ["a", "c", "b"]
    assert [max(LABELS, key=lambda label, row=row: float(row[label])) for row in rows] == [
        "blue",
        "red",
        "green",
    ]
    for row in rows:
        assert sum(float(row[label]) for label in LABELS) == pytest.approx(1, abs=1e-8)


def test_more_pictures_than_a_batch_keep_their_order(tiny, paint, tmp_path):
    colours = {f"{number:03d}.png": LABELS[number % 3] for number in range(70)}
    scored = predict_pictures(open_scorer(tiny), paint(tmp_path / "many", colours), refuse)
    assert [path.name for path, _ in scored] == list(colours)
    assert [LABELS[row.argmax()] for _, row in scored] == list(colours.values())


@pytest.mark.parametrize(
    "names, ids",
    [
        (["a.png", "b.png"], ["a", "b"]),
        (["a.png", "a.jpg"], ["a.jpg", "a.png"]),
        (["x/a.png", "y/a.png", "z.png"], ["z.png", "x/a.png", "y/a.png"]),
        (["x/a.png", "y/b.png"], ["a", "b"]),
        (['quo"te,d.png', "new\nline.png"], ["new\nline", 'quo"te,d']),
        (["Zoë.png", "猫.png"], ["Zoë", "猫"]),
        (["dot.ted.png"], ["dot.ted"]),
    ],
)
def test_ids_are_names_without_ending_unless_two_share_one(tiny, paint, tmp_path, names, ids):
    folder = paint(tmp_path / "named", dict.fromkeys(names, "red"))
    content = to_csv(LABELS, folder, predict_pictures(open_scorer(tiny), folder, refuse))
    assert [row["id"] for row in table(content)] == ids


def test_a_name_that_is_no_utf8_keeps_its_bytes(tiny, paint, tmp_path):
    folder = paint(tmp_path / "named", {os.fsdecode(b"caf\xe9.png"): "red"})
    content = to_csv(LABELS, folder, predict_pictures(open_scorer(tiny), folder, refuse))
    assert content.splitlines()[1].startswith(b"caf\xe9,")


@given(
    arrays(np.float32, (3, 5), elements=st.floats(0.0, 1.0, width=32)).filter(
        lambda rows: (rows.sum(axis=1) > 0).all()
    )
)
def test_rows_sum_to_1_and_keep_their_proportions(rows):
    labels = ("a", "b", "c", "d", "id")
    content = to_csv(labels, Path("p"), [(Path(f"p/{number}.png"), row) for number, row in enumerate(rows)])
    read = np.array(
        [[float(cell) for cell in line[1:]] for line in list(csv.reader(content.decode().splitlines()))[1:]]
    )
    assert np.allclose(read.sum(axis=1), 1, atol=1e-8, rtol=0)
    assert np.allclose(read * rows.sum(axis=1, keepdims=True, dtype=np.float64), rows, rtol=1e-6)


def test_one_picture(call, tiny, pictures, tmp_path):
    assert call("predict", tiny, pictures / "a.png", "--csv", tmp_path / "p.csv").exception is None
    assert [row["id"] for row in table((tmp_path / "p.csv").read_bytes())] == ["a"]


def test_what_cannot_be_read_is_named_and_left_out(call, tiny, pictures, tmp_path):
    (pictures / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n cut")
    (pictures / "notes.txt").write_text("no picture")
    ended = call("predict", tiny, pictures, "--csv", tmp_path / "p.csv")
    assert [row["id"] for row in table((tmp_path / "p.csv").read_bytes())] == ["a", "c", "b"]
    assert [line.split(" is no ")[0] for line in ended.stderr.splitlines() if line.startswith("skipped")] == [
        f"skipped: {pictures / name}" for name in ("broken.png", "notes.txt")
    ]


@pytest.mark.parametrize(
    "make, options, error",
    [
        (lambda folder: None, ["--csv", "p.csv"], SourceError),
        (lambda folder: folder.mkdir(), ["--csv", "p.csv"], SourceError),
        (lambda folder: folder.write_bytes(b"no picture"), ["--csv", "p.csv"], SourceError),
        (lambda folder: folder.mkdir(), ["--csv", "no/folder/p.csv"], WriteError),
        (lambda folder: folder.mkdir(), ["--chart", "no/folder/p.png"], WriteError),
        (lambda folder: folder.mkdir(), [], UsageError),
    ],
    ids=["absent", "empty", "no picture", "csv without folder", "chart without folder", "nothing to write"],
)
def test_refuses_what_leads_to_nothing(call, tiny, tmp_path, monkeypatch, make, options, error):
    monkeypatch.chdir(tmp_path)
    make(tmp_path / "given")
    ended = call("predict", tiny, tmp_path / "given", *options)
    assert isinstance(ended.exception, error)
    assert not (tmp_path / "p.csv").exists()


def test_truth_is_that_of_class_folders(labelled):
    truth = find_truth(labelled, LABELS)
    assert {path.relative_to(labelled).as_posix(): LABELS[class_id] for path, class_id in truth.items()} == {
        f"{label}/{number}.png": label for label in LABELS for number in (1, 2)
    }


def test_folders_that_are_no_classes_of_the_model_are_no_truth(paint, tmp_path):
    assert find_truth(paint(tmp_path / "t", {"2021/1.png": "red", "2022/1.png": "red"}), LABELS) == {}


def test_a_chart_of_a_labelled_folder_says_which_are_right(tiny, labelled):
    scorer = open_scorer(tiny)
    answers = choose_answers(scorer, predict_pictures(scorer, labelled, refuse), find_truth(labelled, LABELS))
    axes = draw_answers(LABELS, answers).axes[0]
    captions = [text for text in axes.texts if "true:" in text.get_text()]
    assert [text.get_text().splitlines()[2] for text in captions] == [
        f"true: {label}" for label in LABELS for _ in "12"
    ]
    colours = [text.get_color() for text in captions]
    right, wrong = colours[0], colours[3]
    assert right != wrong and colours == [right, right, right, wrong, right, wrong]
    bars = axes.patches
    assert len(bars) == 6 * 3
    # Of the fourth picture: blue is the answer and wrong; green, the truth, comes second or third.
    assert [bar.get_facecolor()[:3] for bar in bars[9:12]].count(bars[0].get_facecolor()[:3]) == 1
    assert bars[9].get_facecolor() != bars[0].get_facecolor()


def test_pictures_of_a_chart_are_spread_over_all(tiny, paint, tmp_path):
    folder = paint(tmp_path / "many", {f"{number:02d}.png": "red" for number in range(45)})
    scorer = open_scorer(tiny)
    answers = choose_answers(scorer, predict_pictures(scorer, folder, refuse), {})
    assert [answer.name for answer in answers] == [f"{4 * number:02d}.png" for number in range(12)]
    assert all(answer.truth is None for answer in answers)


@pytest.mark.parametrize("flat", [True, False])
def test_chart_of_a_folder_labelled_or_not(call, tiny, labelled, tmp_path, flat):
    folder = labelled / "red" if flat else labelled
    ended = call("predict", tiny, folder, "--chart", tmp_path / "chart.png")
    assert ended.exception is None
    assert ("no true classes in the chart" in ended.stderr) == flat
    assert min(Image.open(tmp_path / "chart.png").size) > 100
