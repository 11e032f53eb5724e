"""`litelens fleet status` with a real sshd, and litelens on the devices behind it."""

import json

import pytest

from fleet.errors import HostUnreachable
from fleet.inspecting.errors import DevicesUnwell

pytest_plugins = ["ssh_fixtures", "fleet_fixtures"]

DEVICE = {"machine": "aarch64", "interpreter": "ai_edge_litert 2", "free_bytes": 10**9, "problem": ""}
MODEL = {
    **{"name": "tiny", "current": "2", "previous": "1", "trial": None, "running": True, "problem": ""},
    "versions": [{"version": "1", "problem": ""}, {"version": "2", "problem": ""}],
}


@pytest.mark.slow  # a running loop, and a dozen starts of litelens
def test_devices_say_how_they_do(fleet_of, variant, fleet_here):
    fleet = fleet_of(3)
    fleet[0].install(variant("1"))
    fleet[0].install(variant("2"))
    fleet[0].start()
    fleet[1].install(variant("1"))
    fleet[1].store().switch("1", by="test")
    damaged = fleet[1].store().file("1")
    damaged.write_bytes(damaged.read_bytes()[:1000])
    fleet[2].store_folder.rmdir()
    ended = fleet_here("status", "--fleet", fleet.file)
    first, second, third, *sums = ended.stdout.splitlines()
    assert first.startswith("d1  tiny  2  runs; before: 1; litelens ")
    assert second.startswith("d2  tiny  1  1 is damaged; no loop; before: -; litelens ")
    assert third.startswith("d3  -     -  not asked: d3: there is no store ")
    assert sums == ["tiny answers with 2 on 1, 1 on 1"]
    assert "there is no store" in str(ended.error)

    ended = fleet_here("status", "tiny", "--fleet", fleet.file, "--to", "d1", "--json")
    (told,) = json.loads(ended.stdout)["devices"]
    assert ended.error is None and told["problems"] == [] and told["error"] is None
    assert told["status"]["free_bytes"] > 0 and abs(told["status"]["clock_ahead_s"]) < 60
    assert told["status"]["models"] == [
        {"name": "tiny", "current": "2", "previous": "1", "trial": None, "damaged": [], "running": True}
    ]

    ended = fleet_here("status", "--fleet", fleet.file, "--to", "d2")
    assert isinstance(ended.error, DevicesUnwell) and "d2: tiny 1 is damaged, no loop runs" in str(
        ended.error
    )


def test_a_device_that_is_off_is_a_line_and_an_exit_code(fleet_of, answering, fleet_here, ssh_server):
    fleet = fleet_of(1, litelens=answering(json.dumps({"models": [MODEL], "device": DEVICE})))
    lines = fleet.file.read_text()
    fleet.file.write_text(lines + 'cellar = "pi@127.0.0.1:9"\n')
    ended = fleet_here("status", "--fleet", fleet.file)
    assert ended.stdout.splitlines()[0].startswith(
        "cellar  -     -  not asked: pi@127.0.0.1:9: cannot connect"
    )
    assert ended.stdout.splitlines()[1].startswith("d1      tiny  2  runs")
    assert isinstance(ended.error, HostUnreachable) and "systemctl enable --now ssh" in ended.error.hint

    fleet.file.write_text(
        lines + 'attic = "pi@127.0.0.1:9"\ncellar = "pi@127.0.0.1:9"\n'.replace(":9", ":7", 1)
    )
    ended = fleet_here("status", "--fleet", fleet.file)
    assert str(ended.error) == "2 of 3 devices did not do it: attic, cellar"


def test_only_the_model_that_is_asked_for(fleet_of, answering, fleet_here):
    models = [MODEL, MODEL | {"name": "other", "current": "7"}]
    fleet = fleet_of(1, litelens=answering(json.dumps({"models": models, "device": DEVICE})))
    assert "other" not in fleet_here("status", "tiny", "--fleet", fleet.file).stdout
    ended = fleet_here("status", "none", "--fleet", fleet.file)
    assert "no model yet" in ended.stdout and "d1: no version answers" in str(ended.error)


def test_a_clock_that_is_wrong_is_told_of(fleet_of, answering, fleet_here, ssh_server):
    fleet = fleet_of(1, litelens=answering(json.dumps({"models": [MODEL], "device": DEVICE})))
    fleet[0].device.program("date", "#!/bin/sh\nexec /bin/date -d '3 days ago' \"$@\"\n")
    ssh_server.finds_its_own_programs(fleet[0].device)
    assert "its clock is 3 days behind" in fleet_here("status", "--fleet", fleet.file).stdout


TRIAL = {"by": "\x1b[2Jme", "left_s": 3, "starts": 1}
HOSTILE = {
    "no models": ({}, "models is missing"),
    "models that are none": ({"models": [7]}, "is missing"),
    "a name that is none": ({"models": [MODEL | {"name": None}]}, "name is None"),
    "a version that is none": ({"models": [MODEL | {"current": 1}]}, "current is 1"),
    "a trial that is none": ({"models": [MODEL | {"trial": "yes"}]}, "trial is 'yes'"),
    "no truth": ({"models": [MODEL | {"running": "yes"}]}, "running is 'yes'"),
    "versions that are none": ({"models": [MODEL | {"versions": {}}]}, "versions is {}"),
    "disk of words": ({"models": [], "device": DEVICE | {"free_bytes": "all"}}, "free_bytes is 'all'"),
    "device that is none": ({"models": [], "device": 5}, "device is 5"),
}


def test_what_a_device_answers_is_not_believed(fleet_of, answering, fleet_here):
    fleet = fleet_of(len(HOSTILE))
    for device, (answer, _) in zip(fleet, HOSTILE.values(), strict=True):
        device.device.program("litelens", answering(json.dumps(answer)))
    told = {
        device["device"]: device["error"]
        for device in json.loads(fleet_here("status", "--fleet", fleet.file, "--json").stdout)["devices"]
    }
    for device, (what, (_, message)) in zip(fleet, HOSTILE.items(), strict=True):
        assert told[device.name]["kind"] == "AnswerUnreadable", what
        assert message in told[device.name]["message"], what


def test_nothing_that_a_device_says_moves_the_cursor(fleet_of, answering, fleet_here):
    answer = {
        "models": [MODEL | {"trial": TRIAL, "current": "\x1b]0;x\x07"}],
        "device": DEVICE | {"machine": "\x9b31m"},
    }
    fleet = fleet_of(1, litelens=answering(json.dumps(answer)))
    said = fleet_here("status", "--fleet", fleet.file).stdout
    assert "on trial for ?[2Jme" in said and said.replace("\n", "").isprintable()
