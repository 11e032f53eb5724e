import json
import os

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edge_runtime.store import history
from edge_runtime.store.history import Event, append_events, read_history
from edge_runtime.store.moment import Moment

MOMENT = Moment("0123456789", 12.3456, "2026-01-01T00:00:00.000+00:00")


def event(why: str = "", what: str = "switched") -> Event:
    return Event.at(MOMENT, what, "1", "2", why, "me")


@pytest.fixture
def path(memory):
    return memory / "history.jsonl"


def test_a_line_an_event(path):
    append_events(path, (event("newer"),), 0o644)
    assert json.loads(path.read_text()) == {
        "when": "2026-01-01T00:00:00.000+00:00",
        "boot": "01234567",
        "uptime_s": 12.346,
        "what": "switched",
        "from": "1",
        "to": "2",
        "why": "newer",
        "by": "me",
    }
    assert path.read_bytes().count(b"\n") == 1 and read_history(path).events == (event("newer"),)


def test_without_a_file_nothing_happened(path):
    assert read_history(path).events == () and read_history(path).damaged_lines == 0


def test_an_event_is_written_once(path):
    for _ in range(3):
        append_events(path, (event("a"), event("b")), 0o644)
    assert read_history(path).events == (event("a"), event("b"))


@given(st.text(), st.text())
def test_any_text_is_one_line(why, by):
    made = Event.at(MOMENT, "refused", None, None, why, by)
    line = json.dumps(made.to_dict())
    assert "\n" not in line and len(line) < 13_000 and Event.from_dict(json.loads(line)) == made


def test_a_torn_line_is_told_and_ends_where_it_was_torn(path):
    append_events(path, (event("a"), event("b")), 0o644)
    whole = path.read_bytes()
    first = whole.index(b"\n") + 1
    for cut in range(first, len(whole)):
        path.write_bytes(whole[:cut])
        found = read_history(path)
        torn = first < cut < len(whole) - 1
        assert (len(found.events), found.damaged_lines) == (1 + (cut == len(whole) - 1), int(torn))
        append_events(path, (event("c"),), 0o644)
        after = read_history(path)
        assert after.events == (*found.events, event("c")) and after.damaged_lines == int(torn)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=300))
def test_any_bytes_at_the_end_cost_no_event(path, tail):
    path.unlink(missing_ok=True)
    append_events(path, (event("a"),), 0o644)
    with path.open("ab") as file:
        file.write(tail)
    append_events(path, (event("b"),), 0o644)
    assert read_history(path).events[0] == event("a") and read_history(path).events[-1] == event("b")


@pytest.mark.parametrize(
    "line",
    [b"\0" * 4096, b"[" * 5000, b"{}", b"null", b'{"when": 1}', b"\xff\xfe", b'"' + b"a" * 70_000],
)
def test_what_is_no_event_is_counted(path, line):
    append_events(path, (event("a"),), 0o644)
    with path.open("ab") as file:
        file.write(line + b"\n")
    append_events(path, (event("b"),), 0o644)
    found = read_history(path)
    assert found.events == (event("a"), event("b")) and found.damaged_lines == 1


def test_a_long_reason_is_cut(path):
    append_events(path, (Event.at(MOMENT, "refused", None, None, "x" * 10**6, "y" * 10**6),), 0o644)
    assert path.stat().st_size < 2000


def test_a_long_history_loses_its_older_half(path, monkeypatch):
    monkeypatch.setattr(history, "LARGEST_BYTES", 2000)
    for number in range(100):
        append_events(path, (event(str(number)),), 0o644)
        assert path.stat().st_size <= 2000
        assert read_history(path).events[-1] == event(str(number))
    numbers = [int(event.why) for event in read_history(path).events]
    assert numbers == list(range(numbers[0], 100)) and len(numbers) > 4


def test_a_disk_that_takes_half_a_line_keeps_the_file_as_it_was(path, monkeypatch):
    append_events(path, (event("a"),), 0o644)
    before = path.read_bytes()

    def half(handle: int, content: bytes) -> None:
        os.write(handle, content[: len(content) // 2])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("edge_runtime.store.durable.write_all", half)
    with pytest.raises(OSError):
        append_events(path, (event("b"),), 0o644)
    assert path.read_bytes() == before
