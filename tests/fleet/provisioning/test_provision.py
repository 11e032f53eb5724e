"""The verb's arguments, and machines that cannot be devices, over a real sshd."""

import asyncio
import os
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet.connection import connect
from fleet.provisioning import provision as module
from fleet.provisioning.errors import ProvisionError
from fleet.provisioning.provision import _Lines, ask_machine
from fleet.provisioning.root_rights import Passwords, root_rights
from fleet.terminal import Terminal

pytest_plugins = ["ssh_fixtures"]
ROOT = Path(__file__).parents[3]


def ask(device, script: str | None = None, monkeypatch=None):
    """What the machine says of itself; with a script, what that one says in its place."""
    if script is not None:
        monkeypatch.setattr(module, "_ASK", script)

    async def work():
        async with connect(device.name) as connection:
            return await ask_machine(connection)

    return asyncio.run(work())


GOOD = (
    "home=/home/pi", "kernel=Linux", "machine=aarch64", "system=Debian GNU/Linux 12 (bookworm)", "systemd=yes",
    "python=3.11", "bits=64", "venv=yes",
)  # fmt: skip


def said(*changes: str, without: str = "") -> str:
    lines = [line for line in GOOD if not without or not line.startswith(without)]
    return "".join(f"echo '{line}'\n" for line in (*lines, *changes))


def test_a_machine_is_asked(device, monkeypatch):
    machine = ask(device, said("environment=venv-1"), monkeypatch)
    assert (machine.home, machine.machine, machine.python, machine.environment) == (
        "/home/pi", "aarch64", "3.11", "venv-1",
    )  # fmt: skip


def test_a_32_bit_system_under_a_64_bit_kernel(device, monkeypatch):
    assert ask(device, said("bits=32"), monkeypatch).machine == "armv7l"


def test_what_a_machine_says_does_not_reach_the_terminal_as_it_is(device, monkeypatch):
    assert ask(device, said("system=\x1b[2J"), monkeypatch).system == "?[2J"


@pytest.mark.parametrize(
    "script, message, hint",
    [
        ("echo kernel=Darwin", "garden runs Darwin and was not started by systemd", "Raspberry Pi OS"),
        (said(without="systemd"), "garden runs Debian .* was not started by systemd", "Raspberry Pi OS"),
        (
            said("python=3.9"),
            "Python 3.9, expected Python 3.11 or later",
            "Raspberry Pi OS bookworm or later",
        ),
        (said(without="python"), "no /usr/bin/python3", "ssh garden sudo apt-get install --yes python3-venv"),
        (said(without="venv"), "without venv", "ssh garden sudo apt-get install --yes python3-venv"),
        ("echo", "runs nothing that is known", "Raspberry Pi OS"),
    ],
)
def test_a_machine_that_cannot_be_a_device(device, monkeypatch, script, message, hint):
    with pytest.raises(ProvisionError, match=message) as refused:
        ask(device, script, monkeypatch)
    assert hint in refused.value.hint


def test_this_very_machine_answers(device):
    """The script itself; where systemd did not start this machine, that is what it is refused for."""
    if Path("/run/systemd/system").is_dir():
        assert ask(device).home == str(device.home)
    else:
        with pytest.raises(ProvisionError, match="was not started by systemd"):
            ask(device)


def test_root_needs_no_sudo(device):
    async def work():
        async with connect(device.name) as connection:
            return await root_rights(connection, Passwords(Terminal()))

    if subprocess.run(["id", "-u"], capture_output=True).stdout != b"0\n":
        pytest.skip("the tests are not run by root, as whom the server then lets in")
    assert asyncio.run(work()).words == ()


@given(st.binary(), st.lists(st.integers(0, 50)))
def test_lines_are_the_same_however_they_come(content, cuts):
    lines, whole = [], []
    piecewise, at_once = _Lines(lines.append), _Lines(whole.append)
    start = 0
    for cut in sorted(cuts):
        piecewise.take(content[start:cut])
        start = max(start, cut)
    piecewise.take(content[start:])
    at_once.take(content)
    piecewise.end(), at_once.end()
    assert lines == whole
    assert len(lines) == content.count(b"\n") + (content[-1:] not in (b"", b"\n"))


@pytest.mark.parametrize(
    "words, code, message",
    [
        ((), 2, "no device is named"),
        (("pi@garden,-x",), 1, "'-x' names no machine"),
        (("pi@garden", "--camera", "demo"), 1, "a camera without a model"),
        (("pi@garden", "--model", "absent.tflite", "--web", "x"), 1, "--web is for the service"),
        (("pi@garden", "--root", "absent.json"), 2, "absent.json"),
        (("--fleet", "absent.toml"), 1, "cannot read the fleet file absent.toml"),
        (("--fleet", "fleet.toml"), 1, "the store of garden is to be /data/store"),
    ],
)
def test_what_is_refused_before_any_machine_is_asked(litelens, tmp_path, words, code, message):
    (tmp_path / "fleet.toml").write_text('store = "/data/store"\n[devices]\ngarden = "pi@garden"\n')
    ended = litelens("provision", *words, cwd=tmp_path, env=os.environ | {"PYTHONPATH": str(ROOT)})
    assert ended.returncode == code and message in ended.stderr, ended.stderr


def test_one_machines_failure_is_no_others(litelens, device, tmp_path):
    """Neither of these can be a device, and both say so."""
    if Path("/run/systemd/system").is_dir():
        pytest.skip("systemd started this machine, which would be provisioned")
    (tmp_path / "fleet.toml").write_text('[devices]\nfirst = "garden"\nsecond = "garden:1"\n')
    ended = litelens(
        "provision", "--fleet", "fleet.toml", cwd=tmp_path, env=os.environ | {"PYTHONPATH": str(ROOT)}
    )
    assert ended.returncode == 1
    assert "first: error: garden runs" in ended.stderr and "second: error: " in ended.stderr, ended.stderr
    assert "error: 2 of 2 devices failed: " in ended.stderr
