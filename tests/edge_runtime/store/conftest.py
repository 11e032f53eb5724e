"""Stores of small models, a clock that does as it is told, and a process that works in a store until it is killed."""

import dataclasses
import io
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from edge_runtime.model_file import pack, read_model_file
from edge_runtime.store.moment import Moment
from edge_runtime.store.store import Store

OPERATIONS = Path(__file__).with_name("operations.py")
ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="session")
def packed(tiny):
    """The bytes of the tiny model under another name or version, with answers that are off, or with other bytes of model."""
    whole, content = read_model_file(tiny), tiny.read_bytes()
    own = content[: content.index(b"PK\x03\x04")]

    def make(version="1", name="tiny", off=0, model=own) -> bytes:
        vectors = tuple(
            dataclasses.replace(vector, expected=(vector.expected[0] + off, *vector.expected[1:]))
            for vector in whole.manifest.selftest
        )
        manifest = dataclasses.replace(whole.manifest, name=name, version=version, selftest=vectors)
        return pack(model, whole.labels, manifest)

    return make


@pytest.fixture
def model(packed, memory):
    """Writes such a model into a file; returns its path."""

    def write(version="1", **changes) -> Path:
        path = memory / "incoming.tflite"
        path.write_bytes(packed(version, **changes))
        return path

    return write


class Clock:
    """A machine's clocks: `boot` and `uptime_s` are the store's, `when` is for people."""

    def __init__(self):
        self.boot, self.uptime_s, self.when = "boot 1", 100.0, "2026-01-01T00:00:00+00:00"

    def __call__(self) -> Moment:
        return Moment(self.boot, self.uptime_s, self.when)

    def restart(self) -> None:
        self.boot, self.uptime_s = f"{self.boot}'", 10.0


@pytest.fixture
def clock() -> Clock:
    return Clock()


@contextmanager
def folder_in_memory() -> Iterator[Path]:
    """Where there is one: hundreds of fsyncs take a minute on a busy disk."""
    where = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    with tempfile.TemporaryDirectory(dir=where, prefix="litelens-store-") as folder:
        yield Path(folder)


@pytest.fixture
def memory() -> Iterator[Path]:
    with folder_in_memory() as folder:
        yield folder


@pytest.fixture
def empty(memory, clock) -> Store:
    """A store without a version of the tiny model."""
    (memory / "store").mkdir()
    return Store(memory / "store" / "tiny", clock)


@pytest.fixture(scope="session")
def unchanged(packed) -> Iterator[Store]:
    """Versions 1, 2 and 3; 2 answers, 1 did before. Not to be changed."""
    with folder_in_memory() as folder:
        (folder / "store").mkdir()
        store = Store(folder / "store" / "tiny", Clock())
        for version in "123":
            store.add(io.BytesIO(packed(version)), by="test")
        for version in "12":
            store.switch(version, by="test")
        yield store


@pytest.fixture
def store(unchanged, empty) -> Store:
    """A copy of it, with a clock that can be set."""
    shutil.copytree(unchanged.folder, empty.folder, symlinks=True)
    return empty


@pytest.fixture
def links():
    """What the links of a store lead to, followed as any program follows them; None where there is no link."""

    def read(store: Store) -> tuple[str | None, str | None]:
        found = (store.folder / name for name in ("current", "previous"))
        return tuple(
            read_model_file(link).manifest.version if os.path.lexists(link) else None for link in found
        )

    return read


@pytest.fixture
def whats():
    """What happened in a store, without when and why."""

    def read(store: Store) -> list[tuple[str, str | None, str | None]]:
        return [(event.what, event.from_version, event.to_version) for event in store.history().events]

    return read


class Worker:
    """A process that forks a child for each operation, so that no child needs a second to start."""

    def __init__(self):
        self._process = subprocess.Popen(
            [sys.executable, str(OPERATIONS)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ | {"PYTHONPATH": str(ROOT)},
        )

    def stopped(self, operation: str, folder: Path, incoming: Path) -> int:
        """Forks a child that will do the operation and is stopped before it; returns its id."""
        print(json.dumps([operation, str(folder), str(incoming)]), file=self._process.stdin, flush=True)
        return int(self._process.stdout.readline())

    def ended(self) -> int:
        """Waits until the child has ended; returns its wait status."""
        return int(self._process.stdout.readline())

    def close(self) -> None:
        self._process.stdin.close()
        self._process.wait(60)
        self._process.stdout.close()


@pytest.fixture(scope="module")
def worker() -> Iterator[Worker]:
    made = Worker()
    yield made
    made.close()


@pytest.fixture(scope="session")
def strace() -> str:
    """The program, where it may trace other processes."""
    found = shutil.which("strace")
    if found is None:
        pytest.skip("needs strace (Debian: strace)")
    tried = subprocess.run([found, "-o", os.devnull, "true"], capture_output=True, text=True)
    if tried.returncode:
        pytest.skip(f"tracing is not permitted here: {tried.stderr.strip()}")
    return found


class Tracer:
    """Runs an operation in a child of the worker, under strace."""

    def __init__(self, strace: str, worker):
        self._strace, self._worker = strace, worker

    def run(self, operation: str, folder: Path, incoming: Path, *options: str) -> tuple[int, str]:
        """Returns the child's wait status and what strace saw."""
        log = folder.parent.parent / "strace"
        pid = self._worker.stopped(operation, folder, incoming)
        command = [self._strace, "-f", "-qq", "-o", str(log), *options, "-p", str(pid)]
        tracer = subprocess.Popen(command)
        end_s = time.monotonic() + 60
        while f"TracerPid:\t{tracer.pid}" not in Path(f"/proc/{pid}/status").read_text():
            assert tracer.poll() is None and time.monotonic() < end_s, "strace did not attach"
            time.sleep(0.001)
        os.kill(pid, signal.SIGCONT)
        status = self._worker.ended()
        tracer.wait(60)
        return status, log.read_text()


@pytest.fixture
def tracer(strace, worker) -> Tracer:
    return Tracer(strace, worker)
