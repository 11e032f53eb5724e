import shutil
import subprocess
from html.parser import HTMLParser

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from benchmarks.card.markdown import markdown


class Page(HTMLParser):
    """What a renderer made."""

    def __init__(self, html: str):
        super().__init__()
        self.tags: list[str] = []
        self.rows: list[int] = []
        """Cells in each row."""
        self.cells: list[str] = []
        """Their text."""
        self.bare = ""
        """The text outside code."""
        self._in_code = False
        self.feed(html)

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self._in_code = tag == "code"
        if tag == "tr":
            self.rows.append(0)
        if tag in ("td", "th"):
            self.cells.append("")
            self.rows[-1] += 1

    def handle_endtag(self, tag):
        self._in_code = False

    def handle_data(self, text):
        if self.cells:
            self.cells[-1] += text.strip("\n")
        if not self._in_code:
            self.bare += text


@pytest.fixture(scope="module")
def render():
    """GitHub's own renderer, with its extensions."""
    program = shutil.which("cmark-gfm")
    if not program:
        pytest.skip("needs cmark-gfm: Debian's package cmark-gfm")
    command = [program, "--unsafe", "-e", "table", "-e", "autolink", "-e", "strikethrough", "-e", "tagfilter"]

    def run(text: str) -> Page:
        return Page(
            subprocess.run(
                command, input=text.encode(), capture_output=True, check=True, timeout=30
            ).stdout.decode()
        )

    return run


def test_the_lead_says_what_is_quoted(card, throttled):
    lead = "\n".join(markdown(card).splitlines()[:4])
    assert lead.startswith(
        "### `parts` on `Raspberry Pi 4 Model B Rev 1.4`\n\n**5.20 ms** a frame (p90 5.62, p99 6.22 ms)"
    )
    assert "191 frames/s, top-1 94.50 %; `int8`, 2 threads, `ai_edge_litert` `2.3.0` on `cpu`." in lead
    assert lead.endswith("**May be quoted**.")
    assert "**Too noisy to quote**: the windows' medians spread by" in markdown(throttled)


def test_a_first_look_is_called_so(make_card):
    assert "**A first look, not to be quoted**: 1 x 2 s were measured, in place of 5 x 10 s." in markdown(
        make_card(windows=1)
    )


def test_what_a_machine_does_not_tell_is_said(bare):
    text = markdown(bare)
    for fact in ("Memory", "Governor", "Frequency", "Temperature", "Throttling", "Energy"):
        assert f"| {fact} | not told by this machine |" in text
    assert "| Top-1 | not measured: no pictures given |" in text and "| Cold start | not measured |" in text
    assert "threads (recommended" not in text and "| capture |" not in text


def test_tables_are_tables(card, render):
    page = render(markdown(card))
    assert page.tags.count("table") == 7 and page.tags.count("details") == 1
    at = page.cells.index("invoke")
    assert page.cells[at : at + 7] == ["invoke", "3.64", "3.93", "4.35", "3.67", "0.207", "0.228"]
    assert page.cells[page.cells.index("Interpreter") + 1] == "ai_edge_litert 2.3.0"


def test_a_hostile_name_stays_a_name(hostile, card, render):
    page, calm = render(markdown(hostile)), render(markdown(card))
    assert not {"a", "script", "img", "em", "h1"} & set(page.tags)
    assert page.rows == calm.rows, "no cell was added and no table was ended"
    assert "@" not in page.bare and "#" not in page.bare, "GitHub would tell a person, or link an issue"
    name = page.cells[page.cells.index("Name") + 1]
    assert "<script>document.title='owned'</script>" in name and "[a](http://b.c) www.d.e @you #1" in name


@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_any_card_can_be_shown(data, any_card, render):
    page = render(markdown(data.draw(any_card)))
    assert page.tags.count("details") == 1 and not {"a", "script", "img", "em"} & set(page.tags)
