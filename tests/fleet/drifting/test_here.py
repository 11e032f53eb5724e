"""`litelens drift NAME.tflite`, on the device itself, beside the loop."""

import json
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from PIL import Image
from ssh_server import wait_until

from edge_runtime.store.install import install
from edge_runtime.store.store import Store

from .conftest import FEW, RED, STEADY, UNSURE, keep

pytest_plugins = ["ssh_fixtures", "fleet_fixtures"]


@pytest.fixture
def state(tmp_path):
    folder = tmp_path / "state"
    folder.mkdir()
    return folder


@pytest.mark.parametrize(
    "frames, code, said",
    [
        (STEADY, 0, "0.96 (0.96)  3 % (3 %)  0.00   -       steady"),
        (RED, 0, "steady; sees other classes: red 100 %, expected 33 %"),
        (UNSURE, 3, "drifted: less sure than expected"),
        (FEW, 0, "too few to say: 20 frames of this version, 200 needed"),
    ],
)
def test_what_is_said_of_this_device(litelens_here, tiny_with_reference, state, frames, code, said):
    keep(state, frames)
    ended = litelens_here("drift", tiny_with_reference, "--state", state)
    assert (ended.exit_code, said in ended.stdout) == (code, True), ended.stdout + ended.stderr
    if code:
        assert "error: this device has drifted" in ended.stderr and "hint: look at the camera" in ended.stderr
        assert "0.60-0.65" in ended.stdout and "####" in ended.stdout, "both histograms"
    else:
        assert ended.stderr == "" and "####" not in ended.stdout


def test_as_json(litelens_here, tiny_with_reference, state):
    keep(state, UNSURE)
    ended = litelens_here("drift", tiny_with_reference, "--state", state, "--json")
    found = json.loads(ended.stdout)
    assert ended.exit_code == 3 and found["drifted"] is True
    assert (found["model"], found["version"], found["reference"]["split"]) == ("tiny", "1", "validation")
    assert found["comparison"]["verdict"] == "drifted" and found["comparison"]["unknown"] == pytest.approx(
        160 / 300
    )
    assert found["histogram"]["counts"]["green"] == {"12": 100}


def test_failures_are_json_too(litelens_here, tiny, state):
    keep(state, STEADY)
    ended = litelens_here("drift", tiny, "--state", state, "--json")
    assert ended.exit_code == 1 and "--data PICTURES" in ended.stderr
    assert json.loads(ended.stdout)["error"]["kind"] == "NoReference"


def test_pictures_stand_in_for_a_reference(litelens_here, tiny, state, tmp_path, coloured):
    folder = tmp_path / "mine"
    folder.mkdir()
    for number in range(60):
        Image.fromarray(coloured("red")).save(folder / f"{number}.png")
    keep(state, {"red": {0.999: 300}})
    ended = litelens_here("drift", tiny, "--state", state, "--data", folder)
    assert ended.exit_code == 0 and "steady" in ended.stdout, ended.stderr


@pytest.mark.parametrize(
    "arguments, said",
    [
        (("./nowhere.tflite",), "nowhere.tflite is not there"),
        (("tiny",), "tiny is no file here; for devices' models of that name add --to or --fleet"),
        (("tiny", "--to", "pi@garden", "--state", "state"), "--state and --data are for a model file here"),
        (("../tiny", "--to", "pi@garden"), "is no name of a file in a store"),
        (("tiny", "--to", ""), "no device is named"),
        (("tiny.tflite", "--days", "0"), "--days"),
    ],
)
def test_what_cannot_be_asked_is_said_so(litelens_here, tmp_path, arguments, said):
    ended = litelens_here("drift", *arguments, cwd=tmp_path)
    assert ended.exit_code in (1, 2) and said in ended.stderr and isinstance(ended.exception, SystemExit)


@pytest.fixture
def loop(state):
    """Starts `litelens run --history` on a camera that is drawn; what still runs at the end is killed."""
    started = []

    def start(model: Path, seconds: float) -> subprocess.Popen:
        """Returns once it has looked at frames for so long."""
        command = [
            sys.executable,
            "-m",
            "litelens",
            "run",
            model,
            "--camera",
            "demo",
            "--history",
            "--state",
            state,
        ]
        lines = state.parent / f"{len(started)}.jsonl"
        with lines.open("wb") as stdout, (state.parent / "run.log").open("ab") as log:
            started.append(subprocess.Popen([*map(str, command)], stdout=stdout, stderr=log))
        wait_until(lambda: span_s(lines) >= seconds, f"frames for {seconds} s", 120)
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.wait(60)


def span_s(lines: Path) -> float:
    """From the first frame to the last that is told whole."""
    whole = lines.read_bytes().rpartition(b"\n")[0].split(b"\n")
    times = [json.loads(line)["time"] for line in (whole[0], whole[-1]) if line]
    return times[-1] - times[0] if times else 0.0


def asked(litelens_here, model, state) -> dict:
    ended = litelens_here("drift", model, "--state", state, "--json")
    assert ended.exit_code in (0, 3), ended.stderr
    return json.loads(ended.stdout)


@pytest.mark.slow  # loops of several seconds
def test_a_loop_counts_a_frame_a_second_and_kill_9_takes_what_is_not_yet_on_the_disk(
    litelens_here, tiny_with_reference, state, loop
):
    first = loop(tiny_with_reference, 3)
    running = asked(litelens_here, tiny_with_reference, state)
    assert running["histogram"]["frames"] == 0, "every ten minutes; but it can be read"
    first.send_signal(signal.SIGTERM)
    assert first.wait(60) == 0
    found = asked(litelens_here, tiny_with_reference, state)
    frames = found["histogram"]["frames"]
    assert 2 <= frames <= found["until"] - found["since"] + 1.5, "at most one a second"
    second = loop(tiny_with_reference, 2)
    second.kill()
    second.wait(60)
    assert (state / "history.sqlite-wal").exists()
    assert asked(litelens_here, tiny_with_reference, state)["histogram"]["frames"] == frames


@pytest.mark.slow  # a model that is replaced under a loop
def test_each_version_is_counted_by_itself(
    litelens_here, tiny_with_reference, state, loop, variant, tmp_path
):
    store = Store(tmp_path / "store" / "tiny")
    store.folder.parent.mkdir()
    install(store, tiny_with_reference, by="test")
    process = loop(store.folder / "current", 2)
    install(store, variant("2"), by="test")

    def frames() -> int:
        return asked(litelens_here, tiny_with_reference, state)["histogram"]["frames"]

    wait_until(frames, "what was counted of the first is on the disk once the second answers", 120)
    first = frames()
    process.send_signal(signal.SIGTERM)
    assert process.wait(60) == 0
    assert frames() == first >= 2
    with closing(sqlite3.connect(state / "history.sqlite")) as connection:
        select = (
            "SELECT json_extract(content, '$.version') FROM records WHERE kind = 'histogram' ORDER BY seq"
        )
        assert connection.execute(select).fetchall() == [("1",), ("2",)]
