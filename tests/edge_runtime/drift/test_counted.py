"""The history as it is read beside the loop that writes it."""

import contextlib
import json
import os
import sqlite3
import time

import pytest

from edge_runtime.drift.counted import HistoryUnreadable, read_counted
from edge_runtime.drift.histogram import Histogram
from edge_runtime.sinks.database import Database

LABELS = ("blue", "green", "red")
INSERT = "INSERT INTO records (time, kind, content) VALUES (?, ?, ?)"
COLUMNS = "time REAL NOT NULL, kind TEXT NOT NULL, content TEXT NOT NULL"


@pytest.fixture
def state(tmp_path):
    folder = tmp_path / "state"
    folder.mkdir()
    return folder


@pytest.fixture
def write(state):
    """Adds records as the loop does: (age in days, kind, content)."""

    def write(*records: tuple[float, str, object], close: bool = True) -> Database:
        database = Database(state / "history.sqlite", COLUMNS, 2**20)
        for age_days, kind, content in records:
            row = (time.time() - age_days * 86_400, kind, json.dumps(content))
            database.run(lambda connection, row=row: connection.execute(INSERT, row))
        if close:
            database.close()
        return database

    return write


def record(frames: int = 5, model: str = "tiny", version: str = "1", since: float = 1e9, **fields) -> dict:
    histogram = Histogram(LABELS)
    for _ in range(frames):
        histogram.count(2, 0.97, False)
    return {"model": model, "version": version, "since": since, **histogram.to_dict()} | fields


def read(state, days: float = 7):
    return read_counted(state, "tiny", "1", LABELS, days)


def test_adds_up_the_records_of_one_version(state, write):
    events = [(0, "entered", {"label": "red"}), (0, "scores", {"frames": 9})]
    others = [(0, "histogram", record(version="2")), (0, "histogram", record(model="other"))]
    write(*events, *others, (2, "histogram", record(3, since=7.0)), (1, "histogram", record(4)))
    found = read(state)
    assert found.histogram.counts[2, -1] == found.histogram.frames == 7
    assert (found.since, found.unreadable) == (7.0, 0)
    assert found.until == pytest.approx(time.time() - 86_400, abs=600)


def test_leaves_out_what_is_older(state, write):
    write((3, "histogram", record(1)), (1.5, "histogram", record(10)), (0.5, "histogram", record(100)))
    assert [read(state, days).histogram.frames for days in (7, 2, 1, 0.1)] == [111, 110, 100, 0]
    assert read(state, 0.1).since is None and read(state, 0.1).until is None


@pytest.mark.parametrize(
    "content",
    [
        None,
        5,
        [],
        record(since="yesterday"),
        record(since=1e300),
        record(since=True),
        record(frames=5, unknown={"blue": 1}),
        record(counts={"cat": {"19": 5}}),
        record(more=1),
    ],
)
def test_a_record_that_cannot_be_read_is_counted_and_left_out(state, write, content):
    write((0, "histogram", content), (0, "histogram", record(4)))
    found = read(state)
    assert (found.histogram.frames, found.unreadable) == (4, 1)


def test_texts_that_are_no_json_are_left_out(state, write):
    write((0, "histogram", record(4)))
    with contextlib.closing(sqlite3.connect(state / "history.sqlite")) as connection:
        for content in ("{", "[" * 100_000, b"\xff\x00"):
            connection.execute(INSERT, (9e9, "histogram", content))
        connection.commit()
    assert (read(state).histogram.frames, read(state).unreadable) == (4, 3)


def test_is_read_while_the_loop_writes(state, write):
    loop = write((0, "histogram", record(4)), close=False)
    assert (state / "history.sqlite-wal").exists()
    assert read(state).histogram.frames == 4
    loop.run(lambda connection: connection.execute(INSERT, (9e9, "histogram", json.dumps(record(1)))))
    assert read(state).histogram.frames == 5
    loop.close()


def test_leaves_nothing_behind(state, write):
    """A log made by root, who looks, would keep the loop's user from writing its own."""
    write((0, "histogram", record(4)))
    before = {path.name: path.read_bytes() for path in state.iterdir()}
    assert list(before) == ["history.sqlite"]
    state.chmod(0o555)
    assert read(state).histogram.frames == 4
    assert {path.name: path.read_bytes() for path in state.iterdir()} == before
    state.chmod(0o755)


def test_no_history_says_how_to_keep_one(state):
    with pytest.raises(HistoryUnreadable, match="there is no .*history.sqlite") as missing:
        read(state)
    assert "--history" in missing.value.hint


@pytest.mark.parametrize("content", [b"no database" * 1000, b"", b"SQLite format 3\0" + bytes(4080)])
def test_what_is_no_history_is_named(state, content):
    (state / "history.sqlite").write_bytes(content)
    with pytest.raises(HistoryUnreadable, match="history.sqlite cannot be read"):
        read(state)


def test_a_folder_in_its_place_is_named(state):
    (state / "history.sqlite").mkdir()
    with pytest.raises(HistoryUnreadable, match="history.sqlite cannot be read"):
        read(state)


def test_who_may_not_read_it_is_told_so(state, write):
    write((0, "histogram", record()))
    if os.getuid():
        (state / "history.sqlite").chmod(0)
        with pytest.raises(HistoryUnreadable, match="may not be read"):
            read(state)
        return
    # Root may read all: another user has to look.
    (state / "history.sqlite").chmod(0o600)
    for folder in (state, *state.parents):
        folder.chmod(folder.stat().st_mode | 0o711)
    child = os.fork()
    if not child:
        os.setuid(65534)
        try:
            read(state)
        except HistoryUnreadable as problem:
            os._exit(0 if "may not be read" in str(problem) else 2)
        os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
