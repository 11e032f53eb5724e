import re
from datetime import date

import pytest

from benchmarks.published import PublishedError, read_published
from benchmarks.results_page import RESULTS, page

ENTRY = """
[[source]]
published_by = "Somebody"
title = "A page"
address = "https://example.org/"
seen = 2026-11-22
measured = "one inference"

[[source.number]]
model = "MobileNet v2"
input_px = "224 x 224"
dtype = "int8"
hardware = "A board"
ms = 2.6
"""


def read(tmp_path, content: str):
    path = tmp_path / "published.toml"
    path.write_text(content)
    return read_published(path)


def test_an_entry_is_read(tmp_path):
    (source,) = read(tmp_path, ENTRY)
    (number,) = source.numbers
    assert (source.published_by, source.seen) == ("Somebody", date(2026, 11, 22))
    assert (number.hardware, number.dtype, number.ms) == ("A board", "int8", 2.6)


@pytest.mark.parametrize("line", [line for line in ENTRY.splitlines() if " = " in line])
def test_an_entry_without_one_of_its_fields_is_refused(tmp_path, line):
    name = line.partition(" = ")[0]
    with pytest.raises(PublishedError, match=rf"published.toml: source 1.*: no {name}$"):
        read(tmp_path, ENTRY.replace(line, ""))


@pytest.mark.parametrize(
    "old, new, why",
    [
        ("ms = 2.6", "ms = 0", "no ms"),
        ("ms = 2.6", "ms = -1", "not above 0"),
        ("ms = 2.6", "ms = nan", "not above 0"),
        ("ms = 2.6", 'ms = "2.6"', "ms is '2.6'"),
        ("ms = 2.6", "ms = 2.6\nfps = 400", "unknown field fps"),
        ('hardware = "A board"', 'hardware = ""', "no hardware"),
        ("seen = 2026-11-22", 'seen = "last week"', "seen is 'last week'"),
        ("https://example.org/", "a friend", "address is 'a friend'"),
        ("[[source.number]]", "[[number]]", "unknown number"),
        ("[[source]]", "[[source", "cannot read"),
    ],
)
def test_what_is_no_published_number_is_refused(tmp_path, old, new, why):
    with pytest.raises(PublishedError, match=why):
        read(tmp_path, ENTRY.replace(old, new))


def test_the_file_has_what_coral_published():
    ms = {source.title: [number.ms for number in source.numbers] for source in read_published()}
    coral, pycoral = (
        next(found for title, found in ms.items() if word in title) for word in ("table 1", "pycoral")
    )
    assert coral[:4] == [51, 2.6, 122, 2.6]
    assert round(pycoral[0], 2) == 4.55


def test_the_page_keeps_them_apart_from_what_was_measured():
    heading = "\n## Published by others\n"
    sources = read_published()
    measured, apart = page(RESULTS, sources).split(heading)
    assert measured == page(RESULTS, ()).split(heading)[0], "no source has a part in it"
    assert "Nobody here ran these boards" in apart
    for source in sources:
        assert (
            f"[{source.title}]({source.address}), published by {source.published_by}, seen {source.seen}: "
            in apart
        )
    rows = [line.strip("| ").split(" | ") for line in apart.splitlines() if re.match(r"\| [\d.]+ \|", line)]
    numbers = [(number, source.published_by) for source in sources for number in source.numbers]
    for (ms, *texts), (number, whose) in zip(rows, numbers, strict=True):
        assert float(ms) == pytest.approx(number.ms, abs=0.005)
        assert texts == [
            number.model,
            number.input_px,
            number.dtype,
            number.hardware,
            f"published by {whose}",
        ]
