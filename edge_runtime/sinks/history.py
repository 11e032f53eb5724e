"""What happened, for months, in one file: events, mean scores, and how sure the model was."""

import json
import sqlite3
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from time import monotonic

import numpy as np

from edge_runtime.deciding.observation import Event, Observation
from edge_runtime.drift.histogram import Histogram
from edge_runtime.live.status import ModelStatus
from edge_runtime.sinks.background import Handover, NotDelivered
from edge_runtime.sinks.database import Database, StorageError
from edge_runtime.sinks.settings import HistorySettings
from edge_runtime.sinks.sink import SinkStatus

MOST_RECENT = 500
"""Events that `History.recent` gives at most; older ones are in the file."""
RECORDS_IN_MEMORY = 1000
"""Waiting for a disk that is full or slow, before the oldest are dropped."""
LEAST_MEAN = 0.005
"""Labels with a lower mean score are left out of a record of scores."""
COUNT_EVERY_S = 1.0
"""Of the frames between nothing is counted: a still scene at 30 frames a second is no thirty observations."""
HISTOGRAM_S = 600.0
"""A record of counts covers so long; kill -9 loses no more."""


@dataclass(frozen=True)
class _Record:
    """A row: an event's kind and fields, "scores" and their means, or a "histogram" and its counts."""

    kind: str
    time: float
    content: dict


class History(Handover[_Record]):
    """Keeps events, mean scores and counts of answers in an SQLite file.

    Its table is ``records (seq, time, kind, content)``: kind is "entered", "left", "scores" or "histogram", content is
    JSON.
    """

    def __init__(self, settings: HistorySettings, path: Path, model: Callable[[], ModelStatus]):
        """Opens nothing yet; `model` tells the labels of an observation's scores, and is called in `take`."""
        super().__init__("history", keep=RECORDS_IN_MEMORY)
        columns = "time REAL NOT NULL, kind TEXT NOT NULL, content TEXT NOT NULL"
        self._database = Database(path, columns, settings.cap_bytes)
        self._sample_s = settings.sample_s
        self._model = model
        self._means = _Means((), 0.0)
        self._counts: _Counts | None = None
        self._recent: deque[Event] = deque(maxlen=MOST_RECENT)
        self._recent_lock = threading.Lock()

    def take(self, observation: Observation) -> None:
        """Keeps the events, the scores for their mean, and a frame a second for the histogram."""
        for event in observation.events:
            with self._recent_lock:
                self._recent.append(event)
            self.put(_Record(event.kind, event.time, asdict(event)))
        model, now_s = self._model(), monotonic()
        self._average(observation, model.labels, now_s)
        self._count(observation, model, now_s)

    def stop(self) -> None:
        """Keeps what is counted so far, and ends."""
        if not self.stopping:
            self._keep_counts()
        super().stop()

    def _average(self, observation: Observation, labels: tuple[str, ...], now_s: float) -> None:
        if labels != self._means.labels or now_s - self._means.since_s >= self._sample_s:
            if self._means.frames:
                self.put(self._means.record())
            self._means = _Means(labels, now_s)
        self._means.add(observation)

    def _count(self, observation: Observation, model: ModelStatus, now_s: float) -> None:
        counts = self._counts
        if not counts or not counts.is_of(model) or now_s - counts.since_s >= HISTOGRAM_S:
            self._keep_counts()
            counts = self._counts = _Counts(model, now_s)
        counts.add(observation, now_s)

    def _keep_counts(self) -> None:
        if self._counts and self._counts.histogram.frames:
            self.put(self._counts.record())
        self._counts = None

    def recent(self, limit: int) -> list[Event]:
        """The last events, newest first, at most limit and `MOST_RECENT`; from memory, so at once."""
        with self._recent_lock:
            return list(self._recent)[::-1][: max(0, limit)]

    def work(self) -> None:
        self._load()
        super().work()

    def deliver(self, item: _Record) -> None:
        row = (item.time, item.kind, json.dumps(item.content))
        insert = "INSERT INTO records (time, kind, content) VALUES (?, ?, ?)"
        try:
            self._database.trim()
            self._database.run(lambda connection: connection.execute(insert, row))
        except StorageError as problem:
            raise NotDelivered(str(problem)) from problem

    def release(self) -> None:
        self._database.close()

    def status(self) -> SinkStatus:
        return self.status_with(waiting=len(self._items), note=self._database.damage)

    def _load(self) -> None:
        """Events of earlier runs, for `recent`."""
        select = "SELECT content FROM records WHERE kind IN ('entered', 'left') ORDER BY seq DESC LIMIT ?"

        def read(connection: sqlite3.Connection) -> list[str]:
            return [content for (content,) in connection.execute(select, (MOST_RECENT,))]

        try:
            contents = self._database.run(read)
        except StorageError as problem:
            self.error = str(problem)
            return
        with self._recent_lock:
            # Newest first; those of this run, which came meanwhile, are newer than all of them.
            for content in contents[: MOST_RECENT - len(self._recent)]:
                if event := _event(content):
                    self._recent.appendleft(event)


class _Means:
    """Scores of one stretch of time."""

    def __init__(self, labels: tuple[str, ...], since_s: float):
        self.labels, self.since_s = labels, since_s
        self.frames = 0
        self._sums = np.zeros(len(labels))
        self._last: tuple[float, str] = (0.0, "")

    def add(self, observation: Observation) -> None:
        self._sums += observation.scores
        self.frames += 1
        self._last = (observation.frame.time, observation.state)

    def record(self) -> _Record:
        """The means, under the time of the last frame."""
        time_s, state = self._last
        means = {
            label: round(float(mean), 4)
            for label, mean in zip(self.labels, self._sums / self.frames, strict=True)
            if mean >= LEAST_MEAN
        }
        return _Record("scores", time_s, {"frames": self.frames, "state": state, "scores": means})


class _Counts:
    """The answers to one model's frames in one stretch of time, a frame a second."""

    def __init__(self, model: ModelStatus, since_s: float):
        self.since_s = since_s
        self.histogram = Histogram(model.labels)
        self._model = (model.name, model.version)
        self._times: tuple[float, float] | None = None
        self._due_s = since_s
        self._number: int | None = None

    def is_of(self, model: ModelStatus) -> bool:
        return (*self._model, self.histogram.labels) == (model.name, model.version, model.labels)

    def add(self, observation: Observation, now_s: float) -> None:
        frame = observation.frame
        if (
            now_s < self._due_s or frame.number == self._number
        ):  # the last frame of a lost camera is told twice
            return
        self._due_s, self._number = now_s + COUNT_EVERY_S, frame.number
        best = observation.predictions[0]
        self.histogram.count(best.class_id, best.score, observation.answer != best.label)
        self._times = (self._times[0] if self._times else frame.time, frame.time)

    def record(self) -> _Record:
        """The counts, under the time of the last frame."""
        since, until = self._times
        name, version = self._model
        content = {"model": name, "version": version, "since": since, **self.histogram.to_dict()}
        return _Record("histogram", until, content)


def _event(content: str) -> Event | None:
    try:
        return Event(**json.loads(content))
    except (ValueError, TypeError):
        return None
