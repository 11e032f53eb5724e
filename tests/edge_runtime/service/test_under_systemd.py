"""The unit, and the verbs that install it, under a systemd that runs."""

import dataclasses
import json
import re
import sys
import time
from pathlib import Path

import pytest

from edge_runtime.service.unit import hidden_folders

pytest_plugins = ["systemd_fixtures"]
pytestmark = pytest.mark.soak
LOOP = Path(__file__).with_name("looping.py")


FAST = "[Service]\nWatchdogSec=2\nRestartSec=0.2\n"
"""As `systemctl edit` writes it: tests do not wait for half a minute."""


@pytest.fixture(scope="module")
def pi(booted, tiny) -> Path:
    """A user whose home nobody else may enter; returns the model file in it, as it is seen from inside."""
    booted.run("useradd", "--create-home", "pi", check=True)
    booted.run("install", "-D", "-t", "/home/pi/a 100% folder", tiny, check=True)
    booted.run("chmod", "0700", "/home/pi", check=True)
    return Path("/home/pi/a 100% folder/tiny.tflite")


@pytest.fixture
def running(booted, unit, pi):
    """Starts our unit around a loop that can be told to hang."""
    files = booted.files / "etc/systemd/system"

    def start(**changes) -> None:
        needs = hidden_folders([booted.python.parents[1], Path(sys.base_prefix), LOOP.parents[3], pi.parent])
        text = dataclasses.replace(unit, python=booted.python, model=pi, needs=needs, **changes).text()
        (files / "litelens.service").write_text(text.replace("-m litelens run", str(LOOP)))
        (files / "litelens.service.d").mkdir(exist_ok=True)
        (files / "litelens.service.d/fast.conf").write_text(FAST)
        booted.run("systemctl", "daemon-reload", check=True)
        started = booted.run("systemctl", "restart", "litelens")
        assert started.returncode == 0, started.stderr + booted.log("litelens")

    yield start
    booted.litelens("service", "remove", check=True)


def pid(booted) -> str:
    return booted.show("litelens", "MainPID")


def test_systemd_waits_until_the_loop_runs_and_shows_what_it_says(booted, running):
    running(arguments=("--camera", "100% $HOME"))
    assert booted.show("litelens", "ActiveState") == "active"
    booted.wait_until(lambda: booted.show("litelens", "StatusText") == "blue --camera 100% $HOME")


@pytest.mark.parametrize("user", [None, "pi"])
def test_the_service_can_do_little(booted, running, user):
    running(user=user)
    state = booted.files / "var/lib" / ("private/litelens" if user is None else "litelens")
    facts = json.loads((state / "facts.json").read_text())
    assert (
        facts["uid"] == int(booted.run("id", "-u", user).stdout) if user else 61184 <= facts["uid"] <= 65519
    )
    assert 44 in facts["groups"] and 0 not in facts["groups"]
    assert (
        facts["cwd"] in ("/var/lib/litelens", "/var/lib/private/litelens")
        and facts["home"] == "/var/lib/litelens"
    )
    assert facts["homes"] == ["/home/pi/a 100% folder"]
    assert all(
        "pytest" in name or name == LOOP.parents[3].relative_to("/tmp").parts[0] for name in facts["tmp"]
    )
    assert facts["refused"] == {
        "write /etc": "Read-only file system",
        "write beside the model": "Read-only file system",
        "read /etc/shadow": "Permission denied",
        "packet socket": "Address family not supported by protocol",
        "become root": "Operation not permitted",
        "mount": "Operation not permitted",
        "internet socket": "",
        "write the state": "",
        "read /proc/cpuinfo": "",
        "start a program": "",
    }


def test_a_loop_that_hangs_is_ended_and_started_again(booted, running):
    running()
    first = pid(booted)
    booted.run("systemctl", "kill", "--signal=USR1", "litelens")
    booted.wait_until(lambda: pid(booted) not in ("0", first))
    assert booted.show("litelens", "NRestarts") == "1"
    log = booted.log("litelens")
    assert "Watchdog timeout" in log
    assert re.search(r'looping.py", line \d+ in hang', log), "where it stood"


def test_a_crash_is_followed_by_a_start_as_often_as_it_takes(booted, running):
    running()
    for crash in range(1, 7):  # systemd's own limit is five in ten seconds
        before = pid(booted)
        booted.run("systemctl", "kill", "--signal=KILL", "litelens")
        booted.wait_until(lambda before=before: pid(booted) not in ("0", before))
        assert booted.show("litelens", "NRestarts") == str(crash)


def test_reload_and_stop(booted, running):
    running()
    before = pid(booted)
    booted.run("systemctl", "reload", "litelens", check=True)
    booted.wait_until(lambda: "reloaded" in booted.log("litelens"))
    assert pid(booted) == before and booted.show("litelens", "ActiveState") == "active"
    booted.run("systemctl", "stop", "litelens", check=True)
    assert (
        booted.show("litelens", "Result") == "success"
        and booted.show("litelens", "ActiveState") == "inactive"
    )


@pytest.fixture
def install(booted):
    """Runs the verb as root in there; removes what it installed."""
    names = set()

    def run(model: object, *options: str, arguments: tuple[str, ...] = ("--camera", "demo"), **how):
        names.add(options[options.index("--name") + 1] if "--name" in options else None)
        return booted.litelens("service", "install", model, *options, "--", *arguments, **how)

    yield run
    for name in names:
        booted.litelens("service", "remove", *(("--name", name) if name else ()))


def test_install_status_logs_and_remove(booted, install, pi):
    arguments = ("--camera", "demo", "--web", "127.0.0.1:8080", "--history", "--hard-examples", "hard")
    for attempt in ("first", "again"):
        installed = install(pi, arguments=arguments)
        assert installed.returncode == 0, attempt + installed.stderr
        assert "litelens.service runs, now and after every boot" in installed.stdout
    assert booted.show("litelens", "UnitFileState") == "enabled"
    booted.wait_until(lambda: booted.show("litelens", "StatusText"))

    status = booted.litelens("service", "status")
    rows = {line[:8].strip(): line[10:] for line in status.stdout.splitlines()}
    assert status.returncode == 0 and rows["state"] == "active (running)", status.stderr
    assert rows["says"] != "nothing" and rows["at boot"] == "enabled" and rows["restarts"].startswith("0 ")

    asking = "import urllib.request as u; print(u.urlopen('http://127.0.0.1:8080/healthz').status)"
    assert booted.run(booted.python, "-c", asking).stdout.strip() == "200"
    saved = {path.name for path in (booted.files / "var/lib/private/litelens").iterdir()}
    assert {"history.sqlite", "hard"} <= saved

    booted.wait_until(lambda: "entered" in booted.litelens("service", "logs", "-n", 100).stdout)
    lines = booted.litelens("service", "logs", "--lines", 100).stdout.splitlines()
    told = [json.loads(line[line.index("{") :]) for line in lines if "{" in line]
    assert told and all("kind" in line for line in told), "a line an event, not a line a frame"

    removed = booted.litelens("service", "remove")
    assert removed.returncode == 0 and "what it saved stays in /var/lib/litelens" in removed.stdout
    assert not (booted.files / "etc/systemd/system/litelens.service").exists()
    assert booted.show("litelens", "LoadState") == "not-found"
    assert (booted.files / "var/lib/private/litelens").is_dir()
    assert "litelens.service is not installed" in booted.litelens("service", "remove").stdout
    for verb in ("status", "logs"):
        gone = booted.litelens("service", verb)
        assert gone.returncode == 1 and "litelens.service is not installed" in gone.stderr


def test_the_loop_feeds_the_watchdog_and_is_missed_when_it_stops(booted, install, pi):
    folder = booted.files / "etc/systemd/system/litelens-belt.service.d"
    folder.mkdir()
    (folder / "fast.conf").write_text(FAST)
    assert install(pi, "--name", "belt").returncode == 0
    first = booted.show("litelens-belt", "MainPID")
    time.sleep(5)  # more than two of its intervals
    assert (
        booted.show("litelens-belt", "MainPID") == first and booted.show("litelens-belt", "NRestarts") == "0"
    )
    booted.run("systemctl", "kill", "--signal=STOP", "--kill-who=main", "litelens-belt", check=True)
    booted.wait_until(lambda: booted.show("litelens-belt", "NRestarts") == "1")
    assert "Watchdog timeout" in booted.log("litelens-belt")
    booted.wait_until(lambda: booted.show("litelens-belt", "ActiveState") == "active")


def test_the_loop_reloads_and_ends_when_it_is_told(booted, install, pi):
    assert install(pi).returncode == 0
    first = booted.show("litelens", "MainPID")
    booted.run("systemctl", "reload", "litelens", check=True)
    booted.wait_until(lambda: booted.show("litelens", "ActiveState") == "active")
    assert booted.show("litelens", "MainPID") == first
    began = time.monotonic()
    booted.run("systemctl", "stop", "litelens", check=True)
    assert time.monotonic() - began < 8, "systemd itself would end it after 10 s"
    assert booted.show("litelens", "Result") == "success"
    stopped = booted.litelens("service", "status")
    assert stopped.returncode == 1 and "litelens.service does not run: it is inactive" in stopped.stderr


def test_a_config_that_root_alone_may_read(booted, install, pi):
    """In a home that the service does not see, with a password in it."""
    config = booted.files / "home/pi/door.toml"
    config.write_text('camera = "demo"\n[webhook]\naddress = "http://user:secret@127.0.0.1:1/"\n')
    config.chmod(0o600)
    installed = install(pi, "--user", "pi", arguments=("--config", "door.toml"), cwd="/home/pi")
    assert installed.returncode == 0, installed.stderr + booted.log("litelens")
    assert "secret" not in booted.run("systemctl", "show", "litelens").stdout
    assert booted.run("stat", "--format=%U", "/var/lib/litelens").stdout.strip() == "pi"


def test_a_service_that_cannot_start_is_told(booted, install, pi):
    installed = install(pi, arguments=("--camera", "/srv/absent.avi"))
    assert installed.returncode == 1, installed.stderr
    assert (
        "litelens.service is installed and does not start: /srv/absent.avi is not there" in installed.stderr
    )
    assert "hint: mend it and install it again; its log: litelens service logs" in installed.stderr
    assert "/srv/absent.avi is not there" in booted.litelens("service", "logs").stdout
    assert booted.litelens("service", "status").returncode == 1


def test_somebody_elses_unit_is_left_alone(booted, install, pi):
    unit = booted.files / "etc/systemd/system/litelens-own.service"
    unit.write_text("[Service]\nExecStart=/bin/true\n")
    for ended in (install(pi, "--name", "own"), booted.litelens("service", "remove", "--name", "own")):
        assert ended.returncode == 1 and "was not written by litelens" in ended.stderr
    assert unit.read_text() == "[Service]\nExecStart=/bin/true\n"


def test_who_is_not_root_is_told_the_command(booted):
    # A user who may read all the same: this Python may be in a folder that only root may enter.
    reading = (
        "setpriv",
        "--reuid=1",
        "--clear-groups",
        "--inh-caps=+dac_read_search",
        "--ambient-caps=+dac_read_search",
    )
    words = ("-m", "litelens", "service", "install", "a b.tflite", "--", "--camera", "0")
    ended = booted.run(*reading, booted.python, "-I", *words)
    assert ended.returncode == 1 and "not by user 1" in ended.stderr
    assert (
        f"hint: sudo {booted.python} -m litelens service install 'a b.tflite' -- --camera 0" in ended.stderr
    )
