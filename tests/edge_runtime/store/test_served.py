"""What the loop tells its store, with loops that say of themselves what a test wants."""

import dataclasses
import threading
import time
from pathlib import Path

import pytest

from edge_runtime.live.status import BoardStatus, CameraStatus, DeviceStatus, ModelStatus, Status
from edge_runtime.store import served as module
from edge_runtime.store.lock import Lock, is_in_use
from edge_runtime.store.served import Served
from edge_runtime.store.store import Store

MODEL = ModelStatus("tiny", "2", "current", ("blue", "green", "red"), "LiteRT 2", 0, "")
CAMERA = CameraStatus("0", ok=True, error="", captured=100, dropped=0, reopened=0)
WELL = Status(
    **{"healthy": True, "since_s": 60.0, "state": "red", "classified": 100, "skipped": 0, "fps": 10.0},
    **{"age_ms": 20.0, "invoke_ms": 5.0, "model": MODEL, "camera": CAMERA},
    **{"device": DeviceStatus("cpu", "cpu", ""), "board": BoardStatus(None, None), "sinks": ()},
)


class Loop:
    """Says how it does; well, with version 2, unless it is told otherwise."""

    def __init__(self):
        self.now = WELL
        self.asked = 0

    def __call__(self) -> Status:
        self.asked += 1
        return self.now

    def does(self, version="2", refused="", camera_ok=True, fps=10.0) -> None:
        self.now = dataclasses.replace(
            WELL,
            fps=fps,
            model=dataclasses.replace(MODEL, version=version, refused=refused),
            camera=dataclasses.replace(CAMERA, ok=camera_ok, error="" if camera_ok else "unplugged"),
        )


@pytest.fixture
def loop() -> Loop:
    return Loop()


@pytest.fixture
def lines() -> list[str]:
    return []


@pytest.fixture
def watching(store, loop, lines):
    """Runs the watch over the store, under this machine's clock."""
    own = Store(store.folder)
    with Served(own.folder / "current", lines.append, poll_s=0.01).watched(loop):
        yield own


def until(holds, timeout_s: float = 60.0) -> None:
    end_s = time.monotonic() + timeout_s
    while not holds():
        assert time.monotonic() < end_s, "it did not come true"
        time.sleep(0.01)


def looked(loop: Loop, times: int = 5) -> None:
    """Waits until the watch has looked at the loop a few times more."""
    seen = loop.asked
    until(lambda: loop.asked >= seen + times)


def threads() -> int:
    return sum(thread.name == "litelens trial" for thread in threading.enumerate())


@pytest.mark.parametrize("name", ["1.tflite", "elsewhere/current", "currently"])
def test_any_other_file_is_none_of_its_business(store, loop, lines, name):
    served = Served(store.folder / name, lines.append)
    served.started()
    until(lambda: threads() == 0)
    with served.watched(loop):
        assert threads() == 0
    assert lines == [] and loop.asked == 0


def test_a_store_is_known_by_any_way_to_it(store, lines, monkeypatch, memory):
    store.switch("3", healthy_s=30, by="me")
    (memory / "way").symlink_to(store.folder.parent)
    monkeypatch.chdir(store.folder)
    for path in (Path("current"), Path("../tiny/current"), memory / "way" / "tiny" / "current"):
        Served(path, lines.append).started()
    assert [line.partition("start ")[2] for line in lines] == ["1 of 3", "2 of 3", "3 of 3"]


def test_a_healthy_loop_confirms_its_version(watching, loop, lines):
    watching.switch("3", healthy_s=0.3, by="me")
    loop.does(version="3")
    until(lambda: watching.state().trial is None)
    until(lambda: lines == ["tiny 3 was confirmed: healthy for 0.3 s"])
    event = watching.history().events[-1]
    assert (event.what, event.to_version, event.by) == ("confirmed", "3", "litelens run")
    assert watching.state().current == "3"


UNWELL = {
    "the old version answers": ({"version": "2"}, "2 answers still: the new one is not loaded yet"),
    "the camera is lost": ({"version": "3", "camera_ok": False}, "the camera is lost: unplugged"),
    "no frame comes": ({"version": "3", "fps": 0.0}, "no frame was classified in the last seconds"),
}


@pytest.mark.parametrize("does, why", UNWELL.values(), ids=UNWELL)
def test_an_unhealthy_loop_confirms_nothing_and_ends_the_trial_in_time(
    watching, loop, lines, links, monkeypatch, does, why
):
    loop.does(**does)
    watching.switch("3", healthy_s=0.05, by="me")
    looked(loop, 20)
    assert watching.state().trial is not None
    monkeypatch.setattr("edge_runtime.store.state.LOADS_WITHIN_S", 0.0)
    watching.rollback(by="me")
    watching.switch("3", healthy_s=0.2, by="me")
    until(lambda: watching.state().current == "2")
    until(lambda: lines)
    assert lines == [f"tiny 3 was rolled back: not healthy for 0.2 s within 0.2 s: {why}"]
    until(lambda: links(watching) == ("2", "1"))


def test_health_is_without_a_break(store, monkeypatch):
    now, loop, health = [0.0], Loop(), module._Health()
    monkeypatch.setattr(module, "monotonic", lambda: now[0])
    store.switch("3", healthy_s=30, by="me")
    trial = store.state().trial
    for at_s, does, healthy_s in [
        (0.0, {"version": "2"}, 0),
        (5.0, {"version": "3"}, 0),
        (30.0, {"version": "3"}, 25),
        (31.0, {"version": "3", "camera_ok": False}, 0),
        (40.0, {"version": "3"}, 0),
        (69.0, {"version": "3"}, 29),
        (70.0, {"version": "3"}, 30),
    ]:
        now[0] = at_s
        loop.does(**does)
        assert health.healthy_s(trial, loop()) == healthy_s, at_s


def test_a_version_that_the_loop_refuses_is_rolled_back_at_once(watching, loop, lines, links):
    watching.switch("3", healthy_s=30, by="me")
    looked(loop)
    loop.does(version="2", refused="it differs by 100 output steps")
    until(lambda: watching.state().trial is None)
    until(lambda: lines)
    assert lines == ["tiny 3 was rolled back: the loop refused it: it differs by 100 output steps"]
    assert links(watching) == ("2", "1")


def test_what_the_loop_said_of_an_earlier_file_does_not_count(watching, loop):
    loop.does(version="2", refused="an earlier file was damaged")
    watching.switch("3", healthy_s=30, by="me")
    looked(loop, 10)
    assert watching.state().trial is not None
    loop.does(version="2", refused="this one, too")
    until(lambda: watching.state().trial is None)
    assert watching.history().events[-1].why == "the loop refused it: this one, too"


def test_the_version_that_answers_is_in_use(watching, loop, model):
    watching.switch("3", by="me")
    loop.does(version="3")
    until(lambda: is_in_use(watching.file("3")))
    for version in "45":
        watching.add(model(version), by="me")
        watching.switch(version, by="me")
    looked(loop)
    assert watching.keep(1, by="me") == ("1", "2"), "3 is neither current nor previous, and answers"
    loop.does(version="5")
    until(lambda: not is_in_use(watching.file("3")))
    assert watching.keep(1, by="me") == ("3",)


def test_without_a_change_the_loop_is_left_alone(watching, loop):
    until(lambda: is_in_use(watching.file("2")))
    seen = loop.asked
    time.sleep(0.3)
    assert loop.asked == seen == 1, "thirty looks at the store, and none at the loop"


def test_a_store_that_cannot_be_changed_stops_nobody(store, loop, lines, monkeypatch):
    monkeypatch.setattr("edge_runtime.store.store.WAIT_S", 0.01)
    own = Store(store.folder)
    own.switch("3", healthy_s=0.01, by="me")
    loop.does(version="3")
    served = Served(own.folder / "current", lines.append, poll_s=0.01)
    with Lock(own.folder / "lock", "a flash that hangs", 0.0, 0o644):
        served.started()
        assert (
            len(lines) == 1 and "this start is not counted: " in lines[0] and "a flash that hangs" in lines[0]
        )
        with served.watched(loop):
            looked(loop, 10)
    assert len(lines) == 2 and "a flash that hangs" in lines[1], "once, not each time"
    assert own.state().trial.starts == 0


def test_the_thread_ends_with_the_block(store, loop, lines):
    until(lambda: threads() == 0)
    with Served(store.folder / "current", lines.append, poll_s=0.01).watched(loop):
        assert threads() == 1
    until(lambda: threads() == 0)
