"""kill -9 at every system call that changes a file, with strace: what `current` is then, and what becomes of the store."""

import json
import os
import re
import shutil
import signal
from collections import Counter

import pytest

from edge_runtime.store.history import LARGEST_BYTES, Event
from edge_runtime.store.moment import Moment
from edge_runtime.store.store import Store

CHANGING = (
    "openat,write,pwrite64,ftruncate,fsync,fdatasync,rename,renameat,renameat2,symlink,symlinkat,link,linkat,unlink,"
    "unlinkat,mkdir,mkdirat,rmdir,chmod,fchmod,fchmodat,flock,close"
)
# Operation: what the current and the previous version may be if it is cut short, and what they are in the end.
OPERATIONS = {
    "add": ([("2", "1")], ("2", "1")),
    "install": ([("2", "1"), ("2", "2"), ("4", "2")], ("4", "2")),
    "switch": ([("2", "1"), ("2", "2"), ("3", "2")], ("3", "2")),
    "switch_on_trial": ([("2", "1"), ("2", "2"), ("3", "2")], ("3", "2")),
    "rollback": ([("2", "1"), ("1", "1"), ("1", "2")], ("1", "2")),
    "keep": ([("2", "1")], ("2", "1")),
    "shorten_history": ([("2", "1"), ("2", "2"), ("3", "2")], ("3", "2")),
    "confirm_trial": ([("3", "2")], ("3", "2")),
    "rollback_trial": ([("3", "2"), ("2", "2"), ("2", "1")], ("2", "1")),
    "started_trial": ([("3", "2")], ("3", "2")),
    "started_once_too_often": ([("3", "2"), ("2", "2"), ("2", "1")], ("2", "1")),
    "settle_late": ([("3", "2"), ("2", "2"), ("2", "1")], ("2", "1")),
}


WITHOUT_LINKS = ("add", "keep", "confirm_trial", "started_trial")


def prepared(operation: str, store: Store) -> None:
    """Puts the store into the state that the operation begins with."""
    if operation in (
        "confirm_trial",
        "rollback_trial",
        "started_trial",
        "settle_late",
        "started_once_too_often",
    ):
        store.switch("3", healthy_s=30, by="test")
    if operation == "started_once_too_often":
        for _ in range(3):
            store.started(by="test")
    if operation == "shorten_history":
        event = Event.at(Moment("boot 1", 1.0, ""), "refused", None, None, "x" * 400, "test")
        line = json.dumps(event.to_dict()).encode() + b"\n"
        with (store.folder / "history.jsonl").open("ab") as file:
            file.write(line * (LARGEST_BYTES // len(line) + 1))


def names(store: Store) -> list[str]:
    return sorted(os.listdir(store.folder))


def calls(seen: str) -> Counter[str]:
    """How often each system call was made."""
    return Counter(re.findall(r"^\d+ +(\w+)\(", seen, re.MULTILINE))


@pytest.fixture
def cut(tracer, store, model, links, memory, clock):
    """Kills an operation at every system call in turn, and looks at what is left each time; returns how often."""

    def run(operation: str, at: str = CHANGING) -> int:
        prepared(operation, store)
        incoming = model("4")
        begun = shutil.copytree(store.folder, memory / "begun", symlinks=True)
        before = store.history().events
        allowed, end = OPERATIONS[operation]

        def afresh() -> None:
            shutil.rmtree(store.folder)
            shutil.copytree(begun, store.folder, symlinks=True)

        def traced(*options: str) -> tuple[int, str]:
            return tracer.run(operation, store.folder, incoming, "-e", f"trace={CHANGING}", *options)

        status, seen = traced()
        assert status == 0, seen
        assert links(store) == end
        expected, names_after = store.state(), names(store)
        counts = {name: count for name, count in calls(seen).items() if name in at.split(",")}
        points = [(name, n) for name, count in counts.items() for n in range(1, count + 1)]
        assert {"rename", "symlink"} <= counts.keys() or operation in WITHOUT_LINKS, counts
        for name, n in points:
            afresh()
            status, _ = traced("-e", f"inject={name}:signal=KILL:when={n}")
            assert status == signal.SIGKILL, (name, n)
            found = links(store)
            assert found in allowed, (name, n)
            clock.uptime_s = 101.0
            state = store.settle("after the cut")
            assert links(store) == (state.current, state.previous), (name, n)
            assert (state.current, state.previous) in (allowed[0], end), (name, n)
            told = store.history()
            assert told.events[: len(before)] == before or operation == "shorten_history", (name, n)
            assert told.damaged_lines <= 1, (name, n)
            assert not [version for version in store.versions() if version.problem], (name, n)
            # And it can be done again, by a process that is not killed.
            status, seen = tracer.run(operation, store.folder, incoming)
            assert status == 0 and links(store) == end, (name, n, seen)
            assert store.state().added == expected.added and names(store) == names_after, (name, n)
        return len(points)

    return run


IN_TIME = ("switch", "rollback_trial", "shorten_history")
EACH = [name if name in IN_TIME else pytest.param(name, marks=pytest.mark.soak) for name in OPERATIONS]
"""`install` alone has 131 cuts, each of two processes; test_power_loss cuts it at each of its changes, too."""


@pytest.mark.slow
@pytest.mark.parametrize("operation", EACH)
def test_an_operation_that_is_killed_leaves_a_store_that_works(cut, operation):
    print(cut(operation), "cuts")


def test_a_switch_that_is_killed_before_a_link_is_renamed(cut):
    assert cut("switch", at="rename,symlink") == 5, "the state and two links are renamed"


def test_the_cuts_find_a_switch_that_is_none(tracer, store, model, links):
    """`ln -sf` removes the link first: between its two calls there is no `current`."""
    status, _ = tracer.run(
        "by_unlinking", store.folder, model("4"), "-e", "inject=symlink:signal=KILL:when=1"
    )
    assert status == signal.SIGKILL and links(store)[0] is None
    store.settle("after the cut")
    assert links(store) == ("2", "1"), "even that is mended"
