"""The page as a person sees it, in headless Chromium."""

import shutil
from dataclasses import replace

import pytest

from benchmarks.card.html import html

playwright = pytest.importorskip("playwright.sync_api", reason="needs playwright from PyPI")

WIDTHS = {"phone": 390, "desktop": 1280}
CUT_OFF = """() => [...document.querySelectorAll('svg')].flatMap(svg => {
    const room = svg.viewBox.baseVal;
    return [...svg.querySelectorAll('text')].filter(text => {
        const box = text.getBBox();
        return box.x < -0.5 || box.y < -0.5 || box.x + box.width > room.width + 0.5 || box.y + box.height > room.height + 0.5;
    }).map(text => text.textContent);
})"""
ON_TOP = """() => [...document.querySelectorAll('svg')].flatMap(svg => {
    const texts = [...svg.querySelectorAll('text')].map(text => [text.textContent, text.getBBox()]);
    return texts.flatMap(([name, a], at) => texts.slice(at + 1).filter(([_, b]) =>
        a.x + a.width > b.x + 0.5 && b.x + b.width > a.x + 0.5 && a.y + a.height > b.y + 3 && b.y + b.height > a.y + 3
    ).map(([other]) => `${name} / ${other}`));
})"""


@pytest.fixture(scope="module")
def browser():
    chromium = shutil.which("chromium")
    if not chromium:
        pytest.skip("needs Chromium: Debian's package chromium")
    with playwright.sync_playwright() as running:
        opened = running.chromium.launch(
            executable_path=chromium,
            args=["--no-sandbox", "--disable-gpu", "--disable-background-networking"],
        )
        yield opened
        opened.close()


@pytest.fixture
def show(browser, tmp_path):
    """Opens a card's file; what the page asks for and what the browser complains of fails the test."""
    contexts, asked, said = [], [], []

    def open_one(card, width: int = 1280, **context):
        path = tmp_path / "card.html"
        path.write_bytes(html(card).encode())
        contexts.append(browser.new_context(viewport={"width": width, "height": 800}, **context))
        page = contexts[-1].new_page()
        page.set_default_timeout(30_000)
        page.on("request", lambda request: asked.append(request.url))
        page.on("console", lambda message: said.append(message.text))
        page.on("dialog", lambda dialog: said.append(dialog.message))
        page.goto(path.as_uri())
        return page

    yield open_one
    for context in contexts:
        context.close()
    assert len(asked) == len(contexts) and not said


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("name", ["card", "bare", "throttled", "hostile"])
def test_it_fits(request, show, name, width):
    page = show(request.getfixturevalue(name), WIDTHS[width])
    assert page.evaluate("document.documentElement.scrollWidth") <= WIDTHS[width]
    assert page.evaluate(CUT_OFF) == [] and page.evaluate(ON_TOP) == []


@pytest.mark.parametrize("median_ms, recommended", [(0.02, 1), (60_000.0, 16)])
def test_odd_figures_fit(show, make_card, median_ms, recommended):
    card = make_card(median_ms=median_ms)
    counts = tuple(
        replace(card.threads.measured[0], threads=threads) for threads in (1, 2, 3, 4, 6, 8, 12, 16)
    )
    page = show(
        replace(card, threads=replace(card.threads, measured=counts, recommended=recommended)),
        WIDTHS["phone"],
    )
    assert page.evaluate(CUT_OFF) == [] and page.evaluate(ON_TOP) == []


def test_the_stages_table_fits_on_a_phone(show, card):
    box = show(card, WIDTHS["phone"]).locator(".scroll")
    assert box.evaluate("box => box.scrollWidth - box.clientWidth") <= 0


def test_a_hostile_name_runs_nothing(show, hostile):
    page = show(hostile)
    assert page.title().startswith("litelens card: </title>")
    assert page.locator("script, img, a").count() == 0


@pytest.mark.parametrize("scheme, light", [("light", True), ("dark", False)])
def test_it_follows_the_scheme_and_prints_light(show, card, scheme, light):
    page = show(card, color_scheme=scheme)
    background = "getComputedStyle(document.body).backgroundColor"
    assert (page.evaluate(background) == "rgb(255, 255, 255)") is light
    page.emulate_media(media="print")
    assert page.evaluate(background) == "rgb(255, 255, 255)"
    assert page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth") <= 0
