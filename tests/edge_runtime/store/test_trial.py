"""A version that must show that it works: by starts and by the time since the boot, never by the wall clock."""

import os
import subprocess
import sys
from dataclasses import replace

import pytest

from edge_runtime.store.errors import StoreBusy, StoreError
from edge_runtime.store.moment import now
from edge_runtime.store.state import LOADS_WITHIN_S, STARTS
from edge_runtime.store.store import Store


@pytest.fixture
def trial(store) -> Store:
    """Version 3 on trial, 2 before it, 1 before that."""
    store.switch("3", healthy_s=30, by="alice")
    return store


def last(store) -> tuple[str, str]:
    event = store.history().events[-1]
    return event.what, event.why


def test_a_trial_that_is_confirmed_is_over(trial, links, clock):
    assert trial.confirm("3", by="alice") == "confirmed"
    assert trial.confirm("3", by="alice") == "already"
    clock.uptime_s += 10_000
    assert trial.settle("me").trial is None and links(trial) == ("3", "2")
    assert trial.started("me") == ""


def test_a_rollback_during_a_trial_leaves_nothing_of_it(trial, links):
    trial.rollback(by="alice", why="it looks odd")
    assert links(trial) == ("2", "1") and trial.state().trial is None
    assert last(trial) == ("rolled back", "it looks odd")
    with pytest.raises(StoreError, match="'3' is not on trial: it was rolled back: it looks odd"):
        trial.confirm("3", by="alice")


def test_the_versions_before_a_trial_are_kept(trial):
    assert trial.keep(1, by="me") == ()


def test_a_crash_loop_ends_with_the_version_before(trial, links):
    for start in range(1, STARTS + 1):
        assert trial.started("loop") == f"tiny 3 is on trial, start {start} of 3"
        assert links(trial) == ("3", "2")
    assert trial.started("loop") == ("tiny 3 was rolled back: started 3 times without being healthy for 30 s")
    assert links(trial) == ("2", "1")
    assert trial.started("loop") == "", "the old version is not on trial"
    event = trial.history().events[-1]
    assert (event.from_version, event.to_version, event.by) == ("3", "2", "the store")


def test_a_start_without_a_trial_writes_nothing(store):
    def written() -> dict[str, tuple[int, int]]:
        found = {name: os.lstat(store.folder / name) for name in os.listdir(store.folder)}
        return {name: (entry.st_ino, entry.st_mtime_ns) for name, entry in found.items()}

    before = written()
    assert store.started("loop") == "" and written() == before


def test_a_start_finishes_a_switch_that_was_cut(store, links):
    state = store.state()
    store._disk.write(replace(state, current="3", previous="2"))
    assert links(store) == ("2", "1")
    assert store.started("loop") == "" and links(store) == ("3", "2")


def test_without_health_the_time_ends_the_trial(trial, links, clock):
    clock.uptime_s += 30 + LOADS_WITHIN_S - 1
    assert trial.settle("me").trial is not None
    clock.uptime_s += 1
    assert trial.settle("me", "the camera is lost").current == "2"
    assert links(trial) == ("2", "1")
    assert last(trial) == (
        "rolled back",
        "not healthy for 30 s within 210 s: the camera is lost",
    )


@pytest.mark.parametrize(
    "call", [lambda s: s.started("me"), lambda s: s.switch("2", by="me"), lambda s: s.keep(9, by="me")]
)
def test_whoever_comes_first_ends_it(trial, links, clock, call):
    clock.uptime_s += 1000
    call(trial)
    assert links(trial) == ("2", "1")


def test_once_the_time_is_over_it_cannot_be_confirmed(trial, links, clock):
    clock.uptime_s += 1000
    with pytest.raises(StoreError, match="was rolled back: not healthy for 30 s within 210 s"):
        trial.confirm("3", by="late")
    assert links(trial) == ("2", "1")


def test_a_new_boot_begins_a_new_time_and_costs_a_start(trial, links, clock):
    for _ in range(STARTS):
        clock.uptime_s += 200
        clock.restart()
        clock.uptime_s += 100
        trial.started("loop")
        assert trial.state().trial.left_s(clock()) == 210 and links(trial) == ("3", "2")
    clock.restart()
    trial.started("loop")
    assert links(trial) == ("2", "1")


def test_time_does_not_begin_anew_within_a_boot(trial, links, clock):
    clock.restart()
    trial.started("loop")
    clock.uptime_s += 209
    trial.started("loop")
    clock.uptime_s += 2
    assert trial.settle("me").current == "2"


@pytest.mark.parametrize("when", ["1970-01-01T00:00:00+00:00", "2099-01-01T00:00:00+00:00", ""])
def test_the_wall_clock_decides_nothing(trial, links, clock, when):
    clock.when = when
    clock.uptime_s += 209
    assert trial.settle("me").trial is not None and trial.started("loop")
    clock.uptime_s += 2
    assert trial.settle("me").trial is None and links(trial) == ("2", "1")
    assert trial.history().events[-1].when == when


def test_a_first_version_that_fails_stays(empty, model, links, clock):
    empty.add(model("1"), by="me")
    empty.switch("1", healthy_s=30, by="me")
    clock.uptime_s += 1000
    empty.settle("me")
    assert links(empty) == ("1", None) and empty.state().trial is None
    assert last(empty)[0] == "on trial and failed" and "no sound version to go back to" in last(empty)[1]


def test_nothing_goes_back_to_a_damaged_version(trial, links, clock):
    trial.file("2").write_bytes(b"garbage")
    clock.uptime_s += 1000
    assert trial.settle("me").current == "3"
    assert last(trial)[0] == "on trial and failed"


def test_a_next_version_waits_until_the_trial_is_over(trial, model, clock, links):
    trial.add(model("4"), by="bob")
    with pytest.raises(StoreBusy, match="tiny 3 is on trial for alice, 210 s left"):
        trial.switch("4", by="bob")
    clock.uptime_s += 1000
    assert trial.switch("4", by="bob") == "switched" and links(trial) == ("4", "2")


def test_this_machine_tells_its_boot_and_the_time_since():
    first, second = now(), now()
    assert first.boot == second.boot and len(first.boot) == 36
    assert 0 < first.uptime_s <= second.uptime_s
    with open("/proc/uptime") as file:
        assert abs(second.uptime_s - float(file.read().split()[0])) < 60


@pytest.mark.slow
@pytest.mark.parametrize("wrong", ["1980-01-01 00:00:00", "2037-12-31 23:59:59"])
def test_under_a_wrong_clock_a_trial_takes_as_long(store, tmp_path, wrong):
    """A real process, whose time(2) is decades off, looks at a trial that began under the right clock."""
    faketime = "/usr/bin/faketime"
    if not os.path.exists(faketime):
        pytest.skip("needs faketime (Debian: faketime)")
    own = Store(store.folder)
    own.switch("3", healthy_s=3600, by="me")
    code = (
        "import sys; from pathlib import Path; from edge_runtime.store.store import Store; "
        "s = Store(Path(sys.argv[1])); t = s.settle('me').trial; print(t.left_s(s.moment()), s.moment().when)"
    )
    # As a wrong clock is: the monotonic clocks are the kernel's.
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path), "DONT_FAKE_MONOTONIC": "1"}
    ended = subprocess.run(
        [faketime, "-f", f"@{wrong}", sys.executable, "-c", code, str(store.folder)],
        capture_output=True,
        text=True,
        timeout=120,
        env=environment,
    )
    assert ended.returncode == 0, ended.stderr
    left_s, when = ended.stdout.split()
    assert when.startswith(wrong[:4]) or when.startswith(str(int(wrong[:4]) + 1))
    assert 3600 < float(left_s) <= 3600 + LOADS_WITHIN_S


def test_why_a_version_was_left_is_known_until_it_is_taken_again(trial, clock):
    """A device that follows a repository does not take it again by itself."""
    assert trial.failure("3") == "" and trial.failure("9") == ""
    clock.uptime_s += 1000
    trial.settle("me")
    assert trial.failure("3") == "was rolled back: not healthy for 30 s within 210 s"
    assert trial.failure("2") == trial.failure("1") == ""
    trial.switch("3", by="me")
    assert trial.failure("3") == ""
