"""A small SQLite file that survives a power cut, is set aside when it is damaged, and stays below a size."""

import contextlib
import os
import sqlite3
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

LOG_BYTES = 256 * 1024
"""What the write-ahead log beside the file may take on top of the cap."""
VERSION = 1
"""Of the table; a file of another version is no file of ours."""
_DAMAGED = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)

Result = TypeVar("Result")


class StorageError(Exception):
    """The disk did not take or give what was asked; the message says why."""


class _Damaged(Exception):
    """What lies at the path is no database of ours, or not any more."""


class Database:
    """One table, ``records``, whose rows are numbered by ``seq`` in the order they came.

    Every access is one transaction through `run`, from any thread. It is on the disk when `run` returns
    (``synchronous=FULL``), so neither kill -9 nor a power cut takes it back. A damaged file is renamed to
    NAME.damaged, in place of the one before, and a new one is begun.
    """

    def __init__(self, path: Path, columns: str, cap_bytes: int):
        """Takes the file, the columns of ``records`` besides ``seq``, and how large the file may become."""
        self.path = path
        self.damages = 0
        """How often the file was found damaged and set aside."""
        self.damage = ""
        """What was found the last time, or ""."""
        self._columns = columns
        self._cap_bytes = cap_bytes
        self._lock = threading.Lock()
        self._connection: sqlite3.Connection | None = None
        self._closed = False

    def run(self, work: Callable[[sqlite3.Connection], Result]) -> Result:
        """Runs work as one transaction, opening the file where need be; returns what work returned.

        Raises:
            StorageError: If the disk is full, read-only, failing or locked; then nothing has changed.
        """
        with self._lock:
            if self._closed:
                raise StorageError(f"{self.path} is closed")
            try:
                return self._transaction(work)
            except _Damaged as problem:
                self._set_aside(str(problem))
            try:
                return self._transaction(work)
            except _Damaged as problem:
                raise StorageError(f"{self.path} is damaged again: {problem}") from problem

    def trim(self) -> int:
        """Deletes the oldest rows until the others fit into the cap, and gives free room back; returns how many.

        Raises:
            StorageError: As `run`.
        """
        deleted = 0
        while count := self.run(self._trim_some):
            deleted += count
        return deleted

    def close(self) -> None:
        """Ends it for good: `run` then raises. Leaves it as it is where a disk that hangs is still at work."""
        self._closed = True
        if self._lock.acquire(timeout=0.1):
            self._disconnect()
            self._lock.release()

    def _trim_some(self, connection: sqlite3.Connection) -> int:
        pages, free, page_bytes = (
            connection.execute(f"PRAGMA {name}").fetchone()[0]
            for name in ("page_count", "freelist_count", "page_size")
        )
        if free * page_bytes > LOG_BYTES or pages * page_bytes > self._cap_bytes:
            for _ in range(free):  # the sqlite3 module steps through it but once: one page
                connection.execute("PRAGMA incremental_vacuum(1)")
        if (pages - free) * page_bytes <= self._cap_bytes:
            return 0
        # Some at a time, as each transaction goes through the log.
        (count,) = connection.execute("SELECT count(*) FROM records").fetchone()
        oldest = "SELECT seq FROM records ORDER BY seq LIMIT ?"
        deleted = connection.execute(
            f"DELETE FROM records WHERE seq IN ({oldest})", (1 + count // 100,)
        ).rowcount
        return deleted

    def _transaction(self, work: Callable[[sqlite3.Connection], Result]) -> Result:
        try:
            connection = self._connection or self._connect()
            connection.execute("BEGIN")
            result = work(connection)
            connection.execute("COMMIT")
        except (sqlite3.Error, OSError) as problem:
            # Absent where the sqlite3 module itself complains, and in an OSError.
            code = getattr(problem, "sqlite_errorcode", 0) & 0xFF
            if code == sqlite3.SQLITE_FULL and self._connection:
                self._connection.rollback()  # a full disk can be read, but not opened anew
            else:
                self._disconnect()  # opened anew the next time: the disk may have been mounted again by then
            if code in _DAMAGED:
                raise _Damaged(str(problem)) from problem
            raise StorageError(f"cannot use {self.path}: {problem}") from problem
        return result

    def _connect(self) -> sqlite3.Connection:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        # Threads take turns by the lock; transactions are begun and ended here alone.
        self._connection = connection = sqlite3.connect(
            self.path, timeout=1, isolation_level=None, check_same_thread=False
        )
        connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute(f"PRAGMA journal_size_limit = {LOG_BYTES}")
        connection.execute(f"PRAGMA wal_autocheckpoint = {LOG_BYTES // 4096}")
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        (tables,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
        if not version and not tables:
            connection.execute("BEGIN")
            connection.execute(f"CREATE TABLE records (seq INTEGER PRIMARY KEY, {self._columns})")
            connection.execute(f"PRAGMA user_version = {VERSION}")
            connection.execute("COMMIT")
        elif version != VERSION:
            raise _Damaged(f"its version is {version}, expected {VERSION}")
        (found,) = connection.execute("PRAGMA quick_check(1)").fetchone()
        if found != "ok":
            raise _Damaged(found)
        return connection

    def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection:
            with contextlib.suppress(sqlite3.Error):  # it is given up in any case
                connection.close()

    def _set_aside(self, why: str) -> None:
        self._disconnect()
        aside = self.path.with_name(f"{self.path.name}.damaged")
        try:
            for ending in ("-wal", "-shm", ""):
                source = self.path.with_name(self.path.name + ending)
                if source.exists():
                    os.replace(source, aside.with_name(aside.name + ending))
        except OSError as problem:
            raise StorageError(f"{self.path} is damaged and cannot be set aside: {problem}") from problem
        self.damages += 1
        self.damage = f"{self.path} was damaged ({why}) and set aside as {aside.name}"
