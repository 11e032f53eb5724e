"""install.sh on a booted machine: ended with SIGKILL after each thing that it says, full disks, an index of its own."""

import os
import re
import shutil
import signal
import subprocess
from pathlib import Path

import pytest

from fleet.provisioning.bundle import Wanted, write_bundle

pytest_plugins = ["systemd_fixtures", "machine_fixtures"]
pytestmark = pytest.mark.soak
BUNDLE = "/srv/bundle"
MOST_KILLS = 40
LIMIT = ("timeout", "--foreground", "--signal=KILL", "900")
"""A script that hangs is no hanging test."""


@pytest.fixture
def bring(provisionable, wheels_cache, tmp_path, monkeypatch):
    """Puts a bundle for this machine on it, without ssh; returns the environment's name."""
    python = provisionable.run(
        "/usr/bin/python3", "-c", "import sys; print('%d.%d' % sys.version_info[:2])"
    ).stdout

    def write(wanted: Wanted, cache: Path = wheels_cache, **options) -> str:
        monkeypatch.setenv("LITELENS_CACHE", str(cache))
        folder = tmp_path / "bundle"
        shutil.rmtree(folder, ignore_errors=True)
        made = write_bundle(folder, os.uname().machine, python.strip(), wanted, **options)
        there = provisionable.files / BUNDLE.lstrip("/")
        shutil.rmtree(there, ignore_errors=True)
        shutil.copytree(folder, there)
        return made.environment

    return write


@pytest.fixture
def install(provisionable):
    """Runs install.sh; returns it when it has ended."""

    def run(**options) -> subprocess.CompletedProcess:
        return provisionable.run("env", "-i", "sh", f"{BUNDLE}/install.sh", **{"timeout": 600} | options)

    return run


@pytest.fixture
def kill_at_each_step(provisionable):
    """Runs install.sh and ends it, and all that it has started, after each line that was not there before, until it ends
    by itself; returns the lines."""

    def run(look=lambda: None) -> list[str]:
        seen: list[str] = []
        for _ in range(MOST_KILLS):
            command = provisionable.booted.command("env", "-i", *LIMIT, "sh", f"{BUNDLE}/install.sh")
            process = subprocess.Popen(
                command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True
            )
            with process:
                for line in process.stdout:
                    if line not in seen:
                        seen.append(line)
                        os.killpg(process.pid, signal.SIGKILL)
                        break
            if process.returncode == 0:
                return seen
            assert process.returncode == -signal.SIGKILL, seen
            look()
        raise AssertionError(f"not done after {MOST_KILLS} kills: {seen}")

    return run


def current(machine) -> str:
    return os.readlink(machine.files / "opt/litelens/venv")


def runs(machine, environment: str) -> None:
    """The service classifies, with this environment, and nothing else is left."""
    status = machine.litelens("service", "status")
    assert status.returncode == 0, status.stderr + machine.booted.log("litelens")
    assert current(machine) == environment
    left = sorted(path.name for path in (machine.files / "opt/litelens").iterdir())
    assert left == ["venv", environment]
    listed = machine.litelens("store", "list", "/srv/litelens/store").stdout
    assert "current" in listed


def test_killed_at_each_step(provisionable, bring, install, kill_at_each_step, tiny):
    environment = bring(Wanted(tiny, "demo"), user="pi")
    said = kill_at_each_step()
    print("".join(said))
    assert len(said) > 8
    runs(provisionable, environment)
    again = install()
    assert again.returncode == 0 and "nothing has changed" in again.stdout, again.stdout + again.stderr


def test_an_upgrade_killed_at_each_step(
    provisionable, bring, install, kill_at_each_step, another_litelens, tiny
):
    """The service answers all the time, and at the end it is the new one's."""
    bring(Wanted(tiny, "demo"), user="pi")
    assert install().returncode == 0
    old = provisionable.booted.show("litelens", "MainPID")
    new = bring(Wanted(tiny, "demo"), another_litelens("litelens/__init__.py", "\n# newer\n"), user="pi")

    def look() -> None:
        provisionable.booted.wait_until(
            lambda: provisionable.booted.show("litelens", "ActiveState") == "active", 120
        )
        assert provisionable.litelens("--version").returncode == 0

    print("".join(kill_at_each_step(look)))
    runs(provisionable, new)
    assert provisionable.booted.show("litelens", "MainPID") != old


def test_an_upgrade_that_fails_after_a_kill_is_taken_back(
    provisionable, bring, install, another_litelens, tiny
):
    """Killed once the link leads to the new one, whose loop does not start."""
    old = bring(Wanted(tiny, "demo"), user="pi")
    assert install().returncode == 0
    broken = another_litelens("edge_runtime/live/loop.py", "\nraise ImportError('broken')\n")
    new = bring(Wanted(tiny, "demo"), broken, user="pi")
    command = provisionable.booted.command("env", "-i", *LIMIT, "sh", f"{BUNDLE}/install.sh")
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True) as process:
        assert any(f"-> {new}" in line for line in process.stdout)
        os.killpg(process.pid, signal.SIGKILL)
    assert current(provisionable) == new
    ended = install()
    assert ended.returncode == 1 and "what ran before is back" in ended.stdout, ended.stdout + ended.stderr
    assert current(provisionable) == old
    assert provisionable.litelens("service", "status").returncode == 0


def test_a_full_disk(provisionable, bring, install, tiny):
    """Too little room is told at once; where it goes while pip works, the next run goes on."""
    bring(Wanted())
    provisionable.run("mkdir", "-p", "/opt/litelens", check=True)
    provisionable.run("mount", "-t", "tmpfs", "-o", "size=60M", "tmpfs", "/opt/litelens", check=True)
    try:
        ended = install()
        assert ended.returncode == 1 and "/opt/litelens has " in ended.stderr, ended.stderr
        assert "hint: make room" in ended.stderr
        settings = provisionable.files / BUNDLE.lstrip("/") / "settings"
        asked = settings.read_text()
        settings.write_text(
            "".join(f"{line}\n" for line in asked.splitlines() if "need_kib" not in line) + "need_kib=1\n"
        )
        ended = install()
        assert ended.returncode == 1 and "No space left on device" in ended.stderr, ended.stderr
        assert not (provisionable.files / "opt/litelens/venv").exists()
        provisionable.run("mount", "-o", "remount,size=1G", "/opt/litelens", check=True)
        settings.write_text(asked)
        ended = install()
        assert ended.returncode == 0, ended.stderr
    finally:
        provisionable.run("umount", "--lazy", "/opt/litelens")


def test_from_the_devices_own_index(provisionable, bring, install, wheels_cache):
    """A folder of wheels in the index's place, as pip.conf names it; NumPy's bound goes along."""
    bring(Wanted(), online=True)
    assert len(list((provisionable.files / "srv/bundle/wheels").iterdir())) == 1
    shutil.copytree(wheels_cache / "collected", provisionable.files / "srv/index", dirs_exist_ok=True)
    (provisionable.files / "srv/index" / "litelens-0.1.0-py3-none-any.whl").unlink()
    (provisionable.files / "etc/pip.conf").write_text("[global]\nno-index = yes\nfind-links = /srv/index\n")
    try:
        ended = install()
        assert ended.returncode == 0, ended.stderr
    finally:
        (provisionable.files / "etc/pip.conf").unlink()
    python = "/opt/litelens/venv/bin/python"
    answer = provisionable.run(python, "-I", "-c", "import numpy, starlette, tuf; print(numpy.__version__)")
    assert answer.stdout.startswith("1.26."), answer.stderr


@pytest.mark.parametrize(
    "break_it, mend_it, message",
    [
        ("mount -t tmpfs tmpfs /usr/lib/python3*/ensurepip", "umount /usr/lib/python3*/ensurepip", "no venv and ensurepip"),
        (f"sed -i s/^machine=.*/machine=riscv64/ {BUNDLE}/settings", ":", "what was brought is for Python .* on riscv64"),
        ("mkdir -p /opt/litelens/venv", "rmdir /opt/litelens/venv", "/opt/litelens/venv is in the way"),
        (f"sed -i s/^user=.*/user=gnome/ {BUNDLE}/settings", ":", "there is no user gnome here"),
        (f"sed -i s/^model=.*/model=..%x/ {BUNDLE}/settings", ":", "is no name of a model"),
        (f"rm {BUNDLE}/settings", ":", "the file settings is not beside install.sh"),
        (f"rm {BUNDLE}/wheels/numpy*", ":", "pip could not install litelens: .*numpy"),
    ],
    ids=["no ensurepip", "another machine", "made by hand", "no such user", "no name", "no settings", "a wheel is missing"],
)  # fmt: skip
def test_what_is_refused_there(provisionable, bring, install, break_it, mend_it, message):
    bring(Wanted())
    provisionable.run("sh", "-c", break_it, check=True)
    try:
        ended = install()
    finally:
        provisionable.run("sh", "-c", mend_it)
    assert ended.returncode == 1, ended.stdout
    assert re.search(message, ended.stderr), ended.stderr
    assert "hint: " in ended.stderr
    assert not (provisionable.files / "opt/litelens/venv/bin").exists()
