"""What a device says of itself to a workstation that wants to send it a model."""

import fcntl
import json
import os
import platform
import time

import pytest
from click.testing import CliRunner

from edge_runtime.errors import LitelensError
from edge_runtime.model_file import SCHEMA_VERSION
from edge_runtime.store.cli import store as command
from edge_runtime.store.device import device_facts, unwritable
from edge_runtime.store.errors import StoreMissing
from edge_runtime.store.lock import in_use, is_in_use, try_lock
from edge_runtime.store.served import Served
from edge_runtime.store.store import Store


def test_a_device_that_is_fit(memory):
    facts = device_facts(memory)
    assert facts.interpreter.startswith("ai_edge_litert ") and facts.interpreter_problem == ""
    assert (facts.machine, facts.python) == (platform.machine(), platform.python_version())
    assert facts.schema_version == SCHEMA_VERSION and facts.free_bytes > 0 and facts.problem == ""


@pytest.mark.parametrize(
    "content, problem",
    [
        (
            "raise ImportError('built for NumPy 1\\x1b[2J')",
            "ai_edge_litert: built for NumPy 1?[2J; tflite_runtime: ",
        ),
        ("import os, signal; os.kill(os.getpid(), signal.SIGILL)", "loading one ends the process by SIGILL"),
        ("raise ValueError('no idea')", "ValueError: no idea"),
    ],
    ids=["missing", "for another processor", "broken"],
)
def test_why_there_is_no_interpreter(memory, monkeypatch, content, problem):
    for name in ("ai_edge_litert", "tflite_runtime"):
        (memory / name).mkdir()
        (memory / name / "__init__.py").write_text(content)
    monkeypatch.syspath_prepend(str(memory))
    facts = device_facts(memory)
    assert facts.interpreter is None and facts.interpreter_problem.startswith(problem)


def test_the_disk_of_the_store_is_the_one_that_counts(tmpfs):
    assert device_facts(tmpfs("size=64k")).free_bytes == 64 * 1024


def test_a_disk_that_is_mounted_read_only(tmpfs):
    folder = tmpfs("ro,size=64k")
    assert unwritable(folder) == f"{folder} is on a disk that is mounted read-only"


@pytest.mark.parametrize(
    "verb", [("list",), ("add", "tiny", "tiny.tflite"), ("install", "tiny", "tiny.tflite")]
)
def test_a_store_that_is_not_there_has_an_error_of_its_own(memory, tiny, verb):
    """For litelens flash, which then knows what to say."""
    name, *more = verb
    arguments = [
        name,
        str(memory / "absent"),
        *(str(tiny) if word == "tiny.tflite" else word for word in more),
    ]
    result = CliRunner().invoke(command, [*arguments, "--json"])
    assert isinstance(result.exception, LitelensError)
    assert json.loads(result.stdout)["error"]["kind"] == StoreMissing.__name__


def test_whether_a_loop_runs_it(empty, store, model):
    assert store.running() is False
    with in_use(store.file("1")):
        assert store.running() is True, "one that has not followed the link yet runs it, too"
    assert store.running() is False


def test_nobody_can_say_whether_a_loop_runs_what_is_not_there(empty):
    empty.folder.mkdir()
    assert empty.running() is None


def test_a_loop_is_seen_though_another_looked_just_then(store):
    """Who asks whether a file is in use holds its lock for an instant."""
    own = Store(store.folder)
    asked = []

    def status():
        asked.append(True)
        return _Well()

    asking = os.open(own.file("2"), os.O_RDONLY)
    assert try_lock(asking, fcntl.LOCK_EX)
    with Served(own.folder / "current", asked.append, poll_s=0.01).watched(status):
        _until(lambda: len(asked) > 2)
        os.close(asking)
        _until(lambda: is_in_use(own.file("2")))
    assert set(asked) == {True}, "nothing was said"


class _Well:
    """As much of a loop's status as is looked at without a trial."""

    class model:
        version = "2"


def _until(holds) -> None:
    end_s = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < end_s
        time.sleep(0.01)
