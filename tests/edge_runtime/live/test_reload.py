import dataclasses
import os
import shutil
import time

import numpy as np
import pytest

from edge_runtime.model_file import pack, read_model_file
from edge_runtime.whole_file import write_whole


@pytest.fixture
def model(tiny, tmp_path):
    """A copy of the tiny model, to be replaced."""
    return shutil.copy(tiny, tmp_path / "model.tflite")


@pytest.fixture(scope="session")
def packed(tiny):
    """The bytes of the tiny model under another version, with other labels or a self-test that fails."""
    own = tiny.read_bytes()
    own, whole = own[: own.index(b"PK\x03\x04")], read_model_file(tiny)

    def make(version="1", labels=whole.labels, off=0, model=own) -> bytes:
        vectors = tuple(
            dataclasses.replace(vector, expected=(vector.expected[0] + off, *vector.expected[1:]))
            for vector in whole.manifest.selftest
        )
        return pack(model, labels, dataclasses.replace(whole.manifest, version=version, selftest=vectors))

    return make


@pytest.fixture
def reds(coloured):
    """More frames than a test takes, slowly enough for one to see what happens."""

    def frames(period_s=0.002):
        while True:
            time.sleep(period_s)
            yield coloured("red", (8, 8))

    return frames


def answering(run) -> str:
    return run.live.status().model.version


def no_frame_is_missing(run) -> bool:
    return run.sinks.numbers == list(range(len(run.sinks.numbers)))


def test_a_new_file_answers_without_a_frame_lost(running, model, packed, reds, until):
    with running(reds(), model) as run:
        until(lambda: run.sinks.observations)
        write_whole(model, packed(version="2"))
        until(lambda: answering(run) == "2")
        status = run.live.status().model
        assert (status.reloads, status.refused, status.path) == (1, "", str(model))
        until(lambda: run.lines == ["tiny 2 answers now"])
    assert no_frame_is_missing(run) and run.sinks.events == ["entered red"]


def test_a_link_to_another_file_is_a_new_file(running, tmp_path, packed, reds, until):
    for version in ("1", "2"):
        (tmp_path / version).write_bytes(packed(version=version))
    current, new = tmp_path / "current.tflite", tmp_path / "new"
    current.symlink_to("1")
    with running(reds(), current) as run:
        assert answering(run) == "1"
        new.symlink_to("2")
        os.replace(new, current)
        until(lambda: answering(run) == "2")


def test_other_labels_begin_anew(running, model, packed, reds, until):
    with running(reds(), model) as run:
        until(lambda: run.sinks.events == ["entered red"])
        write_whole(model, packed(version="2", labels=("sky", "grass", "brick")))
        until(lambda: run.sinks.events == ["entered red", "left red", "entered brick"])
        assert run.live.labels == ("sky", "grass", "brick")
        until(lambda: run.lines == ["tiny 2 answers now; its labels are others: sky, grass, brick"])
    assert [o.answer for o in run.sinks.observations if o.events] == ["red", "red", "brick"]


BAD = {
    "garbage": (lambda packed: np.random.default_rng(0).bytes(5000), "is no TFLite model"),
    "empty": (lambda packed: b"", "is no TFLite model"),
    "cut short": (lambda packed: packed()[:-200], "was cut short"),
    "altered": (lambda packed: packed()[:2000] + b"\xff" + packed()[2001:], "is damaged"),
    "other answers": (lambda packed: packed(off=100), "differs by"),
    "no model": (lambda packed: packed(model=b"\0\0\0\0TFL3" + b"\xff" * 2000), "cannot load"),
}


@pytest.mark.parametrize("content, why", BAD.values(), ids=BAD)
def test_a_bad_file_is_refused_and_the_old_one_goes_on(running, model, packed, reds, until, content, why):
    with running(reds(), model) as run:
        until(lambda: run.sinks.observations)
        model.write_bytes(content(packed))  # in place, as cp does it
        until(lambda: run.live.status().model.refused)
        assert why in run.live.status().model.refused
        seen = len(run.sinks.observations)
        until(lambda: len(run.sinks.observations) > seen + 100)
        assert (answering(run), run.live.status().model.reloads) == ("1", 0)
        assert len(run.lines) == 1, "once"
        assert run.lines[0].startswith("the new model is refused, the one before goes on: ")
    assert no_frame_is_missing(run) and {o.answer for o in run.sinks.observations} == {"red"}


def test_a_good_file_after_a_bad_one_is_taken(running, model, packed, reds, until):
    good = model.read_bytes()
    with running(reds(), model) as run:
        until(lambda: run.sinks.observations)
        model.write_bytes(b"garbage")
        until(lambda: run.live.status().model.refused)
        model.write_bytes(good)
        until(lambda: run.live.status().model.reloads == 1)
        assert run.live.status().model.refused == ""
    assert no_frame_is_missing(run)


def test_a_file_that_vanishes_is_reported_and_may_come_back(running, model, packed, reds, until):
    with running(reds(), model) as run:
        until(lambda: run.sinks.observations)
        model.unlink()
        until(lambda: "is not there" in run.live.status().model.refused)
        model.write_bytes(packed(version="2"))
        until(lambda: answering(run) == "2")
        assert run.live.status().model.refused == ""


def test_a_file_that_is_written_slowly_is_loaded_when_it_is_whole(running, model, packed, reds, until):
    content = packed(version="2")
    with running(reds(), model, poll_s=0.2) as run, model.open("wb") as file:
        for start in range(0, len(content), 500):
            file.write(content[start : start + 500])
            file.flush()
            time.sleep(0.05)
        until(lambda: answering(run) == "2")
    assert no_frame_is_missing(run)


def test_a_model_that_crashes_the_interpreter_is_refused(
    running, model, packed, reds, until, monkeypatch, tmp_path
):
    """No file is known that does so in every version of the interpreter; a child that crashes stands for it."""
    crashing = tmp_path / "python"
    crashing.write_text("#!/bin/sh\nkill -SEGV $$\n")
    crashing.chmod(0o755)
    with running(reds(), model) as run:
        until(lambda: run.sinks.observations)
        monkeypatch.setattr("sys.executable", str(crashing))
        write_whole(model, packed(version="2"))
        until(lambda: run.live.status().model.refused)
        assert "crashes the interpreter (SIGSEGV)" in run.live.status().model.refused
        assert answering(run) == "1"


def test_a_request_loads_the_same_file_again(running, model, reds, until, systemd):
    address, messages = systemd
    with running(reds(), model, poll_s=60, environ={"NOTIFY_SOCKET": address}) as run:
        until(lambda: "READY=1" in messages())
        run.live.reload()
        until(lambda: run.live.status().model.reloads == 1)
        until(lambda: messages().count("READY=1") == 2)
    order = [message.splitlines()[0] for message in messages() if not message.startswith("STATUS")]
    assert order == ["READY=1", "RELOADING=1", "READY=1", "STOPPING=1"]


def test_a_model_is_replaced_while_the_camera_is_lost(running, camera, model, packed, until):
    with running(camera, model) as run:
        until(lambda: run.sinks.observations)
        camera.image = None
        until(lambda: not run.live.status().camera.ok)
        write_whole(model, packed(version="2"))
        until(lambda: answering(run) == "2")


@pytest.mark.soak
def test_twenty_files_under_load(running, model, packed, reds, until):
    """Good ones and bad ones in turn, each with its verdict, and every frame of the source answered."""
    bad = [content(packed) for content, _ in BAD.values()]
    with running(reds(period_s=0.0005), model) as run:
        until(lambda: run.sinks.observations)
        for number in range(20):
            if number % 2:
                write_whole(model, bad[number // 2 % len(bad)])
                until(lambda: run.live.status().model.refused)
                assert answering(run) == f"good {number - 1}"
            else:
                write_whole(model, packed(version=f"good {number}"))
                until(lambda number=number: answering(run) == f"good {number}")
                assert run.live.status().model.refused == ""
        assert run.live.status().model.reloads == 10
        assert run.sinks.events == ["entered red"]
    assert no_frame_is_missing(run) and len(run.sinks.numbers) > 1000
    assert len(run.lines) == 20
