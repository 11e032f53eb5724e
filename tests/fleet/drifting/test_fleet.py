"""`litelens drift NAME`, over a real sshd, each device with a real litelens and a HOME of its own."""

import json
import sys

import pytest

from .conftest import FEW, GOOD, RED, STEADY, UNSURE, counted, keep

pytest_plugins = ["ssh_fixtures", "fleet_fixtures"]


@pytest.fixture
def asked(litelens_here):
    """`litelens drift tiny` with more arguments: click's result."""

    def ask(*arguments: object):
        return litelens_here("drift", "tiny", *arguments)

    return ask


def lines_of(ended) -> dict[str, str]:
    """The table's line of each device."""
    return {line.split()[0]: line for line in ended.stdout.splitlines() if line.startswith("d")}


def test_a_drifted_and_a_steady_device_are_told_apart(fleet_of, asked, tiny_with_reference):
    fleet = fleet_of(3)
    for device, frames in zip(fleet, (STEADY, UNSURE, RED), strict=True):
        device.install(tiny_with_reference)
        keep(device.state, frames)
    ended = asked("--fleet", fleet.file)
    assert ended.exit_code == 3, ended.stderr
    lines = lines_of(ended)
    assert lines["d1"].endswith("steady") and lines["d2"].endswith("drifted: less sure than expected")
    assert lines["d3"].endswith("steady; sees other classes: red 100 %, expected 33 %")
    assert "error: d2 has drifted" in ended.stderr and "litelens pull" in ended.stderr
    heads = [line for line in ended.stdout.splitlines() if line.startswith("score")]
    assert len(heads) == 1 and heads[0].split() == ["score", "validation", "d2"]


@pytest.mark.slow  # a device is asked twice more
def test_as_json_and_what_keeps_a_device_from_being_compared(fleet_of, asked, tiny_with_reference, tiny):
    fleet = fleet_of(4)
    for device in fleet.devices[:2]:
        device.install(tiny_with_reference)
    fleet[2].install(tiny)
    keep(fleet[0].state, FEW)
    keep(fleet[2].state, STEADY)
    ended = asked("--fleet", fleet.file, "--json")
    assert ended.exit_code == 1, ended.stderr
    assert "error: 3 of 4 devices could not be compared: d2, d3, d4" in ended.stderr
    found = json.loads(ended.stdout)
    assert (found["model"], found["days"], found["drifted"]) == ("tiny", 7, [])
    devices = {device["device"]: device for device in found["devices"]}
    assert list(devices) == ["d1", "d2", "d3", "d4"]
    assert devices["d1"]["comparison"]["verdict"] == "too few to say" and devices["d1"]["error"] is None
    said = {name: devices[name]["error"]["message"] for name in ("d2", "d3", "d4")}
    assert (
        "history.sqlite" in said["d2"] and "kept no histogram" in said["d3"] and "is not there" in said["d4"]
    )
    ended = asked("--to", "d2", "--fleet", fleet.file)
    assert ended.exit_code == 1 and "not compared: d2: there is no" in ended.stdout
    assert "hint: there: have it do so: litelens run ... --history" in ended.stderr


SAYS = """#!/bin/sh
if [ "$1" = --version ]; then echo litelens, version 0.1.0; exit; fi
cat "$HOME/answer"; exit $(cat "$HOME/status")
"""


@pytest.mark.parametrize(
    "answer, status, said",
    [
        (GOOD, 0, None),
        (GOOD, 1, "ended with status 1"),
        ("{", 0, "ended with status 0"),
        (GOOD | {"labels": ["x"] * 20_000}, 3, "gives an answer that cannot be read: labels is"),
    ],
)
def test_what_a_device_says_is_not_believed(device, asked, answer, status, said):
    device.program("litelens", SAYS)
    (device.home / "answer").write_text(answer if isinstance(answer, str) else json.dumps(answer))
    (device.home / "status").write_text(str(status))
    ended = asked("--to", device.name)
    if said is None:
        assert ended.exit_code == 0 and "steady" in ended.stdout, ended.stderr
    else:
        assert ended.exit_code == 1 and said in ended.stderr


def test_texts_of_a_device_do_not_move_the_cursor(device, asked):
    labels = ["\x1b[2J", "\u202egnp.exe", "x" * 10_000]
    frames = counted({labels[0]: {0.6: 300}}, tuple(labels)).to_dict()
    expected = {"split": "\x1b]0;title\x07", **counted({labels[1]: {0.97: 300}}, tuple(labels)).to_dict()}
    hostile = {"labels": labels, "version": "\r\n1", "histogram": frames, "reference": expected}
    device.program("litelens", SAYS)
    (device.home / "answer").write_text(json.dumps(GOOD | hostile))
    (device.home / "status").write_text("0")
    ended = asked("--to", device.name)
    assert ended.exit_code == 3, ended.output
    assert all(char.isprintable() or char == "\n" for char in ended.output)
    assert all(len(line) < 1000 for line in ended.output.splitlines())


def test_without_asyncssh_a_fleet_needs_the_extra_and_a_device_does_not(
    litelens_here, tiny_with_reference, tmp_path, monkeypatch
):
    monkeypatch.setitem(sys.modules, "asyncssh", None)
    for module in [name for name in sys.modules if name.startswith("fleet.")]:
        monkeypatch.delitem(sys.modules, module)
    keep(tmp_path, STEADY)
    ended = litelens_here("drift", tiny_with_reference, "--state", tmp_path)
    assert ended.exit_code == 0 and "steady" in ended.stdout, ended.stderr
    ended = litelens_here("drift", "tiny", "--to", "pi@garden")
    assert ended.exit_code == 1 and "litelens drift --to and --fleet needs asyncssh" in ended.stderr
    assert "pip install 'litelens[fleet]'" in ended.stderr
