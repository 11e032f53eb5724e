"""The table and the page, on matrices that nobody measured; the page as a person sees it, in headless Chromium."""

import re
import shutil
from dataclasses import replace
from itertools import combinations

import pytest

from benchmarks.matrix.page import page
from benchmarks.matrix.plot import NARROW, WIDE, Axis, plot
from benchmarks.matrix.results import Interpreter
from benchmarks.matrix.table import table

CREATED = "2026-01-02T03:04:05+00:00"
SIZES = {"desktop": {"width": 1280, "height": 900}, "phone": {"width": 390, "height": 844}}


def failing(matrix):
    """The same, with a cell that failed, an interpreter that is absent, and reasons."""
    cells = list(matrix.cells)
    cells[2] = replace(
        cells[2],
        problem="its process was ended by <SIGKILL>",
        hint="alone: x",
        latency=None,
        accuracy=None,
        on_front=False,
    )
    absent = Interpreter("tflite_runtime", "", "pip install --upgrade tflite-runtime")
    return replace(
        matrix,
        cells=tuple(cells),
        interpreters=(*matrix.interpreters[:2], absent),
        reasons=("other programs took 40% of all cores, expected at most 5%",),
        notes=("m: no accuracy, its labels are unknown",),
    )


def test_the_table_has_a_line_a_cell(made_up, machine):
    matrix = made_up(top1s=[0.98, 0.97, 0.9])
    lines = table(matrix, machine).splitlines()
    head = next(i for i, line in enumerate(lines) if line.lstrip().startswith("#"))
    for cell, line in zip(matrix.cells, lines[head + 1 :], strict=False):
        assert line.split()[:4] == [str(cell.number), cell.model, cell.interpreter, str(cell.threads)]
        assert f"{cell.latency.whole.p50_ms:.2f}" in line and f"{cell.accuracy.top1:.2%}" in line
        assert line.endswith("*") == cell.on_front
    assert "160x" not in table(matrix, machine) and "224x160" in table(matrix, machine)


def test_the_table_says_what_failed(made_up, machine):
    text = table(failing(made_up(top1s=[0.98, 0.97, 0.9])), machine)
    assert text.startswith("Too noisy to quote:\n  other programs took 40%")
    assert "3 failed: its process was ended by <SIGKILL>\n  hint: alone: x" in text
    assert "tflite_runtime is not installed: pip install --upgrade tflite-runtime" in text
    assert "m: no accuracy, its labels are unknown" in text


def test_more_threads_than_cores_are_marked(made_up, machine):
    text = table(made_up(threads=(4, 8)), machine)
    assert len(re.findall(r"  8!  ", text)) == 9 and "4!" not in text
    assert "! more threads than the 4 cores here" in text


def test_without_pictures_there_are_no_columns_of_them(made_up, machine):
    text = table(made_up(), machine)
    assert "top-1" not in text and "agreement" not in text
    assert "Pareto front of latency and size" in text


def test_the_page_escapes_and_needs_nothing_else(made_up, machine):
    matrix = failing(made_up(top1s=[0.98, 0.97, 0.9]))
    html = page(matrix, replace(machine, cpu="<b>&"), CREATED)
    assert "&lt;SIGKILL&gt;" in html and "<SIGKILL>" not in html and "&lt;b&gt;&amp;" in html
    assert not re.findall(r"(?:src|href)=|https?://|url\(|<script", html)


@pytest.mark.parametrize("drawn", [WIDE, NARROW], ids=["wide", "narrow"])
@pytest.mark.parametrize("top1s", [None, [1.0, 1.0, 1.0], [0.98, 0.975, 0.6], [0.0, 0.0, 0.0]], ids=str)
@pytest.mark.parametrize("close", [False, True])
def test_all_bubbles_are_within_the_plot(made_up, drawn, top1s, close):
    matrix = made_up(top1s=top1s, close=close)
    svg = plot(matrix, drawn)
    circles = re.findall(r'class="bubble [^"]*" cx="([\d.-]+)" cy="([\d.-]+)" r="([\d.]+)"', svg)
    assert len(circles) == len(matrix.cells) == len(re.findall(r'class="number"', svg))
    for x, y, radius in (map(float, circle) for circle in circles):
        assert drawn.field.left <= x - radius and x + radius <= drawn.field.right
        assert drawn.field.top <= y - radius and y + radius <= drawn.field.bottom
    largest, smallest = (float(circles[i][2]) for i in (0, -1))
    assert (largest / smallest) ** 2 == pytest.approx(9, rel=0.05), "areas go with sizes"


@pytest.mark.parametrize(
    "values, far, texts",
    [
        ([1.0, 4.0], 8, ["1", "2", "3", "4"]),
        ([1.0, 400.0], 8, ["1", "3", "10", "30", "100", "300"]),
        ([0.5, 90000.0], 8, ["1", "10", "100", "1,000", "10,000"]),
        ([97.5, 98.0], 8, ["97.6", "97.8", "98.0"]),
    ],
)
def test_ticks_are_round(values, far, texts):
    axis = Axis.of(values, 0, 300, room_px=10, least=0.1, far=far)
    found = axis.ticks(6)
    within = [text for value, text in found if min(values) <= value <= max(values) + 1e-9]
    assert within == texts
    assert all(0 <= axis(value) <= 300 for value, _ in found)
    assert axis(min(values)) == pytest.approx(10) and axis(max(values)) == pytest.approx(290)


@pytest.fixture(scope="module")
def browser():
    playwright = pytest.importorskip("playwright.sync_api", reason="needs playwright from PyPI")
    chromium = shutil.which("chromium")
    if not chromium:
        pytest.skip("needs Chromium: Debian's package chromium")
    with playwright.sync_playwright() as running:
        opened = running.chromium.launch(
            executable_path=chromium, args=["--no-sandbox", "--disable-gpu", "--no-first-run"]
        )
        yield opened
        opened.close()


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_person_can_read_the_page(browser, made_up, machine, tmp_path, size, scheme):
    path = tmp_path / "matrix.html"
    path.write_text(page(made_up(top1s=[0.98, 0.979, 0.9]), machine, CREATED), encoding="utf-8")
    context = browser.new_context(viewport=SIZES[size], color_scheme=scheme)
    opened, troubles = context.new_page(), []
    opened.on("console", lambda said: troubles.append(said.text))
    opened.on("request", lambda asked: asked.url.startswith("file:") or troubles.append(asked.url))
    opened.goto(path.as_uri(), timeout=60_000)
    boxes = opened.evaluate(
        """() => [...document.querySelectorAll("svg text.number")].map(text => text.getBoundingClientRect())
            .filter(box => box.width).map(box => [box.left, box.top, box.right, box.bottom])"""
    )
    width = opened.evaluate("document.documentElement.scrollWidth")
    colours = opened.evaluate(
        "[getComputedStyle(document.body).color, getComputedStyle(document.body).backgroundColor]"
    )
    context.close()
    assert not troubles and width <= SIZES[size]["width"]
    assert len(boxes) == 18, "of one of the two plots"
    assert not [
        (one, other)
        for one, other in combinations(boxes, 2)
        if one[0] < other[2] and other[0] < one[2] and one[1] + 3 < other[3] and other[1] + 3 < one[3]
    ]
    assert colours == (
        ["rgb(34, 34, 34)", "rgb(255, 255, 255)"]
        if scheme == "light"
        else ["rgb(230, 230, 230)", "rgb(22, 22, 22)"]
    )
