"""The litelens of another machine: found, asked, and not believed."""

import asyncio
import json
from pathlib import Path

import pytest

from fleet import runtime
from fleet.connection import connect
from fleet.errors import DeviceRefused, RemoteTimeout, RuntimeMissing
from fleet.runtime import find_runtime

pytest_plugins = ["ssh_fixtures"]

VERSION = '[ "$1" = --version ] && exec echo litelens, version 1.2.3\n'


@pytest.fixture
def found(device):
    """Puts a script on the device as its litelens; returns what was found."""

    def find(script: str):
        device.program("litelens", f"#!/bin/sh\n{script}")

        async def connected():
            async with connect(device.name) as machine:
                return await find_runtime(machine)

        return asyncio.run(connected())

    return find


@pytest.fixture
def ask(device):
    """The same, and asks it."""

    def asked(script: str, *words: str, **options):
        device.program("litelens", f"#!/bin/sh\n{VERSION}{script}\n")

        async def connected():
            async with connect(device.name) as machine:
                return await (await find_runtime(machine)).ask(*words, **options)

        return asyncio.run(connected())

    return asked


def test_it_is_found_where_a_person_would_find_it(device, found):
    made = found(VERSION)
    assert (made.program, made.version) == (f"{device.home}/bin/litelens", "1.2.3")


def test_there_is_none(device):
    if Path(runtime.VENV).exists():
        pytest.skip(f"this machine has a litelens in {runtime.VENV}")

    async def connected():
        async with connect(device.name) as machine:
            return await find_runtime(machine)

    with pytest.raises(RuntimeMissing, match="garden has no litelens") as missing:
        asyncio.run(connected())
    assert missing.value.hint == "litelens provision garden"


@pytest.mark.parametrize("script", ["echo no module named click >&2; exit 1", "exit 0"])
def test_one_that_does_not_start(found, script):
    with pytest.raises(RuntimeMissing, match="bin/litelens on garden does not start"):
        found(script)


def test_what_it_is_asked_arrives_word_by_word(ask):
    words = ("store", "a b", "$(x)", "'", "*", "-")
    script = 'python3 -c \'import json, sys; print(json.dumps({"words": sys.argv[1:]}))\' "$@"'
    assert ask(script, *words) == {"words": [*words, "--json"]}


def test_an_error_there_is_one_here(ask):
    error = {"kind": "StoreBusy", "message": "anna is\x1b[2J at it", "hint": "wait"}
    with pytest.raises(DeviceRefused, match=r"garden: anna is\?\[2J at it") as refused:
        ask(f"echo '{json.dumps({'error': error})}'; exit 1", "store", "list")
    assert (refused.value.kind, refused.value.exit_code, refused.value.hint) == (
        "StoreBusy",
        1,
        "there: wait",
    )


@pytest.mark.parametrize("status, code", [(3, 3), (1, 1), (77, 1)])
def test_a_missed_gate_there_is_one_here(ask, status, code):
    with pytest.raises(DeviceRefused) as refused:
        ask(f'echo \'{{"error": {{"kind": "SelfTestMissed"}}}}\'; exit {status}', "store")
    assert refused.value.exit_code == code


@pytest.mark.parametrize(
    "script, message",
    [
        ("echo Usage: litelens >&2; exit 2", "litelens 1.2.3 on garden ended with status 2: Usage: litelens"),
        ("echo no JSON", "ended with status 0: no JSON"),
        ("echo []", r"ended with status 0: \[\]"),
        ("echo '{}'; exit 4", "ended with status 4"),
        ("exit 5", "ended with status 5: it said nothing"),
        ("kill -9 $$", "status 137, killed; its memory may be too small"),
        ("head -c 50000 /dev/zero | tr '\\0' '['", "ended with status 0"),
        ("printf '\\033[2J' >&2; exit 1", r"status 1: \?\[2J"),
        ("yes >&2 & sleep 0.2; kill $!; exit 1", "ended with status 1: [y ]*y$"),
        (f"head -c {2**20} /dev/zero | tr '\\0' ' '; echo '{{}}'", "answers with more than 1048575 bytes"),
    ],
)
def test_what_is_no_answer(ask, monkeypatch, script, message):
    monkeypatch.setattr(runtime, "LARGEST_ANSWER_BYTES", 2**20 - 1)
    with pytest.raises(DeviceRefused, match=message) as refused:
        ask(script, "store", "list")
    assert "litelens store list" in refused.value.hint and len(str(refused.value)) < 1000


def test_it_does_not_wait_for_ever(ask):
    with pytest.raises(RemoteTimeout, match="took longer than 0.5 s and was ended"):
        ask("sleep 60", "store", timeout_s=0.5)
