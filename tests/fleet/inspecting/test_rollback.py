"""`litelens fleet rollback` with a real sshd, and litelens on the devices behind it."""

import json
import sys

import pytest
from ssh_server import Person

from fleet.history import read
from fleet.inspecting.errors import NotAgreed, NoWayBack

pytest_plugins = ["ssh_fixtures", "fleet_fixtures"]


@pytest.fixture
def two(fleet_of, variant):
    """Two devices; version 2 answers, 1 did before."""
    fleet = fleet_of(2)
    for device in fleet:
        for version in ("1", "2"):
            device.store().add(variant(version), by="test")
            device.store().switch(version, by="test")
    return fleet


def current(fleet) -> list[str]:
    return [device.current() for device in fleet]


@pytest.mark.slow  # a dozen starts of litelens
def test_all_go_back_once_however_often_it_is_said(two, fleet_here):
    command = ("rollback", "tiny", "--fleet", two.file, "--from", "2", "--why", "it barks")
    ended = fleet_here(*command)
    assert ended.error is None and current(two) == ["1", "1"]
    assert ended.stdout.splitlines() == ["d1  rolled back: 2 -> 1", "d2  rolled back: 2 -> 1"]
    what, why, by = two[0].last()
    assert (what, why) == ("rolled back", "it barks") and by.endswith(" with litelens fleet")

    ended = fleet_here(*command, "--json")
    told = json.loads(ended.stdout)
    assert [device["done"]["did"] for device in told["devices"]] == ["already", "already"]
    assert current(two) == ["1", "1"]

    here = [
        (entry.device, entry.outcome, entry.from_version, entry.version, entry.why)
        for entry in read().entries
    ]
    assert sorted(here[:2]) == [
        ("d1", "rolled back", "2", "1", "it barks"),
        ("d2", "rolled back", "2", "1", "it barks"),
    ]
    assert {entry[1] for entry in here[2:]} == {"already"}


ANSWER = {
    "models": [
        {"name": "tiny", "current": "2", "previous": "1", "trial": None, "running": True, "versions": []}
    ],
    **{"did": "rolled back", "version": "1"},
}
"""To both questions."""


def test_many_are_not_taken_back_without_a_yes(fleet_of, answering, fleet_here):
    fleet = fleet_of(
        2, litelens=answering(json.dumps(ANSWER)).replace("\ncat", '\necho "$*" >> "$HOME/calls"\ncat')
    )

    def rollbacks() -> list[str]:
        calls = [call for device in fleet for call in (device.home / "calls").read_text().splitlines()]
        return [call for call in calls if call.startswith("store rollback")]

    command = ("rollback", "tiny", "--fleet", fleet.file)
    ended = fleet_here(*command)
    assert isinstance(ended.error, NotAgreed) and ended.error.hint == "add --yes"
    assert ended.stderr == "d1  tiny 2 -> 1\nd2  tiny 2 -> 1\n"

    litelens = [sys.executable, "-m", "litelens", "fleet", *map(str, command)]
    nobody = Person(litelens)
    nobody.types("n", when="Do so on 2 devices? [y/N]")
    assert nobody.leaves() == 1 and "nothing was done" in nobody.said
    assert rollbacks() == [] and not read().entries

    somebody = Person(litelens)
    somebody.types("y", when="[y/N]")
    assert somebody.leaves() == 0, somebody.said
    assert [call.partition(" --by")[0].split()[-3:] for call in rollbacks()] == [["tiny", "--from", "2"]] * 2
    assert fleet_here(*command, "--to", "d1").error is None, "one needs no yes"
    assert fleet_here(*command, "--yes").error is None
    assert len(rollbacks()) == 5


@pytest.mark.slow
def test_a_device_without_a_way_back_is_left_out(two, fleet_here):
    for file in two[1].store().folder.iterdir():
        file.unlink()
    ended = fleet_here("rollback", "tiny", "--fleet", two.file, "--yes", "--json")
    assert isinstance(ended.error, NoWayBack) and current(two) == ["1", None]
    first, second = json.loads(ended.stdout)["devices"]
    assert first["done"] == {"did": "rolled back", "leaving": "2", "version": "1"}
    assert (
        second["done"] is None and "d2 has no version of tiny before the first" in second["error"]["message"]
    )
    assert {entry.device: entry.outcome for entry in read().entries} == {"d1": "rolled back", "d2": "failed"}


@pytest.mark.slow
def test_a_store_that_refuses_says_why(two, fleet_here):
    ended = fleet_here("rollback", "other", "--fleet", two.file, "--from", "2", "--to", "d1")
    assert "d1: " in str(ended.error) and "not done: d1: " in ended.stdout
    assert current(two) == ["2", "2"]
