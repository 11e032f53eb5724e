import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from benchmarks.card.html import html

ENDS_ITSELF = {"meta", "rect", "line", "circle", "polyline"}
# HTML ends these when the next begins.
ENDED_BY_OTHERS = {"li", "p", "dt", "dd", "tr", "td", "th"}


class Page(HTMLParser):
    """The text below each heading or tag, and whether tags that must be closed are."""

    def __init__(self, page: str):
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.attributes: set[str] = set()
        self.text = ""
        self.feed(page)
        assert not self.open

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.attributes |= {name for name, _ in attributes}
        if tag not in ENDS_ITSELF | ENDED_BY_OTHERS:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.handle_starttag(tag, attributes)

    def handle_endtag(self, tag):
        if tag not in ENDED_BY_OTHERS:
            assert self.open.pop() == tag

    def handle_data(self, text):
        if not {"style", "title"} & set(self.open):
            self.text += text


def test_the_page_needs_nothing_else(card):
    page = html(card)
    assert len(page) < 60_000
    assert not re.search(r"https?:|//|url\(|@import|<script|<link|<img", page.removeprefix("<!doctype html>"))
    assert page.count("<svg ") == 7 and page.count("$") == 0


def test_what_people_look_for_is_there(card):
    text = Page(html(card)).text
    for words in (
        "parts 3",
        "Raspberry Pi 4 Model B Rev 1.4 · 2 threads · ai_edge_litert 2.3.0 on cpu",
        "May be quoted",
        "median frame5.20 msp90 5.62, p99 6.22 ms",
        "frames a second191",
        "top-194.50 %567 of 600 pictures",
        "energy a frame18.0 mJ",
        "1 x 96 x 96 x 3, uint8, an RGB picture",
        "image classification, 6 classes",
        "0123456789abcdef" * 4,
        "Throttling: none.",
        "recommended",
    ):
        assert words in text, words


def test_noise_is_said_at_the_top(throttled):
    text = Page(html(throttled)).text
    assert (
        text.index("Too noisy to quote")
        < text.index("the board slowed itself down")
        < text.index("median frame")
    )
    assert "Throttling (shaded): soft temperature limit, throttled." in text
    assert html(throttled).count('class="throttled"') > 2


def test_a_quick_card_is_a_first_look(make_card):
    text = Page(html(make_card(windows=1))).text
    assert "A first look, not to be quoted" in text and "One window tells nothing of the drift" in text


def test_what_the_machine_does_not_tell_is_said(bare):
    page = html(bare)
    text = Page(page).text
    for name in ("Temperature", "Frequency", "Throttling"):
        assert f"{name}: not told by this machine." in text
    assert page.count("<svg ") == 4 and "Not measured." in text


def test_more_threads_than_cores_are_said(card):
    measured = tuple(replace(card.threads.measured[0], threads=threads) for threads in (1, 8))
    crowded = replace(
        card,
        setting=replace(card.setting, threads=8),
        threads=replace(card.threads, measured=measured, recommended=8),
    )
    text = Page(html(crowded)).text
    assert "This machine has 4 cores." in text and "Threads8, more than the 4 cores" in text


def test_a_hostile_name_stays_a_name(hostile, card):
    page = Page(html(hostile))
    assert page.text.count("<script>document.title='owned'</script>") > 20
    assert page.tags.count("dd") == Page(html(card)).tags.count("dd")
    assert not {"script", "img", "a"} & set(page.tags) and not {"onerror", "src", "href"} & page.attributes
    html(hostile).encode()  # half a surrogate pair cannot be


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_any_card_can_be_shown(data, any_card):
    page = html(data.draw(any_card))
    page.encode()
    assert Page(page).tags.count("figure") == 6
    assert not re.search(r'="(nan|-?inf)', page)


@pytest.mark.parametrize("scale", [1e-3, 1, 1e4])
def test_figures_keep_three_digits(make_card, scale):
    text = Page(html(make_card(median_ms=5.0 * scale))).text
    assert {1e-3: "0.0052 ms", 1: "5.20 ms", 1e4: "52,0"}[scale] in text
