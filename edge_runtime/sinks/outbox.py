"""Events on disk until they are delivered."""

import json
import sqlite3
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Self, TypeVar

from edge_runtime.deciding.observation import Event, Observation
from edge_runtime.sinks.background import Background, Backoff
from edge_runtime.sinks.database import VERSION, Database, StorageError
from edge_runtime.sinks.sink import SinkStatus

MOST_IN_MEMORY = 1000
"""Events that wait for the disk; it takes them in milliseconds unless it is full or gone."""

Result = TypeVar("Result")


class Outbox:
    """A queue of events in a file: what it holds is there after kill -9 and power cuts, until it is `delivered`.

    `put` notes an event in memory and a thread of the outbox writes it to the disk, which takes milliseconds on
    a healthy one: what comes in that time is all that a power cut takes away. While the disk is full or gone,
    events stay in memory, at most MOST_IN_MEMORY, and are handed out from there.

    At its cap the oldest events are dropped, and counted. An event may be handed out twice after a crash: with the
    same id.
    """

    def __init__(self, path: Path, cap_bytes: int, wake: Callable[[], None]):
        """Opens nothing yet.

        Args:
            path: The SQLite file; its folder is made.
            cap_bytes: How large it may become; its log takes up to LOG_BYTES more.
            wake: Called, from the outbox's thread, when `oldest` may have more to give.
        """
        self._database = Database(
            path, "id TEXT NOT NULL UNIQUE, content TEXT NOT NULL, refused TEXT", cap_bytes
        )
        self._wake = wake
        self._stopping = threading.Event()
        self._changed = threading.Condition()  # guards what follows; never held while the disk works
        self._fresh: dict[str, Event] = {}  # by id, oldest first: not on the disk yet
        self._done: set[str] = set()  # delivered, and the disk has not forgotten them yet
        self._on_disk = 0
        self._dropped = 0
        self._refused, self._refusal = 0, ""
        self._loaded = False
        self._write_error = self._read_error = ""
        self._thread = threading.Thread(target=self._keep, name=f"litelens {path.name}", daemon=True)

    def start(self) -> None:
        """Begins to write, and looks at what an earlier run left."""
        self._thread.start()

    def stop(self) -> None:
        """Asks the thread to write what is in memory and to end; returns at once."""
        with self._changed:
            self._stopping.set()
            self._changed.notify_all()

    def close(self, timeout_s: float) -> None:
        """Waits for the thread, at most so long, and closes the file."""
        self.stop()
        self._thread.join(timeout_s)
        self._database.close()

    def put(self, event: Event) -> None:
        """Takes an event and returns at once."""
        with self._changed:
            self._fresh[event.id] = event
            if len(self._fresh) > MOST_IN_MEMORY:
                del self._fresh[next(iter(self._fresh))]
                self._dropped += 1
            self._changed.notify_all()

    def oldest(self, count: int) -> list[Event]:
        """The next events to deliver, oldest first, at most count; the same ones until they are `delivered`."""
        events = self._read(count) if self._on_disk else []
        if self._write_error:  # better sent from memory than not at all
            with self._changed:
                events += list(self._fresh.values())[: count - len(events)]
        return events

    def delivered(self, events: list[Event]) -> None:
        """Forgets events."""
        with self._changed:
            self._done.update(e.id for e in events if self._fresh.pop(e.id, None) is None)
        try:
            self._forget_done()
        except StorageError as problem:
            self._write_failed(problem)

    def refuse(self, event: Event, reason: str) -> None:
        """Sets an event aside that the receiver will not take; the next run tries it once more."""
        with self._changed:
            self._refused += 1
            self._refusal = reason
            if self._fresh.pop(event.id, None):  # not on disk, so it cannot be set aside there
                self._dropped += 1
                return
        update = "UPDATE records SET refused = ? WHERE id = ?"
        try:
            count = self._run(lambda connection: connection.execute(update, (reason, event.id)).rowcount)
        except StorageError as problem:
            with self._changed:
                self._done.add(event.id)
            self._write_failed(problem)
        else:
            with self._changed:
                self._on_disk -= count

    @property
    def waiting(self) -> int:
        """Events to be delivered, on disk and in memory; those that were refused are not counted."""
        return max(0, self._on_disk + len(self._fresh) - len(self._done))

    @property
    def dropped(self) -> int:
        """Events that were lost: at the cap, with a damaged file, or in memory while the disk was full."""
        return self._dropped

    @property
    def trouble(self) -> str:
        """What the disk does not do, or ""."""
        return self._write_error or self._read_error

    @property
    def note(self) -> str:
        """What became of events that were not delivered, or ""."""
        refused = f"events refused and set aside: {self._refused}, the last: {self._refusal}"
        lost = f"events lost: {self._dropped}"
        found = (self._database.damage, refused if self._refused else "", lost if self._dropped else "")
        return "; ".join(filter(None, found))

    def _keep(self) -> None:
        """The thread: brings events from memory to the disk."""
        backoff = Backoff()
        while self._wait_for_work():
            try:
                if not self._loaded:
                    self._load()
                self._write()
            except StorageError as problem:
                self._write_error = str(problem)
                self._wake()
                if self._stopping.is_set():
                    return
                self._stopping.wait(backoff.next_s())
            else:
                self._write_error = ""
                backoff.reset()
                self._wake()

    def _wait_for_work(self) -> bool:
        """Waits for anything to do; False when the outbox is stopped and there is nothing."""

        def due() -> bool:
            # After an error the disk is tried again even if no event comes: the status is to tell how it is now.
            return bool(self._fresh or not self._loaded or self._write_error or self._stopping.is_set())

        with self._changed:
            self._changed.wait_for(due)
            return bool(self._fresh) or not self._stopping.is_set()

    def _load(self) -> None:
        """Counts what an earlier run left. What was refused has another chance: the address may be right by now."""

        def load(connection: sqlite3.Connection) -> int:
            connection.execute("UPDATE records SET refused = NULL WHERE refused IS NOT NULL")
            return _count(connection)

        found = self._run(load)
        with self._changed:
            self._on_disk = found
            self._loaded = True

    def _write(self) -> None:
        """Moves what is in memory to the disk, and drops the oldest above the cap."""

        def insert(connection: sqlite3.Connection) -> tuple[int, list[str]]:
            # Read within the transaction: what is delivered from memory before it is not written.
            with self._changed:
                events = list(self._fresh.values())
            if self._write_error:  # the same value again, but a page to write: does the disk take it by now?
                connection.execute(f"PRAGMA user_version = {VERSION}")
            # In ASCII: SQLite takes no text that is no Unicode, as in a path.
            rows = [(event.id, json.dumps(vars(event))) for event in events]
            before = connection.total_changes
            connection.executemany("INSERT OR IGNORE INTO records (id, content) VALUES (?, ?)", rows)
            return connection.total_changes - before, [event.id for event in events]

        added, written = self._run(insert)
        with self._changed:
            self._on_disk += added
            # What was delivered from memory in the meantime is on the disk now, to be forgotten there.
            self._done.update(name for name in written if self._fresh.pop(name, None) is None)
        if self._done:
            self._forget_done()
        if trimmed := self._database.trim():
            left = self._run(_count)
            with self._changed:
                self._dropped += trimmed
                self._on_disk = left

    def _read(self, count: int) -> list[Event]:
        select = "SELECT id, content FROM records WHERE refused IS NULL ORDER BY seq LIMIT ?"
        with self._changed:
            done = set(self._done)
        try:
            rows = self._run(lambda connection: connection.execute(select, (count + len(done),)).fetchall())
        except StorageError as problem:
            self._read_error = str(problem)
            return []
        self._read_error = ""
        found = {name: _event(content) for name, content in rows if name not in done}
        if altered := {name for name, event in found.items() if event is None}:  # by a failing disk
            with self._changed:
                self._dropped += len(altered)
                self._done |= altered
        return [event for event in found.values() if event][:count]

    def _write_failed(self, problem: StorageError) -> None:
        """Has the outbox's thread try again: a full disk does not even take deletions."""
        with self._changed:
            self._write_error = str(problem)
            self._changed.notify_all()

    def _forget_done(self) -> None:
        """Deletes from the disk what was delivered."""
        with self._changed:
            done = set(self._done)

        def delete(connection: sqlite3.Connection) -> int:
            before = connection.total_changes
            connection.executemany("DELETE FROM records WHERE id = ?", [(name,) for name in done])
            return connection.total_changes - before

        deleted = self._run(delete)
        with self._changed:
            self._on_disk -= deleted
            self._done -= done

    def _run(self, work: Callable[[sqlite3.Connection], Result]) -> Result:
        damages = self._database.damages
        result = self._database.run(work)
        if self._database.damages != damages:
            with self._changed:
                self._dropped += max(0, self._on_disk - len(self._done))
                self._on_disk = 0
                self._done.clear()
        return result


class EventSink(Background):
    """A sink whose events wait in an outbox until `work` has delivered them."""

    def __init__(self, name: str, outbox: Path, cap_bytes: int):
        """Takes the sink's name, and the outbox's file and size."""
        super().__init__(name)
        self.outbox = Outbox(outbox, cap_bytes, self.wake)

    def __enter__(self) -> Self:
        self.outbox.start()
        return super().__enter__()

    def __exit__(self, *exception: object) -> None:
        super().__exit__()
        self.outbox.close(self.seconds_left())

    def stop(self) -> None:
        super().stop()
        self.outbox.stop()

    def take(self, observation: Observation) -> None:
        """Keeps the events."""
        for event in observation.events:
            self.outbox.put(event)

    @property
    def done(self) -> bool:
        """Whether the sink is to end now: it was stopped, and nothing waits or the time is over."""
        return self.stopping and not (self.outbox.waiting and self.seconds_left())

    def status(self) -> SinkStatus:
        return self.status_with(
            waiting=self.outbox.waiting,
            dropped=self.outbox.dropped,
            trouble=self.outbox.trouble,
            note=self.outbox.note,
        )


def _count(connection: sqlite3.Connection) -> int:
    return connection.execute("SELECT count(*) FROM records WHERE refused IS NULL").fetchone()[0]


def _event(content: str) -> Event | None:
    try:
        return Event(**json.loads(content))
    except (ValueError, TypeError):
        return None
