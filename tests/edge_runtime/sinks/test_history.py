import contextlib
import dataclasses
import json
import sqlite3

import numpy as np
import pytest

from edge_runtime.sinks import history as module
from edge_runtime.sinks.history import History
from edge_runtime.sinks.settings import HistorySettings

from .conftest import HOSTILE, LABELS, event, model_of, observation, wait_for


@pytest.fixture
def path(tmp_path):
    return tmp_path / "state" / "history.sqlite"


@pytest.fixture
def clock(monkeypatch):
    """A clock that goes on when it is told."""

    class Clock:
        seconds = 1000.0

        def __call__(self) -> float:
            return self.seconds

    clock = Clock()
    monkeypatch.setattr(module, "monotonic", clock)
    return clock


def history(path, model=model_of, **settings) -> History:
    return History(HistorySettings(**settings), path, model)


def records(path, kinds: tuple[str, ...] = ("entered", "left", "scores")) -> list[tuple]:
    query = (
        f"SELECT time, kind, content FROM records WHERE kind IN ({','.join('?' * len(kinds))}) ORDER BY seq"
    )
    with contextlib.closing(sqlite3.connect(path)) as connection:
        rows = connection.execute(query, kinds).fetchall()
    return [(time, kind, json.loads(content)) for time, kind, content in rows]


def test_keeps_events(path):
    events = [event("blue"), event("blue", 1, "left"), event("red", 1)]
    with history(path) as kept:
        kept.take(observation(events[0]))
        kept.take(observation(*events[1:]))
        assert kept.recent(2) == [events[2], events[1]]
    assert [(kind, content) for _, kind, content in records(path)] == [(e.kind, vars(e)) for e in events]
    assert kept.status().delivered == 4 and kept.status().ok, "the counts of the run are a record, too"


def test_the_next_run_remembers(path):
    events = [event(number=number) for number in range(5)]
    with history(path) as first:
        first.take(observation(*events[:3]))
    with history(path) as second:
        wait_for(lambda: second.recent(9))
        second.take(observation(*events[3:]))
        assert second.recent(9) == events[::-1] and second.recent(2) == events[:2:-1]
        assert second.recent(0) == second.recent(-1) == []


def test_an_event_before_the_earlier_ones_are_read_is_newer_than_they(path):
    old, new = event(number=1), event(number=2)
    with history(path) as first:
        first.take(observation(old))
    second = history(path)
    second.take(observation(new))
    with second:
        wait_for(lambda: len(second.recent(9)) == 2)
    assert second.recent(9) == [new, old]


def test_keeps_mean_scores(path, clock):
    with history(path, sample_s=60) as kept:
        for scores in ((1.0, 0.0, 0.0), (0.5, 0.5, 0.0)):
            kept.take(observation(scores=scores, time_s=10.0, state="unknown"))
        clock.seconds += 60
        kept.take(observation(scores=(0.0, 0.0, 1.0), time_s=70.0))
        wait_for(lambda: kept.delivered)
    assert records(path) == [
        (10.0, "scores", {"frames": 2, "state": "unknown", "scores": {"blue": 0.75, "green": 0.25}})
    ]


def test_another_model_begins_another_mean(path, clock):
    model = model_of()
    with history(path, lambda: model) as kept:
        kept.take(observation(scores=(1.0, 0.0, 0.0)))
        model = model_of(("cat", "dog"))
        kept.take(observation(scores=(0.0, 1.0), labels=("cat", "dog"), state="dog"))
        clock.seconds += 60
        kept.take(observation(scores=(0.0, 1.0), labels=("cat", "dog"), state="dog"))
        wait_for(lambda: kept.delivered == 3)  # and what was counted of the model before
    assert [content["scores"] for _, _, content in records(path)] == [{"blue": 1.0}, {"dog": 1.0}]


def counts(path) -> list[tuple[str, str, int, dict]]:
    """Model, version, frames and counts of each histogram."""
    contents = [content for _, _, content in records(path, ("histogram",))]
    return [(c["model"], c["version"], c["frames"], c["counts"]) for c in contents]


def test_counts_a_frame_a_second(path, clock):
    """Thirty frames a second for ten minutes are six hundred; the last of a lost camera, told twice, is one."""
    with history(path) as kept:
        for number in range(30 * 600):
            kept.take(observation(number=number, time_s=float(number)))
            clock.seconds += 1 / 30
        clock.seconds += 60
        kept.take(observation(number=20_000, scores=(0.1, 0.12, 0.78), time_s=7.0))
        clock.seconds += 60
        kept.take(observation(number=20_000, scores=(0.1, 0.12, 0.78), time_s=8.0))
    found = counts(path)
    assert len(found) == 2 and found[0][:2] == ("tiny", "1") and set(found[0][3]) == {"blue"}
    assert 550 <= found[0][2] <= 600 and found[0][3]["blue"] == {"18": found[0][2]}
    assert found[1][2:] == (1, {"red": {"15": 1}})
    times = [(content["since"], at) for at, _, content in records(path, ("histogram",))]
    assert times[0][0] == 0.0 and times[0][1] > 17_000 and times[1] == (7.0, 7.0)


def test_counts_what_the_frame_said_not_what_is_in_view(path):
    one = observation(scores=(0.41, 0.39, 0.2), state="green")
    with history(path) as kept:
        kept.take(dataclasses.replace(one, answer="unknown", scores=np.array((0, 1, 0), np.float32)))
    ((_, _, content),) = records(path, ("histogram",))
    assert content["counts"] == {"blue": {"8": 1}} and content["unknown"] == {"blue": 1}


def test_another_version_begins_other_counts(path, clock):
    model = model_of()
    with history(path, lambda: model) as kept:
        kept.take(observation(number=1))
        model = model_of(version="2")
        kept.take(observation(number=2))
        clock.seconds += 2
        kept.take(observation(number=3))
        wait_for(lambda: kept.delivered == 1)
        assert [row[1:3] for row in counts(path)] == [("1", 1)]
    assert [row[1:3] for row in counts(path)] == [("1", 1), ("2", 2)]


def test_counts_are_on_the_disk_after_ten_minutes(path, clock):
    with history(path) as kept:
        kept.take(observation(number=1))
        clock.seconds += 599
        kept.take(observation(number=2))
        wait_for(lambda: kept.delivered == 1)  # the mean of its first minute
        assert counts(path) == []
        clock.seconds += 1
        kept.take(observation(number=3))
        wait_for(lambda: kept.delivered == 2)
        assert [row[2] for row in counts(path)] == [2]


def test_counts_are_no_events(path):
    with history(path) as kept:
        kept.take(observation(given := event()))
    with history(path) as later:
        wait_for(lambda: later.recent(9))
        assert later.recent(9) == [given]


@pytest.mark.parametrize("label", HOSTILE)
def test_keeps_any_label(path, clock, label):
    labels = (label, *LABELS[1:])
    with history(path, lambda: model_of(labels)) as kept:
        kept.take(observation(given := event(label), labels=labels, state=label))
        clock.seconds += 60
        kept.take(observation(labels=labels, state=label))
        wait_for(lambda: kept.delivered == 2)
    assert [content for _, kind, content in records(path) if kind == "entered"] == [vars(given)]
    with history(path) as later:
        wait_for(lambda: later.recent(1) == [given])


def test_at_its_cap_the_oldest_go_and_the_file_stays_small(path):
    with history(path, cap_bytes=64 * 1024) as kept:
        for number in range(400):
            kept.take(observation(event("x" * 800, number), number=number))
        wait_for(lambda: kept.status().waiting == 0)
    found = [content["frame"] for _, _, content in records(path)]
    assert 20 < len(found) < 80 and found == list(range(400 - len(found), 400))
    assert [file.name for file in path.parent.iterdir()] == [path.name]
    assert path.stat().st_size <= 64 * 1024 + 4096


def test_a_smaller_cap_shrinks_the_file(path):
    with history(path) as large:
        for number in range(100):
            large.take(observation(event("x" * 9000, number)))
        wait_for(lambda: large.status().waiting == 0)
    assert path.stat().st_size > 900_000
    with history(path, cap_bytes=64 * 1024) as small:
        small.take(observation(event()))
        wait_for(lambda: small.delivered)
    assert path.stat().st_size <= 64 * 1024 + 4096


def test_a_damaged_file_is_set_aside(path):
    path.parent.mkdir()
    path.write_bytes(b"no database" * 1000)
    with history(path) as kept:
        kept.take(observation(event()))
        wait_for(lambda: kept.delivered)
        assert kept.status().ok and "was damaged" in kept.status().error
    assert len(records(path)) == 1
    assert path.with_name("history.sqlite.damaged").exists()


def test_a_full_disk_is_reported_and_nothing_is_lost(full):
    disk, fill, make_room = full
    with history(disk / "history.sqlite") as kept:
        kept.take(observation(before := event()))
        wait_for(lambda: kept.delivered == 1)
        fill()
        kept.take(observation(during := event()))
        wait_for(lambda: "full" in kept.status().error)
        assert not kept.status().ok and kept.recent(9) == [during, before]
        make_room()
        wait_for(lambda: kept.delivered == 2)
        assert kept.status().ok
    assert [content["id"] for _, _, content in records(disk / "history.sqlite")] == [before.id, during.id]


def test_a_folder_that_cannot_be_written_is_reported(tmpfs):
    with history(tmpfs("ro,size=1m") / "history.sqlite") as kept:
        kept.take(observation(given := event()))
        wait_for(lambda: not kept.status().ok)
        assert kept.recent(1) == [given]


def test_can_be_read_by_others_while_it_runs(path):
    with history(path) as kept:
        kept.take(observation(event("red")))
        wait_for(lambda: kept.delivered)
        with contextlib.closing(sqlite3.connect(path)) as connection:
            query = "SELECT json_extract(content, '$.label') FROM records WHERE kind = 'entered'"
            assert connection.execute(query).fetchall() == [("red",)]
