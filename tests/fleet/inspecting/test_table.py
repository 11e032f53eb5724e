"""Statuses as lines."""

from dataclasses import replace

import pytest

from fleet.errors import HostUnreachable
from fleet.inspecting.asking import Asked
from fleet.inspecting.status import DeviceStatus, ModelOnDevice, Trial
from fleet.inspecting.table import clock_said, counts, table
from fleet.targets import Target

PARTS = ModelOnDevice("parts", "2", "1", None, (), True)
GARDEN = DeviceStatus("0.1.0", "aarch64", "ai_edge_litert 2.1.0", 11_200_000_000, "", 0.5, (PARTS,))


def asked(name: str, status: DeviceStatus | None) -> Asked[DeviceStatus]:
    problem = None if status else HostUnreachable(f"{name}: no login within 20 s\x1b[2J", "is it on?")
    return Asked(Target(name, f"pi@{name}.local"), status, problem)


def test_a_line_a_device_and_model_then_a_sum():
    doors = replace(PARTS, name="doors", current="20260101.120000", previous=None, running=None)
    two = replace(GARDEN, models=(doors, PARTS))
    assert table([asked("door", None), asked("garden", GARDEN), asked("shed", two)]) == [
        "door    -      -                not asked: door: no login within 20 s?[2J",
        "garden  parts  2                runs; before: 1; litelens 0.1.0; aarch64; 11.2 GB free",
        "shed    doors  20260101.120000  loop unknown; before: -; litelens 0.1.0; aarch64; 11.2 GB free",
        "shed    parts  2                runs; before: 1",
        "doors answers with 20260101.120000 on 1",
        "parts answers with 2 on 2",
    ]


def test_what_somebody_should_look_at_comes_first():
    trial = Trial("ann@desk with litelens flash", 12.4, 1)
    damaged = replace(PARTS, damaged=("1",), running=False, trial=trial)
    status = replace(GARDEN, models=(damaged,), clock_ahead_s=-90_000, store_problem="/srv is read-only")
    (line, _) = table([asked("garden", status)])
    assert line == (
        "garden  parts  2  1 is damaged; no loop; on trial for ann@desk with litelens flash, 12 s left, start 1 of 3; "
        "before: 1; /srv is read-only; its clock is 25 hours behind; litelens 0.1.0; aarch64; 11.2 GB free"
    )
    assert status.problems == ("/srv is read-only", "parts 1 is damaged", "no loop runs")


def test_a_device_of_an_older_litelens_tells_less():
    status = replace(GARDEN, machine=None, free_bytes=None, models=())
    assert table([asked("garden", status)]) == ["garden  -  -  no model yet; litelens 0.1.0"]
    assert status.problems == ("no version answers",)


def test_one_loop_is_enough_and_an_unknown_one_is_no_problem():
    idle = replace(PARTS, name="doors", running=False)
    assert replace(GARDEN, models=(idle, PARTS)).problems == ()
    assert replace(GARDEN, models=(replace(PARTS, running=None),)).problems == ()


def test_versions_are_counted_the_most_frequent_first():
    old = replace(GARDEN, models=(replace(PARTS, current="1"),))
    new = [asked(f"d{number}", GARDEN) for number in range(3)]
    assert counts([asked("old", old), *new, asked("door", None)]) == {"parts": {"2": 3, "1": 1}}


@pytest.mark.parametrize(
    "ahead_s, said",
    [
        (0, ""),
        (-60, ""),
        (61, "its clock is 61 s ahead"),
        (-7200, "its clock is 2 hours behind"),
        (31_536_000, "its clock is 365 days ahead"),
    ],
)
def test_a_clock_that_is_off_by_more_than_a_minute_is_told_of(ahead_s, said):
    assert clock_said(ahead_s) == said
