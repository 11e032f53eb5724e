"""What `find` says on a device: read, and never believed."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edge_runtime.capture.frame import Frame
from edge_runtime.web.saving import ClassFolders
from fleet.pulling.bringing import BATCH_BYTES, batches
from fleet.pulling.listing import HARD_EXAMPLE, MOST_DESCRIPTION_BYTES, SAVED, read_listing

HARD = b"hard-examples/20260314T101530.123Z-"


def said(*entries: tuple[int, bytes]) -> bytes:
    return b"".join(b"%d %s\0" % entry for entry in entries)


def test_saved_frames_come_first_then_by_time():
    listing = read_listing(
        said(
            (10, HARD + b"uncertain.jpg"),
            (3, HARD + b"uncertain.json"),
            (9, HARD.replace(b"10", b"09") + b"changed.jpg"),
            (2, HARD.replace(b"10", b"09") + b"changed.json"),
            (8, "saved/größer/20260315-101530-007-0123abcd.jpg".encode()),
        )
    )
    found = [(p.kind, p.label, p.why, p.size_bytes, p.description_bytes) for p in listing.pictures]
    assert found == [
        (SAVED, "größer", "", 8, 0),
        (HARD_EXAMPLE, "", "changed", 9, 2),
        (HARD_EXAMPLE, "", "uncertain", 10, 3),
    ]
    assert listing.pictures[0].when.isoformat() == "2026-03-15T10:15:30.007000+00:00"
    assert not listing.left_out


def test_what_the_live_page_saves_is_known_by_its_name(tmp_path, coloured):
    saved = ClassFolders(tmp_path / "saved", keep_free_bytes=0).save(
        "épée 2", Frame(coloured("red"), "0", 7, time=1_795_348_639.193), ()
    )
    (listed,) = read_listing(said((5, f"saved/{saved.file}".encode()))).pictures
    assert (listed.label, listed.when.isoformat()) == ("épée 2", "2026-11-22T11:57:19.193000+00:00")


@pytest.mark.parametrize(
    "entries, why",
    [
        ([(1, HARD + b"uncertain.jpg")], "without a usable description"),
        ([(1, HARD + b"uncertain.jpg"), (1, HARD + b"changed.json")], "without a usable description"),
        (
            [(1, HARD + b"changed.jpg"), (MOST_DESCRIPTION_BYTES + 1, HARD + b"changed.json")],
            "without a usable description",
        ),
        ([(32_000_001, b"saved/red/20260315-101530-007-0123abcd.jpg")], "above 32 MB"),
        ([(1, b"saved/../20260315-101530-007-0123abcd.jpg")], "not named as litelens names pictures"),
        ([(1, b"saved/red/20260315-101530-007-0123abcd.jpg\n")], "not named as litelens names pictures"),
        ([(1, b"/etc/passwd")], "not named as litelens names pictures"),
    ],
)
def test_is_left_out(entries, why):
    listing = read_listing(said(*entries))
    assert (listing.pictures, dict(listing.left_out)) == ((), {why: 1})


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])  # a busy machine takes its time
@given(st.binary() | st.lists(st.tuples(st.integers(0, 10**15), st.binary())).map(lambda e: said(*e)))
def test_anything_may_be_said(content):
    for picture in read_listing(content).pictures:
        assert picture.there.startswith(("saved/", "hard-examples/")) and ".." not in picture.there.split("/")


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])  # a busy machine takes its time
@given(st.lists(st.integers(0, 3 * BATCH_BYTES), max_size=300))
def test_batches_hold_every_picture_once_and_are_small(sizes):
    entries = [
        (size, b"saved/%s/20260315-%06d-007-0123abcd.jpg" % (b"x" * 90, number % 60))
        for number, size in enumerate(sizes)
    ]
    pictures = read_listing(said(*entries)).pictures
    found = list(batches(pictures))
    assert [picture for batch in found for picture in batch] == list(pictures)
    for batch in found:
        assert len(batch) == 1 or sum(picture.size_bytes for picture in batch) <= BATCH_BYTES
        assert sum(len(picture.there) for picture in batch) < 100_000
