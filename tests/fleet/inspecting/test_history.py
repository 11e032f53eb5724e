"""`litelens fleet history`: of this workstation, and of devices behind a real sshd."""

import json

import pytest

from edge_runtime.store.history import Event
from fleet.history import Entry, append, history_file
from fleet.inspecting.asking import Asked
from fleet.inspecting.events import DeviceHistory, Happened, merged, notes
from fleet.targets import Target

pytest_plugins = ["ssh_fixtures", "fleet_fixtures"]


def happened(device: str, when: str, what: str = "switched", model: str = "tiny") -> Happened:
    return Happened(device, model, Event(when, "boot", 1.0, what, "1", "2", "", "me"))


def asked(device: str, *models: tuple[Happened, ...], damaged: int = 0, ahead_s: float = 0) -> Asked:
    return Asked(Target(device, device), DeviceHistory(models, damaged, ahead_s), None)


def test_histories_are_put_together_by_time():
    garden = (happened("garden", "2026-01-01"), happened("garden", "2026-01-03"))
    shed = (happened("shed", "2026-01-02"), happened("shed", "2026-01-04"))
    assert [
        (event.device, event.event.when[-1])
        for event in merged([asked("garden", garden), asked("shed", shed)])
    ] == [
        ("garden", "1"),
        ("shed", "2"),
        ("garden", "3"),
        ("shed", "4"),
    ]


def test_a_clock_that_jumped_does_not_change_a_devices_order():
    jumped = (happened("shed", "2030-01-01", "switched"), happened("shed", "2026-01-02", "rolled back"))
    found = merged([asked("shed", jumped), asked("garden", (happened("garden", "2026-01-03"),))])
    assert [event.event.what for event in found if event.device == "shed"] == ["switched", "rolled back"]


def test_a_wrong_clock_and_torn_lines_are_told_of():
    found = list(
        notes([asked("shed", damaged=1, ahead_s=-86_400 * 3), asked("garden", damaged=2), asked("door")])
    )
    assert found == [
        "shed: its clock is 3 days behind, so its times may be, too",
        "shed: 1 damaged line, as a power cut leaves them",
        "garden: 2 damaged lines, as a power cut leaves them",
    ]


def test_a_line_of_an_event_has_no_control_characters():
    event = Event("2026\x1b[2J", "boot", 1.0, "switched", "1", "2", "because\r", "me")
    assert Happened("shed", "tiny", event).line() == "shed  2026?[2J  switched     tiny 1 -> 2: because? (me)"


@pytest.mark.slow  # a dozen starts of litelens
def test_the_devices_tell_what_happened_to_them(fleet_of, variant, fleet_here, ssh_server):
    fleet = fleet_of(2)
    for device in fleet:
        device.store().add(variant("1"), by="me", why="a first one")
    fleet[1].store().switch("1", by="you")
    fleet[1].device.program("date", "#!/bin/sh\nexec /bin/date -d '3 days' \"$@\"\n")
    ssh_server.finds_its_own_programs(fleet[1].device)
    ended = fleet_here("history", "--fleet", fleet.file)
    lines = ended.stdout.splitlines()
    assert [line[:2] for line in lines] == ["d1", "d2", "d2"]
    assert lines[0].endswith("added        tiny 1: a first one (me)")
    assert lines[2].endswith("switched     tiny 1 (you)")
    assert ended.stderr == "d2: its clock is 3 days ahead, so its times may be, too\n" and ended.error is None

    ended = fleet_here("history", "tiny", "--fleet", fleet.file, "--json")
    told = json.loads(ended.stdout)
    assert [event["device"] for event in told["events"]] == ["d1", "d2", "d2"]
    assert told["devices"][1]["clock_ahead_s"] == pytest.approx(3 * 86_400, abs=60)

    ended = fleet_here("history", "other", "--fleet", fleet.file, "--to", "d1", "--json")
    assert json.loads(ended.stdout)["devices"][0]["error"]["message"] == str(ended.error)


def test_this_workstation_tells_what_it_did(workstation, fleet_here):
    assert fleet_here("history").stdout == ""
    common = {"address": "pi@garden", "sha256": "", "problem": "", "why": "", "seconds": 3.0}
    missed = common | {"problem": "no answer", "why": "spring"}
    append(
        Entry(
            "2026-01-01",
            "garden",
            model="tiny",
            version="2",
            from_version="1",
            outcome="flashed",
            phase="watch",
            **common,
        )
    )
    append(
        Entry(
            "2026-01-02",
            "shed",
            model="parts",
            version="2",
            from_version=None,
            outcome="failed",
            phase="connect",
            **missed,
        )
    )
    history_file().open("a").write("torn\n")
    ended = fleet_here("history")
    assert ended.stdout.splitlines() == [
        "garden  2026-01-01  flashed      tiny 1 -> 2",
        "shed  2026-01-02  failed in connect  parts 2: no answer; why: spring",
    ]
    assert "1 damaged line" in ended.stderr
    assert fleet_here("history", "tiny").stdout.count("\n") == 1
    told = json.loads(fleet_here("history", "--json").stdout)
    assert told["damaged_lines"] == 1 and told["entries"][0]["from"] == "1"


HOSTILE = {
    "a name that is an option": ({"models": [{"name": "--help"}]}, "models are"),
    "a name that is a path": ({"models": [{"name": "../x"}]}, "models are"),
    "no events": ({"models": [{"name": "tiny"}]}, "events is missing"),
    "events that are none": ({"models": [{"name": "tiny"}], "events": [7]}, "expected an object"),
    "lines that are no number": (
        {"models": [{"name": "tiny"}], "events": [], "damaged_lines": "x"},
        "damaged_lines is",
    ),
}


def test_what_a_device_answers_is_not_believed(fleet_of, answering, fleet_here):
    fleet = fleet_of(len(HOSTILE))
    for device, (answer, _) in zip(fleet, HOSTILE.values(), strict=True):
        device.device.program("litelens", answering(json.dumps(answer)))
    told = {
        device["device"]: device["error"]
        for device in json.loads(fleet_here("history", "--fleet", fleet.file, "--json").stdout)["devices"]
    }
    for device, (what, (_, message)) in zip(fleet, HOSTILE.items(), strict=True):
        assert told[device.name]["kind"] == "AnswerUnreadable", what
        assert message in told[device.name]["message"], what
