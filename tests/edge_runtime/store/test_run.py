"""`litelens run STORE/NAME/current` and `litelens store` as processes, as a device has them."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from heard import Heard
from PIL import Image

from edge_runtime.store.store import Store

pytestmark = pytest.mark.slow


class Running(Heard):
    """A `litelens run` with the drawn camera, and what it says on stderr."""

    def __init__(self, model: Path, log: Path):
        self._log = log
        command = [
            sys.executable,
            "-m",
            "litelens",
            "run",
            model,
            "--camera",
            "demo",
            "--threads",
            "1",
            "--quiet",
        ]
        command += ["--log", log]
        process = subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
        super().__init__(process)

    def classifies(self) -> "Running":
        """Waits until it has classified a frame; from then on it looks whether the link leads elsewhere."""
        end_s = time.monotonic() + 120
        while not self._log.exists() or not self._log.read_bytes():
            assert self.process.poll() is None and time.monotonic() < end_s, self.said
            time.sleep(0.05)
        return self

    def kill(self) -> None:
        self.process.kill()
        self.process.wait(60)


@pytest.fixture
def own(store) -> Store:
    """A store under this machine's clock; 2 answers, 1 did before, 3 is there."""
    return Store(store.folder)


@pytest.fixture
def start(own):
    """Starts `litelens run STORE/NAME/current` with the drawn camera; what runs at the end is killed."""
    started = []

    def begin() -> Running:
        started.append(Running(own.folder / "current", own.folder.parent / f"log {len(started)}"))
        return started[-1]

    yield begin
    for running in started:
        running.kill()
        running.process.stderr.close()


def last(store: Store) -> tuple[str, str, str]:
    event = store.history().events[-1]
    return event.what, event.why, event.by


def test_a_running_loop_follows_the_link(own, start):
    running = start().classifies()
    for version in ("1", "3", "2"):
        own.switch(version, by="me")
        running.says(f"tiny {version} answers now")
    own.rollback(by="me")
    running.says("tiny 3 answers now")


def test_a_running_loop_confirms_a_version_on_trial(own, start, links):
    running = start().classifies()
    own.switch("3", healthy_s=2, by="me")
    running.says("tiny 3 answers now")
    assert running.says("was confirmed") == "tiny 3 was confirmed: healthy for 2 s"
    assert own.state().trial is None and links(own) == ("3", "2")
    assert last(own) == ("confirmed", "healthy for 2 s", "litelens run")


def test_a_version_that_fails_in_the_loop_is_rolled_back(own, start, links, packed):
    """It was not tried before the switch, as `litelens store install` does."""
    own.add(_written(own, packed("4", off=100)), by="me")
    running, before = start().classifies(), own.history().events
    own.switch("4", healthy_s=60, by="me")
    assert "differs by" in running.says("the new model is refused")
    assert "the loop refused it" in running.says("tiny 4 was rolled back")
    assert links(own) == ("2", "1") and running.process.poll() is None
    assert [event.what for event in own.history().events[len(before) :]] == ["switched", "rolled back"]


def test_a_crash_loop_after_the_switch_ends(own, start, links):
    """Each start is killed as soon as it has said that it was counted, as a version that crashes in its load would be."""
    own.switch("3", healthy_s=600, by="me")
    for number in (1, 2, 3):
        running = start()
        running.says(f"tiny 3 is on trial, start {number} of 3")
        running.kill()
    running = start()
    running.says("tiny 3 was rolled back: started 3 times without being healthy for 600 s")
    assert links(own) == ("2", "1")
    running.classifies()
    own.switch("3", by="me")
    running.says("tiny 3 answers now")


def test_a_version_that_no_interpreter_takes_is_gone_after_three_starts(own, start, links, packed, tiny):
    content = bytearray(tiny.read_bytes()[: tiny.read_bytes().index(b"PK\x03\x04")])
    content[2019] = 127  # a tensor's index: LiteRT reads far outside its tensors
    own.add(_written(own, packed("4", model=bytes(content))), by="me")
    own.switch("4", healthy_s=600, by="me")
    codes = []
    for _ in range(3):
        running = start()
        codes.append(running.process.wait(120))
    assert all(codes), codes
    running = start()
    running.says("tiny 4 was rolled back: started 3 times")
    assert links(own) == ("2", "1") and running.process.poll() is None


def _written(store: Store, content: bytes, name: str = "new.tflite") -> Path:
    path = store.folder.parent / name
    path.write_bytes(content)
    return path


def test_a_start_finishes_a_switch_that_a_power_cut_left(own, start, links):
    """The state is on the disk, the links are not."""
    os.link(own.folder / "current", own.folder.parent / "kept")
    own.switch("3", by="me")
    os.replace(own.folder.parent / "kept", own.folder / "current")
    assert links(own)[0] == "2"
    start().classifies()
    assert links(own) == ("3", "2")


def test_the_verb(litelens, own, tmp_path, packed):
    root = own.folder.parent
    listed = litelens("store", "list", root, "--json")
    assert listed.returncode == 0 and json.loads(listed.stdout)["models"][0]["current"] == "2"
    done = litelens("store", "install", root, "tiny", _written(own, packed("4")), "--json")
    assert done.returncode == 0 and json.loads(done.stdout)["did"] == "switched", done.stderr
    refused = litelens("store", "install", root, "tiny", _written(own, packed("5", off=100)), "--json")
    assert refused.returncode == 3 and json.loads(refused.stdout)["error"]["kind"] == "SelfTestMissed"
    assert "error: tiny 5 differs by" in refused.stderr and "hint: " in refused.stderr
    garbage = litelens("store", "add", root, "tiny", _written(own, b"garbage"))
    assert garbage.returncode == 1 and garbage.stderr.startswith("error: ") and garbage.stdout == ""
    assert litelens("store", "switch", root).returncode == 2
    told = litelens("store", "history", root, "tiny").stdout.splitlines()
    assert [line.split()[1] for line in told[-3:]] == ["removed", "refused", "refused"]


def test_two_installations_at_once(own, packed, links):
    """One is done; the other is refused, and told by whom."""
    commands = [
        [sys.executable, "-m", "litelens", "store", "install", own.folder.parent, "tiny"]
        + [_written(own, packed(version), f"{who}.tflite"), "--by", who, "--trial", "60", "--json"]
        for version, who in (("4", "alice"), ("5", "bob"))
    ]
    both = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for command in commands]
    said = [json.loads(process.communicate(timeout=120)[0]) for process in both]
    done = [facts for facts in said if "did" in facts]
    refused = [facts["error"] for facts in said if "error" in facts]
    assert len(done) == len(refused) == 1 and refused[0]["kind"] == "StoreBusy"
    assert ("alice" in refused[0]["message"]) == (done[0]["version"] == "4")
    assert links(own) == (done[0]["version"], "2") and own.state().trial.version == done[0]["version"]


def test_a_run_that_ends_by_itself_is_a_start(own, links, tmp_path):
    """A folder of pictures ends the run before it was healthy for long enough: the trial goes on."""
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    Image.fromarray(np.full((48, 64, 3), 200, np.uint8)).save(pictures / "grey.png")
    own.switch("3", healthy_s=600, by="me")
    command = [
        sys.executable,
        "-m",
        "litelens",
        "run",
        own.folder / "current",
        "--camera",
        pictures,
        "--quiet",
    ]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert ended.returncode == 0 and "tiny 3 is on trial, start 1 of 3" in ended.stderr
    assert own.state().trial.starts == 1 and links(own) == ("3", "2")
