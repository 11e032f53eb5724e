"""Two at once, each a process of its own."""

import os
import signal
import subprocess
import sys
import threading

import pytest

from edge_runtime.store.errors import StoreBusy
from edge_runtime.store.lock import Lock, in_use, is_in_use

HOLD = """
import sys
from pathlib import Path
from edge_runtime.store.lock import Lock
with Lock(Path(sys.argv[1]), "install 2, by alice", 0.0, 0o644):
    print("held", flush=True)
    sys.stdin.read()
"""
ADD = """
import sys
from pathlib import Path
from edge_runtime.store.store import Store
sys.stdin.readline()
print(*Store(Path(sys.argv[1])).add(Path(sys.argv[2]), by=sys.argv[3]))
"""


@pytest.fixture
def begin():
    """Starts Python code in a process of its own; what still runs at the end is killed."""
    started = []

    def run(code: str, *arguments: object) -> subprocess.Popen:
        process = subprocess.Popen(
            [sys.executable, "-c", code, *map(str, arguments)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
        )
        started.append(process)
        return process

    yield run
    for process in started:
        process.kill()
        process.wait(60)
        for pipe in (process.stdin, process.stdout, process.stderr):
            pipe.close()


def test_the_second_is_told_who_the_first_is(memory, begin):
    path = memory / "lock"
    holder = begin(HOLD, path)
    assert holder.stdout.readline() == "held\n"
    with pytest.raises(StoreBusy, match=f"in use: install 2, by alice .process {holder.pid}.$"):
        Lock(path, "another", 0.0, 0o644).__enter__()
    holder.stdin.close()
    with Lock(path, "another", 60.0, 0o644):
        assert path.read_text() == f"another (process {os.getpid()})"
    assert path.read_text() == ""


def test_a_dead_process_holds_nothing(memory, begin):
    path = memory / "lock"
    holder = begin(HOLD, path)
    assert holder.stdout.readline() == "held\n"
    holder.send_signal(signal.SIGKILL)
    holder.wait(60)
    assert "alice" in path.read_text(), "what it wrote is still there"
    with Lock(path, "another", 0.0, 0o644):
        assert "alice" not in path.read_text()


def test_a_lock_is_one_among_threads_too(memory):
    with Lock(memory / "lock", "first", 0.0, 0o644), pytest.raises(StoreBusy, match="in use: first"):
        Lock(memory / "lock", "second", 0.1, 0o644).__enter__()


def test_a_change_waits_for_another(store, begin, links):
    holder = begin(HOLD, store.folder / "lock")
    assert holder.stdout.readline() == "held\n"
    threading.Timer(0.3, holder.stdin.close).start()
    assert store.switch("3", by="me") == "switched" and links(store) == ("3", "2")


def test_a_change_does_not_wait_for_ever(store, begin, links, monkeypatch):
    monkeypatch.setattr("edge_runtime.store.store.WAIT_S", 0.2)
    holder = begin(HOLD, store.folder / "lock")
    assert holder.stdout.readline() == "held\n"
    with pytest.raises(StoreBusy, match="is in use: install 2, by alice"):
        store.switch("3", by="me")
    assert links(store) == ("2", "1")


def test_a_second_installation_is_refused_at_once(store, begin, links):
    holder = begin(HOLD, store.folder / "installing")
    assert holder.stdout.readline() == "held\n"
    with pytest.raises(StoreBusy, match="in use: install 2, by alice"), store.installing("bob"):
        pass
    assert store.switch("3", by="me") == "switched", "a self-test under way keeps nobody from a rollback"


def test_a_file_in_use_is_so_until_its_process_ends(memory):
    path = memory / "file"
    path.write_bytes(b"")
    assert not is_in_use(path) and not is_in_use(memory / "absent")
    with in_use(path), in_use(path):
        assert is_in_use(path)
    assert not is_in_use(path)


def test_two_who_add_the_same_file_at_once(empty, model, begin):
    source = model("1")
    both = [begin(ADD, empty.folder, source, name) for name in ("alice", "bob")]
    for process in both:
        process.stdin.write("\n")
        process.stdin.flush()
    said = sorted(process.communicate(timeout=120)[0].strip() for process in both)
    assert said == ["1 added", "1 already"]
    assert [event.what for event in empty.history().events] == ["added"]


def test_two_who_add_two_files_under_one_version_at_once(empty, packed, memory, begin):
    files = [memory / "a.tflite", memory / "b.tflite"]
    for number, file in enumerate(files):
        file.write_bytes(packed("1", off=number))
    both = [begin(ADD, empty.folder, file, file.name) for file in files]
    for process in both:
        process.stdin.write("\n")
        process.stdin.flush()
    ended = [process.communicate(timeout=120) for process in both]
    assert sorted(out.strip() for out, _ in ended) == ["", "1 added"]
    assert sum("VersionRefused" in err for _, err in ended) == 1
    assert empty.versions()[0].path.read_bytes() in [f.read_bytes() for f in files]
    assert [event.what for event in empty.history().events] == ["added", "refused"]
