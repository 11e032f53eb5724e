import base64
import io
import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from trainer.charts import (
    LONGEST_CAPTION,
    Tile,
    data_url,
    draw_confusion,
    draw_curves,
    draw_grid,
    picture_url,
    png,
    shorten,
)
from trainer.trained import Epoch


def pixels(content: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(content)).convert("RGB"))


def decoded(url: str) -> Image.Image:
    return Image.open(io.BytesIO(base64.b64decode(url.partition(",")[2])))


def history(phases: str) -> list[Epoch]:
    return [
        Epoch(int(phase), number, 1 / number, 0.5, 1.5 / number, 0.4, 1e-3, 1.0)
        for number, phase in enumerate(phases, 1)
    ]


@given(st.text(max_size=80))
def test_shortened_text_keeps_both_ends(text):
    short = shorten(text)
    assert len(short) <= LONGEST_CAPTION
    if len(text) <= LONGEST_CAPTION:
        assert short == text
    else:
        start, _, end = short.rpartition("…")
        assert start and end and text.startswith(start) and text.endswith(end)


@pytest.mark.parametrize(
    "phases, lines",
    [("1112", 1), ("111", 0), ("1", 0), ("22", 0)],
    ids=["both", "head only", "one epoch", "no head"],
)
def test_curves_mark_where_phase_2_begins(phases, lines):
    figure = draw_curves(history(phases))
    for axes in figure.axes:
        marks = [line for line in axes.lines if line.get_label() == "phase 2 begins"]
        assert len(marks) == lines
        if marks:
            assert marks[0].get_xdata()[0] == 3.5
    accuracy, loss = figure.axes
    assert list(accuracy.lines[1].get_ydata()) == [0.4] * len(phases)
    assert list(loss.lines[0].get_ydata()) == [1 / number for number in range(1, len(phases) + 1)]
    assert pixels(png(figure)).std() > 5


@pytest.mark.parametrize(
    "classes, named, counted",
    [(2, 2, True), (25, 25, True), (26, 26, False), (120, 120, False), (200, 100, False)],
)
def test_a_confusion_matrix_stays_readable(classes, named, counted):
    labels = [f"class {number}" for number in range(classes)]
    figure = draw_confusion((3 * np.eye(classes, dtype=int)).tolist(), labels, "test")
    texts = [text.get_text() for text in figure.axes[0].texts]
    assert len([text for text in texts if text.startswith("class ")]) == 2 * named
    assert texts.count("3") == (classes if counted else 0)
    picture = pixels(png(figure))
    assert min(picture.shape[:2]) > 300 and max(picture.shape[:2]) < 2600


def test_a_confusion_matrix_shows_shares_of_the_true_class():
    image = draw_confusion([[3, 1], [0, 0]], ["a", "b"], "test").axes[0].images[0]
    assert np.asarray(image.get_array()).tolist() == [[75, 25], [0, 0]]


@pytest.mark.parametrize("label", ["a$b$", "$", "猫", "<b>", "ﬁancée", "x" * 300, r"\frac{"])
def test_any_label_can_be_drawn(label):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert png(draw_confusion([[1, 0], [0, 1]], [label, "other"], label))
        assert png(draw_grid([Tile(np.zeros((4, 4, 3), np.uint8), (label,), right=False)], 3))


def test_a_grid_shows_its_pictures_in_rows():
    colours = [(250, 0, 0), (0, 250, 0), (0, 0, 250)]
    tiles = [Tile(np.full((20, 20, 3), colour, np.uint8), ("name",)) for colour in colours]
    drawn = pixels(png(draw_grid(tiles, 2)))
    centres = [np.argwhere((drawn == colour).all(axis=2)).mean(axis=0) for colour in colours]
    assert centres[0][0] == pytest.approx(centres[1][0], abs=1) and centres[0][1] < centres[1][1]
    assert centres[2][0] > centres[0][0] + 20 and centres[2][1] == pytest.approx(centres[0][1], abs=1)


@pytest.mark.parametrize(
    "shape, expected", [((400, 200), (80, 160)), ((160, 160), (160, 160)), ((28, 28), (28, 28))]
)
def test_a_picture_is_reduced_to_a_thumbnail(shape, expected):
    picture = np.full((*shape, 3), (200, 30, 60), np.uint8)
    image = decoded(picture_url(picture))
    assert image.size == expected
    assert np.abs(np.asarray(image).astype(int) - (200, 30, 60)).max() <= 4


def test_a_figure_becomes_a_data_url():
    assert data_url(draw_curves(history("12"))).startswith("data:image/png;base64,iVBORw0KGgo")
