"""From the repository into a real store: taken, refused, left; and what is remembered of it."""

import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from edge_runtime.errors import WriteError
from edge_runtime.store.errors import SelfTestMissed, StoreBusy
from edge_runtime.store.lock import Lock
from edge_runtime.store.store import Store
from edge_runtime.updating.errors import UpdateError
from edge_runtime.updating.fetching import Limits
from edge_runtime.updating.into_store import IntoStore
from edge_runtime.updating.update import Source, update

ROOT = Path(__file__).parents[3]


def fetched(world) -> list[str]:
    """Which versions the device has downloaded."""
    return [
        path.rpartition(".tflite")[0].rpartition(".")[2] for path in world.server.paths if "/targets/" in path
    ]


def test_a_new_version_is_taken_once(world):
    world.publish("2")
    assert str(world.look()) == "tiny 2 is in use now"
    assert world.current() == "2"
    assert str(world.look()) == "tiny 2 is in use already"
    assert fetched(world) == ["2"]
    assert not (world.state / "downloaded.tflite").exists()
    history = Store(world.store / "tiny").history().events
    assert (history[-1].what, history[-1].from_version, history[-1].to_version, history[-1].by) == (
        "switched", "1", "2", "litelens update",
    )  # fmt: skip


def test_a_version_that_fails_its_selftest_is_refused_and_not_fetched_again(world, contents):
    world.publish("2", off=50)
    before = contents(world.store / "tiny")
    with pytest.raises(SelfTestMissed, match="differs by"):
        world.look()
    after = contents(world.store / "tiny")
    assert world.current() == "1"
    assert before.keys() == after.keys()
    assert {name for name in before if before[name] != after[name]} == {"history.jsonl"}
    again = world.look()
    assert str(again).startswith("tiny 2 was refused before: tiny 2 differs by")
    assert fetched(world) == ["2"]


@pytest.mark.slow
def test_a_refused_version_is_tried_again_when_asked_to(world):
    world.publish("2", off=50)
    for options in ({}, {"again": True}):
        with pytest.raises(SelfTestMissed):
            world.look(**options)
    assert fetched(world) == ["2", "2"]


@pytest.mark.slow
def test_after_a_refused_version_comes_a_good_one(world):
    world.publish("2", off=50)
    with pytest.raises(SelfTestMissed):
        world.look()
    world.publish("3")
    assert str(world.look()) == "tiny 3 is in use now"


@pytest.mark.slow
def test_a_version_too_slow_for_the_budget_is_refused(world):
    world.publish("2")
    source = Source(world.server.address, world.folder / "root.json", name="tiny")
    with pytest.raises(SelfTestMissed, match="ms for 99 of 100 frames"):
        update(source, world.state, IntoStore(world.store, max_latency_ms=0.0001), limits=world.limits)
    assert world.current() == "1"


@pytest.mark.slow
def test_a_person_who_went_back_is_left_alone(world):
    world.publish("2")
    world.look()
    Store(world.store / "tiny").rollback(by="a person")
    assert str(world.look()) == "tiny 2 was in use before and is left aside"
    assert world.current() == "1"
    assert fetched(world) == ["2"]
    assert str(world.look(again=True)) == "tiny 2 is in use now"


def test_a_version_that_came_by_another_way_counts_as_taken(world):
    world.publish("2")
    (world.folder / "new.tflite").write_bytes(world.packed("2"))
    store = Store(world.store / "tiny")
    store.add(world.folder / "new.tflite", by="ssh")
    store.switch("2", by="ssh")
    assert str(world.look()) == "tiny 2 is in use already"
    store.rollback(by="a person")
    assert str(world.look()) == "tiny 2 was in use before and is left aside"
    assert fetched(world) == []


@pytest.mark.slow
def test_an_older_version_that_is_the_newest_again_is_taken(world):
    world.publish("2")
    world.publish("3")
    world.look()
    world.publish("2")
    assert str(world.look()) == "tiny 2 is in use now"


@pytest.mark.slow
def test_a_rollout_that_is_taken_back_takes_the_version_from_those_who_have_it(world):
    world.publish("2", percent=99.99)
    (world.state / "device-id").write_text("door 1")
    assert str(world.look()) == "tiny 2 is in use now"
    world.publish("2", percent=0)
    assert str(world.look()) == "tiny 1 is in use now"


def test_an_empty_channel_changes_nothing(world):
    assert str(world.look(channel="beta")) == "there is no tiny for this device"
    assert world.current() == "1"


@pytest.mark.slow
def test_a_store_that_is_busy_is_not_held_against_the_version(world):
    """The file is fetched again: it was not its fault."""
    world.publish("2")
    with Store(world.store / "tiny").installing("somebody else"), pytest.raises(StoreBusy):
        world.look()
    assert str(world.look()) == "tiny 2 is in use now"
    assert fetched(world) == ["2", "2"]


def test_two_looks_at_once_do_not_meet(world):
    with (
        Lock(world.state / "lock", "somebody else", 0.0, 0o644),
        pytest.raises(StoreBusy, match="somebody else"),
    ):
        world.look()


def test_a_store_that_is_not_there(world):
    source = Source(world.server.address, world.folder / "root.json")
    with pytest.raises(WriteError, match="cannot write to"):
        update(source, world.folder / "nowhere" / ".updates", IntoStore(world.folder / "nowhere"))


def test_others_of_the_stores_group_may_look_too(world):
    import shutil

    shutil.rmtree(world.state)
    world.store.chmod(0o2775)
    world.look()
    folders = [world.state, *(path for path in world.state.rglob("*") if path.is_dir())]
    assert {path.stat().st_mode & 0o7777 for path in folders} == {0o2775}


class TestInAProcessOfItsOwn:
    """As on a device."""

    def test_a_look_that_hangs_ends_when_it_is_asked_to(self, far_world):
        asked, stop, release = threading.Event(), threading.Event(), threading.Event()

        def hang(handler) -> None:
            handler.close_connection = True
            asked.set()
            release.wait(120)

        far_world.lie("timestamp.json", hang)
        far_world.limits = Limits()
        failed = []

        def look() -> None:
            try:
                far_world.look(stop=stop)
            except UpdateError as problem:
                failed.append(str(problem))

        thread = threading.Thread(target=look)
        thread.start()
        assert asked.wait(60)
        stop.set()
        thread.join(60)
        release.set()
        assert failed == ["the look for updates was ended"]

    def test_a_process_that_dies_is_told(self, far_world, monkeypatch):
        monkeypatch.setenv("PYTHONMALLOC", "no such allocator")  # Python ends before it starts
        with pytest.raises(UpdateError, match="failed with exit code .* saying: "):
            far_world.look()

    @pytest.mark.slow
    def test_killed_during_the_download_and_looked_again(self, far_world, contents):
        """The power goes while the file comes; the next look takes it from the beginning."""
        far_world.publish("2")
        asked, release = threading.Event(), threading.Event()

        def half(handler) -> None:
            handler.close_connection = True
            content = far_world.packed("2")
            handler.send_response(200)
            handler.send_header("Content-Length", str(len(content)))
            handler.end_headers()
            handler.wfile.write(content[:1000])
            asked.set()
            release.wait(60)

        far_world.lie("/targets/", half)
        program = (
            "import sys; from pathlib import Path; from edge_runtime.updating.update import Source, update\n"
            "from edge_runtime.updating.into_store import IntoStore\n"
            "address, root, store = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])\n"
            "update(Source(address, root, name='tiny'), store / '.updates', IntoStore(store))\n"
        )
        command = [
            sys.executable,
            "-c",
            program,
            far_world.server.address,
            far_world.folder / "root.json",
            far_world.store,
        ]
        before = contents(far_world.store / "tiny")
        with subprocess.Popen(command, cwd=ROOT, start_new_session=True) as process:
            assert asked.wait(60)
            os.killpg(process.pid, signal.SIGKILL)
        release.set()
        far_world.server.lies.clear()
        assert contents(far_world.store / "tiny") == before
        assert str(far_world.look()) == "tiny 2 is in use now"
        assert json.loads((far_world.state / "state.json").read_bytes())["taken"] == {
            "tiny": far_world.sha256("2")
        }
