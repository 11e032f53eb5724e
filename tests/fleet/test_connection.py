"""Commands on another machine, and what becomes of them when the connection ends."""

import asyncio
import shlex
import time

import pytest
from ssh_server import wait_until

from fleet import login
from fleet.connection import Connection, connect
from fleet.errors import ConnectionCut, RemoteCommandFailed, RemotePermissionDenied, RemoteTimeout

pytest_plugins = ["ssh_fixtures"]

NASTY = ("", "two words", "$HOME", "`id`", "'", '"', "a\\b", "*", "new\nline", "-n", ";", "é", "&&")
LONG = "600.25"
"""Seconds to sleep: a number that no other process of the machine has in its arguments."""


@pytest.fixture
def on(device):
    """Runs a coroutine with a connection to the device; returns what it returns."""

    def run(work):
        async def connected():
            async with connect(device.name) as machine:
                return await work(machine)

        return asyncio.run(connected())

    return run


async def sleeping(machine: Connection, ssh_server) -> asyncio.Task:
    """A command that sleeps for ten minutes, once it does so."""
    task = asyncio.create_task(machine.run(("sh", "-c", f"sleep {LONG}; true")))
    await asyncio.to_thread(wait_until, lambda: ssh_server.commands(f"sleep {LONG}"), "it sleeps")
    return task


def test_arguments_arrive_as_they_are(on):
    ended = on(lambda machine: machine.run(("printf", r"%s\0", *NASTY)))
    assert ended.stdout.decode().split("\0")[:-1] == list(NASTY)


def test_a_command_has_the_device_s_home_and_no_input(on, device):
    assert on(lambda machine: machine.check(("sh", "-c", "echo $HOME; cat"))) == f"{device.home}\n"


@pytest.mark.parametrize(
    "script, status", [("exit 0", 0), ("exit 7", 7), ("kill -KILL $$", 137), ("no-such-program", 127)]
)
def test_the_status_comes_back(on, script, status):
    assert on(lambda machine: machine.run(("sh", "-c", script))).status == status


def test_output_comes_as_it_is_made(on, tmp_path):
    """The command goes on only when its first line has been seen here."""
    seen = []

    def see(chunk: bytes) -> None:
        seen.append(chunk)
        (tmp_path / "seen").touch()

    script = f"echo first; until [ -e {shlex.quote(str(tmp_path / 'seen'))} ]; do sleep 0.05; done; echo second; echo apart >&2"
    ended = on(lambda machine: machine.run(("sh", "-c", script), on_stdout=see, timeout_s=60))
    assert b"".join(seen) == b"first\nsecond\n"
    assert (ended.stdout, ended.stderr) == (b"", b"apart\n")


def test_input_arrives_whole(on):
    chunks = [bytes([number]) * 100_000 for number in range(50)]
    ended = on(lambda machine: machine.feed(("sha256sum",), chunks))
    here = asyncio.run(_sha256sum(b"".join(chunks)))
    assert ended.stdout == here


async def _sha256sum(content: bytes) -> bytes:
    process = await asyncio.create_subprocess_exec(
        "sha256sum", stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
    )
    return (await process.communicate(content))[0]


def test_a_command_may_end_before_its_input_does(on):
    ended = on(lambda machine: machine.feed(("sh", "-c", "exit 3"), [bytes(100_000)] * 100))
    assert ended.status == 3


@pytest.mark.parametrize(
    "script, error, message",
    [
        ("echo it broke >&2; exit 4", RemoteCommandFailed, "sh on garden ended with status 4: it broke"),
        ("exit 4", RemoteCommandFailed, "it said nothing"),
        # What moves a terminal's cursor does not reach it.
        (r"printf 'no\033[2J\nmore' >&2; exit 4", RemoteCommandFailed, r"no\?\[2J more$"),
        ("echo > /sys/litelens", RemotePermissionDenied, "garden does not permit it"),
    ],
)
def test_a_failure_says_what_the_command_said(on, script, error, message):
    with pytest.raises(error, match=message):
        on(lambda machine: machine.check(("sh", "-c", script)))


def test_what_takes_too_long_is_ended(on, ssh_server):
    started = time.monotonic()
    with pytest.raises(RemoteTimeout, match=r"sleep on garden took longer than 0.5 s"):
        on(lambda machine: machine.run(("sleep", LONG), timeout_s=0.5))
    assert time.monotonic() - started < 300
    assert not ssh_server.commands(f"sleep {LONG}")


def test_what_ignores_being_ended_is_killed(on, ssh_server):
    script = f"trap '' TERM; while :; do sleep 0.1; done; : {LONG}"
    with pytest.raises(RemoteTimeout):
        on(lambda machine: machine.run(("sh", "-c", script), timeout_s=1))
    assert not ssh_server.commands(LONG)


def test_a_cancelled_command_has_ended_and_cleaned_up(on, ssh_server, tmp_path):
    """As by Ctrl-C."""
    left = tmp_path / "left"
    script = f"trap 'rm {left}' EXIT; trap 'exit 143' TERM; touch {left}; sleep {LONG}"

    async def cancelled(machine: Connection) -> str:
        task = asyncio.create_task(machine.run(("sh", "-c", script)))
        await asyncio.to_thread(
            wait_until, lambda: ssh_server.commands(f"sleep {LONG}") and left.exists(), "it sleeps"
        )
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert not left.exists()
        assert not ssh_server.commands(LONG)
        return await machine.check(("echo", "still connected"))

    assert on(cancelled) == "still connected\n"


def test_a_cut_is_noticed_on_both_sides(on, ssh_server):
    async def cut(machine: Connection) -> None:
        task = await sleeping(machine, ssh_server)
        ssh_server.cut()
        with pytest.raises(ConnectionCut, match="the connection to garden was cut") as noticed:
            await task
        assert "ssh garden true" in noticed.value.hint
        with pytest.raises(ConnectionCut):
            await machine.run(("true",))

    on(cut)
    wait_until(lambda: not ssh_server.commands(LONG), "the command ends with its connection")


def test_a_silent_connection_counts_as_cut(on, ssh_server, monkeypatch):
    monkeypatch.setattr(login, "KEEPALIVE_INTERVAL_S", 1.5)

    async def silent(machine: Connection) -> None:
        task = await sleeping(machine, ssh_server)
        ssh_server.freeze()
        with pytest.raises(ConnectionCut, match="not responding to keepalive"):
            await asyncio.wait_for(task, 120)

    on(silent)


def test_commands_run_beside_one_another(on):
    async def both(machine: Connection) -> list[str]:
        return await asyncio.gather(*(machine.check(("echo", str(number))) for number in range(8)))

    assert on(both) == [f"{number}\n" for number in range(8)]


def test_no_more_commands_than_the_machine_takes(on):
    """Ten, as OpenSSH has it; those go on."""

    async def eleven(machine: Connection) -> None:
        tasks = [asyncio.create_task(machine.run(("sleep", LONG))) for _ in range(11)]
        (refused,), running = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        with pytest.raises(RemoteCommandFailed, match="garden starts no more commands on this connection"):
            await refused
        assert len(running) == 10
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)

    on(eleven)
