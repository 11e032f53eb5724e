import json
import os
import subprocess
import sys

import pytest

from edge_runtime.device import crashes
from edge_runtime.device.crashes import FILE_NAME, CrashRecord

HOUR = 3600


@pytest.fixture
def clock(monkeypatch):
    """A wall clock to set."""

    class Clock:
        now = 1.8e9

    monkeypatch.setattr(crashes, "time", lambda: Clock.now)
    return Clock


def crash_at(clock, folder, *times: float) -> str:
    """Notes crashes, each by another process; returns why the Edge TPU is left alone."""
    for clock.now in times:
        CrashRecord(folder).add("it aborted")
    return CrashRecord(folder).given_up


@pytest.mark.parametrize(
    "hours, given_up",
    [
        ([0], False),
        ([0, 1], False),
        ([0, 1, 2], True),
        ([0, 0, 0], True),
        ([0, 12, 23.9], True),
        ([0, 12, 24.1], False),
        ([0, 12, 24.1, 30], True),
        ([100, 99, 98], True),  # the clock runs back
        ([100, 101, 0], False),  # it was set back by days: those before are of another time
        ([100, 101, 0, 1, 2], True),
    ],
)
def test_three_within_a_day_are_too_many(clock, tmp_path, hours, given_up):
    assert bool(crash_at(clock, tmp_path, *(1.8e9 + hour * HOUR for hour in hours))) == given_up


@pytest.mark.parametrize("later", [-1e9, 30 * 24 * HOUR])
def test_what_was_given_up_stays_so_until_told(clock, tmp_path, later):
    crash_at(clock, tmp_path, 1.8e9, 1.8e9, 1.8e9)
    clock.now = 1.8e9 + later
    record = CrashRecord(tmp_path)
    assert "it aborted" in record.given_up and str(tmp_path / FILE_NAME) in record.given_up
    record.clear()
    assert CrashRecord(tmp_path).given_up == ""


def test_without_its_file_it_is_forgotten(clock, tmp_path):
    assert crash_at(clock, tmp_path, 1.8e9, 1.8e9, 1.8e9)
    (tmp_path / FILE_NAME).unlink()
    assert CrashRecord(tmp_path).given_up == ""


@pytest.mark.parametrize(
    "content",
    [
        b"", b"{", b"[]", b"null", b'"a"', b'{"times": 1}', b'{"times": ["a"]}', b'{"user": {"pid": 1}}', b'{"user": 1}',
        b'{"other": 1}', b"\xff", b"[" * 100_000,
    ],
)  # fmt: skip
def test_a_damaged_file_is_an_empty_record(tmp_path, content):
    (tmp_path / FILE_NAME).write_bytes(content)
    record = CrashRecord(tmp_path)
    record.notice()
    assert record.given_up == ""
    record.add("it aborted")
    assert len(json.loads((tmp_path / FILE_NAME).read_text())["times"]) == 1


def test_a_folder_that_cannot_be_written_to_does_no_harm(tmp_path):
    (tmp_path / "file").write_text("in the way")
    record = CrashRecord(tmp_path / "file" / "state")
    record.add("it aborted")
    record.begin()
    record.clear()
    assert CrashRecord(record.path.parent).given_up == ""


def end_a_user(folder, how: str) -> None:
    """A process that uses the Edge TPU, and ends."""
    program = (
        "from pathlib import Path; from edge_runtime.device.crashes import CrashRecord; import os, sys; "
    )
    program += f"CrashRecord(Path({str(folder)!r})).begin(); {how}"
    subprocess.run([sys.executable, "-c", program], stderr=subprocess.DEVNULL)


@pytest.mark.parametrize(
    "how, crashed",
    [
        ("pass", False),
        ("sys.exit(1)", False),
        ("raise ValueError", False),
        ("os.abort()", True),
        ("os.kill(os.getpid(), 9)", True),
        ("os.fork() or sys.exit(); os.wait(); os.abort()", True),  # a fork's end is not its own
    ],
)
def test_a_user_that_a_signal_ended_is_a_crash(tmp_path, how, crashed):
    end_a_user(tmp_path, how)
    for _ in range(2):  # counted once
        CrashRecord(tmp_path).notice()
    assert len(json.loads((tmp_path / FILE_NAME).read_text())["times"]) == crashed


def test_a_power_cut_is_none(tmp_path):
    end_a_user(tmp_path, "os.abort()")
    state = json.loads((tmp_path / FILE_NAME).read_text())
    state["user"]["boot"] = "another"
    (tmp_path / FILE_NAME).write_text(json.dumps(state))
    CrashRecord(tmp_path).notice()
    assert json.loads((tmp_path / FILE_NAME).read_text())["times"] == []


def test_a_user_that_lives_is_none(tmp_path):
    state = {"user": crashes._process(os.getpid())}
    (tmp_path / FILE_NAME).write_text(json.dumps(state))
    CrashRecord(tmp_path).notice()
    assert json.loads((tmp_path / FILE_NAME).read_text()) == state
