import contextlib
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import textwrap
import time

import pytest

from edge_runtime.sinks import outbox as module
from edge_runtime.sinks.outbox import Outbox

from .conftest import HOSTILE, event, wait_for

CAP = 2**20


@pytest.fixture
def opened(tmp_path):
    """Opens an outbox at a path and closes it at the end."""
    outboxes = []

    def start(path=tmp_path / "state" / "events.sqlite", cap_bytes=CAP) -> Outbox:
        outbox = Outbox(path, cap_bytes, lambda: None)
        outbox.start()
        outboxes.append(outbox)
        return outbox

    yield start
    for outbox in outboxes:
        outbox.close(10)


def on_disk(outbox: Outbox, count: int) -> None:
    """Waits until so many events are on the disk."""
    wait_for(lambda: len(outbox.oldest(count + 1)) == count)


def ids(events) -> list[str]:
    return [event.id for event in events]


def test_hands_out_in_order_until_delivered(opened):
    outbox, events = opened(), [event(number=number) for number in range(5)]
    for each in events:
        outbox.put(each)
    on_disk(outbox, 5)
    assert outbox.oldest(2) == events[:2] == outbox.oldest(2), "the same until they are delivered"
    outbox.delivered(events[:2])
    assert outbox.oldest(10) == events[2:] and outbox.waiting == 3
    outbox.delivered(events[3:4])
    assert outbox.oldest(10) == [events[2], events[4]]
    outbox.delivered(outbox.oldest(10))
    assert outbox.waiting == 0 and outbox.oldest(10) == [] and outbox.dropped == 0
    assert outbox.trouble == outbox.note == ""


@pytest.mark.parametrize("label", HOSTILE)
def test_keeps_any_label(opened, label):
    outbox, given = opened(), event(label)
    outbox.put(given)
    on_disk(outbox, 1)
    assert outbox.oldest(1) == [given]


def test_the_next_run_goes_on(opened):
    first, events = opened(), [event(number=number) for number in range(3)]
    for each in events:
        first.put(each)
    on_disk(first, 3)
    first.delivered(events[:1])
    first.close(10)
    second = opened()
    on_disk(second, 2)
    second.put(event(number=3))
    on_disk(second, 3)
    assert ids(second.oldest(2)) == ids(events[1:])


def test_what_was_put_last_is_written_before_it_closes(opened, tmp_path):
    outbox, events = opened(), [event(number=number) for number in range(100)]
    for each in events:
        outbox.put(each)
    outbox.close(10)
    assert rows(tmp_path / "state" / "events.sqlite") == ids(events)


def rows(path) -> list[str]:
    with contextlib.closing(sqlite3.connect(path)) as connection:
        return [name for (name,) in connection.execute("SELECT id FROM records ORDER BY seq")]


def test_survives_kill_9(tmp_path):
    path = tmp_path / "events.sqlite"
    script = """
        import os, signal, sys
        from pathlib import Path
        from edge_runtime.deciding.observation import Event
        from edge_runtime.sinks.outbox import Outbox
        outbox = Outbox(Path(sys.argv[1]), 2**20, lambda: None)
        outbox.start()
        for number in range(50):
            outbox.put(Event(f"{number:032}", "entered", "cat", 0.9, number, "door", number))
        while len(outbox.oldest(50)) < 50:
            pass
        outbox.delivered(outbox.oldest(10))
        os.kill(os.getpid(), signal.SIGKILL)
    """
    ended = subprocess.run([sys.executable, "-c", textwrap.dedent(script), path], capture_output=True)
    assert ended.returncode == -signal.SIGKILL, ended.stderr
    assert rows(path) == [f"{number:032}" for number in range(10, 50)]


def test_survives_a_power_cut(opened, tmp_path):
    """What a disk has at any moment: copies of the files, taken while they are written, open whole."""
    path, outbox = tmp_path / "state" / "events.sqlite", opened()
    for number in range(20):
        outbox.put(event(number=number))
        on_disk(outbox, number + 1)
        copy = tmp_path / f"copy{number}"
        copy.mkdir()
        for file in path.parent.iterdir():
            shutil.copy(file, copy)
        (copy / "events.sqlite-shm").unlink()  # is memory, and gone
        assert len(rows(copy / "events.sqlite")) == number + 1


def test_a_cut_log_loses_its_end_alone(opened, tmp_path):
    """The power failed within a write, so the last one is half on the disk."""
    path, outbox = tmp_path / "state" / "events.sqlite", opened()
    for number in range(3):
        outbox.put(event(number=number))
        on_disk(outbox, number + 1)
    copy = tmp_path / "copy"
    shutil.copytree(path.parent, copy)
    (copy / "events.sqlite-shm").unlink()
    log = copy / "events.sqlite-wal"
    os.truncate(log, log.stat().st_size - 1000)
    later = opened(copy / "events.sqlite")
    on_disk(later, 2)
    assert later.oldest(3) == outbox.oldest(2) and later.note == ""


def test_at_its_cap_it_drops_the_oldest_and_says_so(opened, tmp_path):
    outbox = opened(cap_bytes=64 * 1024)
    names = []
    for number in range(2000):
        each = event("x" * 100, number)
        names.append(each.id)
        outbox.put(each)
        while len(outbox._fresh) > 500:
            time.sleep(0.01)
    outbox.stop()
    outbox._thread.join(20)  # all is written, and what was dropped is counted
    kept = ids(outbox.oldest(3000))
    assert 100 < len(kept) < 300
    assert kept == names[-len(kept) :], "the newest, all of them"
    assert outbox.dropped == 2000 - len(kept)
    assert outbox.waiting == len(kept)
    assert f"events lost: {outbox.dropped}" in outbox.note
    outbox.close(10)
    files = {file.name: file.stat().st_size for file in (tmp_path / "state").iterdir()}
    assert files == {"events.sqlite": files["events.sqlite"]} and files["events.sqlite"] <= 64 * 1024


def test_the_file_shrinks_when_events_are_delivered(opened, tmp_path):
    outbox = opened(cap_bytes=2**24)
    for number in range(900):
        outbox.put(event("x" * 1000, number))
    on_disk(outbox, 900)
    outbox.delivered(outbox.oldest(900))
    outbox.put(event())
    on_disk(outbox, 1)
    outbox.close(10)
    assert (tmp_path / "state" / "events.sqlite").stat().st_size < 2**20


GARBAGE = {
    "no database": b"no database at all " * 1000,
    "empty": b"",
    "a header alone": b"SQLite format 3\0" + bytes(5000),
    "zeros": bytes(8192),
}


@pytest.mark.parametrize("content", GARBAGE.values(), ids=GARBAGE)
def test_a_damaged_file_is_set_aside(opened, tmp_path, content):
    path = tmp_path / "events.sqlite"
    path.write_bytes(content)
    outbox = opened(path)
    outbox.put(event())
    on_disk(outbox, 1)
    if content:  # an empty file is a database without tables
        assert (tmp_path / "events.sqlite.damaged").read_bytes() == content
        assert "was damaged" in outbox.note and "events.sqlite.damaged" in outbox.note
    assert outbox.trouble == ""


def test_a_database_of_others_is_set_aside(opened, tmp_path):
    path = tmp_path / "events.sqlite"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE records (colour TEXT)")
    connection.close()
    outbox = opened(path)
    outbox.put(event())
    on_disk(outbox, 1)
    assert (tmp_path / "events.sqlite.damaged").exists()


@pytest.mark.parametrize("where", ["first", "middle", "last", "everywhere"])
def test_damaged_pages_are_found(opened, tmp_path, where):
    first, path = opened(), tmp_path / "state" / "events.sqlite"
    for number in range(500):
        first.put(event("x" * 200, number))
    on_disk(first, 500)
    first.close(10)
    content = bytearray(path.read_bytes())
    size = len(content)
    start, end = {"first": (100, 2000), "middle": (size // 2, size // 2 + 9000), "last": (size - 4096, size),
                  "everywhere": (4096, size)}[where]  # fmt: skip
    content[start:end] = os.urandom(end - start)
    path.write_bytes(content)
    second = opened()
    last = event(number=1000)
    second.put(last)
    wait_for(lambda: not second._fresh)
    assert second.oldest(1000)[-1] == last
    assert second.oldest(1000) == [last] or second.dropped, (
        "what cannot be read is not passed over in silence"
    )


def test_a_file_damaged_while_it_runs_is_set_aside(opened, tmp_path):
    outbox, path = opened(), tmp_path / "state" / "events.sqlite"
    for number in range(500):
        outbox.put(event("x" * 200, number))
    on_disk(outbox, 500)
    for file in path.parent.iterdir():
        file.write_bytes(os.urandom(file.stat().st_size))
    last = event(number=1000)
    outbox.put(last)
    wait_for(lambda: ids(outbox.oldest(1000))[-1:] == [last.id])
    assert outbox.trouble == ""


def test_a_row_that_makes_no_sense_is_dropped(opened, tmp_path):
    first, path = opened(), tmp_path / "state" / "events.sqlite"
    events = [event(number=number) for number in range(3)]
    for each in events:
        first.put(each)
    first.close(10)
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE records SET content = '{' WHERE id = ?", (events[1].id,))
    connection.close()
    second = opened()
    wait_for(lambda: second.waiting == 3)
    assert second.oldest(10) == [events[0], events[2]]
    assert second.waiting == 2 and second.dropped == 1


def test_a_full_disk_keeps_events_in_memory_and_reports(full, opened):
    disk, fill, make_room = full
    outbox = opened(disk / "events.sqlite")
    before, during, after = event(number=0), event(number=1), event(number=2)
    outbox.put(before)
    on_disk(outbox, 1)
    fill()
    outbox.put(during)
    wait_for(lambda: "full" in outbox.trouble)
    assert outbox.oldest(10) == [before, during] and outbox.waiting == 2
    make_room()
    outbox.put(after)
    wait_for(lambda: not outbox.trouble)
    assert outbox.oldest(10) == [before, during, after]
    outbox.close(10)
    assert rows(disk / "events.sqlite") == ids([before, during, after])


def test_delivered_while_the_disk_is_full_is_not_handed_out_again(full, opened):
    disk, fill, make_room = full
    outbox = opened(disk / "events.sqlite")
    events = [event(number=number) for number in range(4)]
    for each in events[:2]:
        outbox.put(each)
    on_disk(outbox, 2)
    fill()
    for each in events[2:]:
        outbox.put(each)
    wait_for(lambda: outbox.trouble)
    outbox.delivered([events[0], events[2]])
    assert outbox.oldest(10) == [events[1], events[3]] and outbox.waiting == 2
    make_room()
    wait_for(lambda: not outbox.trouble)
    assert outbox.oldest(10) == [events[1], events[3]] and outbox.waiting == 2
    outbox.close(10)
    assert rows(disk / "events.sqlite") == ids([events[1], events[3]])


def test_memory_is_bounded_while_the_disk_is_full(full, opened, monkeypatch):
    monkeypatch.setattr(module, "MOST_IN_MEMORY", 10)
    disk, fill, _ = full
    fill()
    outbox = opened(disk / "events.sqlite")
    events = [event(number=number) for number in range(25)]
    for each in events:
        outbox.put(each)
    wait_for(lambda: outbox.trouble)
    assert outbox.oldest(100) == events[-10:]
    assert outbox.dropped == 15 and "events lost: 15" in outbox.note


def test_a_folder_that_cannot_be_written(tmpfs, opened):
    outbox = opened(tmpfs("ro,size=1m") / "state" / "events.sqlite")
    given = event()
    outbox.put(given)
    wait_for(lambda: "Read-only" in outbox.trouble)
    assert outbox.oldest(1) == [given]
    outbox.delivered([given])
    assert outbox.waiting == 0


def test_refused_events_are_set_aside_for_the_next_run(opened):
    first, events = opened(), [event(number=number) for number in range(3)]
    for each in events:
        first.put(each)
    on_disk(first, 3)
    first.refuse(events[1], "answered 400")
    assert first.oldest(10) == [events[0], events[2]] and first.waiting == 2
    assert (
        "events refused and set aside: 1" in first.note and "answered 400" in first.note and not first.dropped
    )
    first.close(10)
    second = opened()
    on_disk(second, 3)
    assert second.oldest(10) == events


def test_the_same_event_twice_is_one(opened):
    outbox, given = opened(), event()
    outbox.put(given)
    on_disk(outbox, 1)
    outbox.put(given)
    wait_for(lambda: not outbox._fresh)
    assert outbox.waiting == 1


def test_put_does_not_wait_for_a_disk_that_hangs(opened):
    outbox = opened()
    wait_for(lambda: outbox._loaded)
    with outbox._database._lock:  # as held by a write that does not come back
        begun = time.monotonic()
        for number in range(1000):
            outbox.put(event(number=number))
        assert time.monotonic() - begun < 1
        begun = time.monotonic()
        outbox.close(0.5)
        assert time.monotonic() - begun < 5
