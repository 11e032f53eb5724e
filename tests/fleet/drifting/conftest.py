"""A model with a reference, and devices that have counted."""

import json
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from edge_runtime.drift.histogram import Histogram
from edge_runtime.drift.reference import REFERENCE_NAME, Reference
from edge_runtime.model_file import pack, read_model_file

LABELS = ("blue", "green", "red")
STEADY = {"blue": {0.97: 100}, "green": {0.97: 90, 0.6: 10}, "red": {0.97: 100}}
UNSURE = {"blue": {0.97: 40, 0.6: 60}, "green": {0.6: 100}, "red": {0.97: 100}}
RED = {"red": {0.97: 300}}
FEW = {"blue": {0.6: 20}}


def counted(frames: dict[str, dict[float, int]], labels: tuple[str, ...] = LABELS) -> Histogram:
    """Such as {"red": {0.97: 300}}; below 0.7 the answer is unknown."""
    histogram = Histogram(labels)
    for label, scores in frames.items():
        for score, count in scores.items():
            for _ in range(count):
                histogram.count(labels.index(label), score, score < 0.7)
    return histogram


GOOD = {
    "model": "tiny",
    "version": "1",
    "labels": list(LABELS),
    "since": 1e9,
    "until": 1e9,
    "unreadable": 0,
    "histogram": counted(STEADY).to_dict(),
    "reference": {"split": "validation", **counted(STEADY).to_dict()},
}
"""What a steady device answers."""


def keep(state: Path, frames: dict[str, dict[float, int]], version: str = "1", name: str = "tiny") -> None:
    """Puts a record into a device's history, which a real loop has begun or begins."""
    with closing(sqlite3.connect(state / "history.sqlite")) as connection, connection:
        columns = "seq INTEGER PRIMARY KEY, time REAL NOT NULL, kind TEXT NOT NULL, content TEXT NOT NULL"
        connection.execute("PRAGMA user_version = 1")
        connection.execute(f"CREATE TABLE IF NOT EXISTS records ({columns})")
        fields = {"model": name, "version": version, "since": time.time() - 60, **counted(frames).to_dict()}
        insert = "INSERT INTO records (time, kind, content) VALUES (?, 'histogram', ?)"
        connection.execute(insert, (time.time(), json.dumps(fields)))


@pytest.fixture
def tiny_with_reference(tiny, tmp_path) -> Callable[..., Path]:
    """Writes the tiny model with a reference that STEADY fits; returns its path."""
    content, whole = tiny.read_bytes(), read_model_file(tiny)
    reference = Reference("validation", counted(STEADY)).to_json()
    path = tmp_path / "with_reference" / "tiny.tflite"
    path.parent.mkdir()
    model = content[: content.index(b"PK\x03\x04")]
    path.write_bytes(pack(model, whole.labels, whole.manifest, {REFERENCE_NAME: reference}))
    return path
