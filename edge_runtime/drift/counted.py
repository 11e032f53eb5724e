"""What a device's loop has counted, read from its history while the loop goes on."""

import json
import os
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from time import time
from typing import Any

from edge_runtime.drift.histogram import Histogram
from edge_runtime.errors import LitelensError

HISTORY_NAME = "history.sqlite"
DAY_S = 86_400
_WAIT_S = 10.0
"""For the loop to let go of the file, which it holds for milliseconds."""
_SELECT = "SELECT time, content FROM records WHERE kind = 'histogram' AND time >= ? ORDER BY seq"


class HistoryUnreadable(LitelensError):
    """The loop keeps no history there, or it cannot be read."""


@dataclass(frozen=True, eq=False)
class Counted:
    """The answers of one version of a model."""

    histogram: Histogram
    since: float | None
    """The device's wall clock, seconds since 1970: of the first frame that was counted; None: there is none."""
    until: float | None
    """Of the last."""
    unreadable: int
    """Records that could not be read, and are left out."""


def read_counted(state: Path, name: str, version: str, labels: tuple[str, ...], days: float) -> Counted:
    """Reads FOLDER/history.sqlite, and changes nothing there.

    Args:
        state: The folder.
        name: The model's.
        version: The same.
        labels: The same.
        days: Older records are left out, by the device's clock.

    Raises:
        HistoryUnreadable: If there is no history, or it is damaged, another program's, or not to be read by this user.
    """
    path = state / HISTORY_NAME
    histogram, times, unreadable = Histogram(labels), [], 0
    try:
        with closing(_open(path)) as connection:
            for until, content in connection.execute(_SELECT, (time() - days * DAY_S,)):
                try:
                    since, found = _record(content, name, version, labels)
                except (ValueError, RecursionError):
                    unreadable += 1
                    continue
                if found:
                    histogram.add(found)
                    times += [since, until]
    except (sqlite3.Error, OSError) as problem:
        raise _unreadable(path, problem) from problem
    return Counted(histogram, min(times, default=None), max(times, default=None), unreadable)


def _record(content: Any, name: str, version: str, labels: tuple[str, ...]) -> tuple[float, Histogram | None]:
    """When a record's first frame was, and its counts; None where they are of another model.

    Raises:
        ValueError: If it is no record of counts.
    """
    fields = json.loads(content) if isinstance(content, str) else None
    if not isinstance(fields, dict):
        raise ValueError(f"expected an object, got {content!r:.100}")
    if (fields.pop("model", None), fields.pop("version", None)) != (name, version):
        return 0.0, None
    since = fields.pop("since", None)
    if type(since) not in (int, float) or not abs(since) < 1e11:
        raise ValueError(f"since is {since!r:.100}")
    return since, Histogram.from_dict(fields, labels)


def _open(path: Path) -> sqlite3.Connection:
    """Read-only.

    Raises:
        OSError: If it may not be read or is not there.
        sqlite3.Error: If it is no database.
    """
    os.stat(path)
    os.close(os.open(path, os.O_RDONLY))
    # While no loop runs there is no log beside the file. Opened as usual SQLite would make one, and leave it there with
    # this user as its owner, so that the loop's user could not write its own.
    kept = path.with_name(path.name + "-wal").exists()
    address = f"{path.absolute().as_uri()}?{'mode=ro' if kept else 'immutable=1'}"
    return sqlite3.connect(address, uri=True, timeout=_WAIT_S)


def _unreadable(path: Path, problem: Exception) -> HistoryUnreadable:
    if isinstance(problem, FileNotFoundError):
        return HistoryUnreadable(
            f"there is no {path}: no litelens run has kept its history there",
            "have it do so: litelens run ... --history --state FOLDER, or [history] in the service's settings",
        )
    as_its_user = "read it as the service's user, or as root: sudo litelens drift ..."
    if isinstance(problem, PermissionError):
        return HistoryUnreadable(f"{path} may not be read", as_its_user)
    if getattr(problem, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_CANTOPEN:
        # After a power cut its log is to be read first, for which who looks must be able to write.
        return HistoryUnreadable(f"{path} cannot be read: {problem}", as_its_user)
    return HistoryUnreadable(
        f"{path} cannot be read: {problem}",
        "litelens run sets a damaged file aside when it starts, and begins a new one",
    )
