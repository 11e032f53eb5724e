"""What is told before a service is written: nothing that would fail is installed."""

import dataclasses
import os
import re
import shlex
import sys
from pathlib import Path

import click
import pytest

from edge_runtime.errors import LitelensError, ModelFileError
from edge_runtime.model_file import read_model_file
from edge_runtime.selftest import DeviceFailed
from edge_runtime.service.plan import plan
from edge_runtime.service.unit import ServiceError
from litelens.cli import main


@pytest.fixture
def planned(tiny, tmp_path, monkeypatch):
    """Plans a service in an empty working directory."""
    monkeypatch.chdir(tmp_path)
    run = main.get_command(click.Context(main), "run")

    def make(*arguments: str, model: Path = tiny, user: str | None = None):
        return plan(run, "litelens", model, arguments or ("--camera", "demo"), user)

    return make


def test_a_plan(planned, tiny):
    unit = planned("--camera", "demo", "--roi", "0.1,0.2,0.5,0.5")
    assert (unit.name, unit.model, unit.user, unit.config) == ("litelens", tiny, None, None)
    assert unit.python == Path(sys.executable)
    assert unit.arguments == ("--camera", "demo", "--roi", "0.1,0.2,0.5,0.5", "--events-only")


@pytest.mark.parametrize("said", [("--quiet",), ("--events-only",)])
def test_who_says_what_to_print_is_not_overruled(planned, said):
    assert planned("--camera", "demo", *said).arguments == ("--camera", "demo", *said)


def test_a_link_to_the_current_version_stays_a_link(planned, tiny, tmp_path):
    (tmp_path / "versions").mkdir()
    (tmp_path / "versions" / "7.tflite").write_bytes(tiny.read_bytes())
    (tmp_path / "current").mkdir()
    (tmp_path / "current" / "parts.tflite").symlink_to(tmp_path / "versions" / "7.tflite")
    unit = planned(model=Path("current/parts.tflite"))
    assert unit.model == tmp_path / "current" / "parts.tflite"
    assert {tmp_path / "current", tmp_path / "versions"} <= set(unit.needs)


@pytest.mark.parametrize("words", [("--config", "door.toml"), ("--config=door.toml",)])
def test_a_config_is_checked_and_handed_over(planned, tmp_path, words):
    (tmp_path / "door.toml").write_text('camera = "demo"\nstdout = "nothing"\n')
    unit = planned(*words, "--smooth", "none")
    assert unit.config == tmp_path / "door.toml" and unit.arguments == ("--smooth", "none")
    (tmp_path / "door.toml").write_text('camera = "demo"\nsmoth = "none"\n')
    with pytest.raises(LitelensError, match="smoth"):
        planned(*words)


@pytest.mark.parametrize(
    "arguments, message",
    [
        (("--camera", "/home/pi/belt.avi"), "does not see /home/pi/belt.avi"),
        (("--camera=/root/belt.avi",), "does not see /root/belt.avi"),
        (("--camera", "demo", "--hard-examples", "/tmp/hard"), "does not see /tmp/hard"),
        (("--camera", "belt.avi"), "looks for it in /var/lib/litelens"),
        (("--config", "hidden.toml"), "does not see /home/pi/log.jsonl"),
        (("--camera", "demo", "--help"), "would print and end"),
        (("--camera", "demo", "--print-config"), "would print and end"),
        (("--camera", "demo", "--smooth", "best"), "smooth is 'best'"),
    ],
)
def test_what_would_fail_is_refused(planned, tmp_path, arguments, message):
    (tmp_path / "belt.avi").write_bytes(b"")
    (tmp_path / "hidden.toml").write_text('camera = "demo"\n[log]\npath = "/home/pi/log.jsonl"\n')
    with pytest.raises(LitelensError, match=message) as raised:
        planned(*arguments)
    assert raised.value.exit_code == 1 and raised.value.hint


@pytest.mark.parametrize(
    "arguments", [("--fps", "5"), ("--max-frames", "3"), ("--camera", "demo", "--threads", "0")]
)
def test_what_run_does_not_know_is_wrong_usage(planned, arguments):
    with pytest.raises(click.UsageError):
        planned(*arguments)


@pytest.mark.parametrize(
    "user, message", [("root", "must not run as root"), ("nobody", "must not"), ("nix da", "no user")]
)
def test_users_that_will_not_do(planned, user, message):
    with pytest.raises(ServiceError, match=message):
        planned(user=user)


def test_models_that_will_not_do(planned, tiny, tmp_path, repacked):
    with pytest.raises(ModelFileError, match="is not there"):
        planned(model=tmp_path / "absent.tflite")
    (tmp_path / "garbage.tflite").write_bytes(os.urandom(1000))
    with pytest.raises(ModelFileError, match="is no TFLite model"):
        planned(model=tmp_path / "garbage.tflite")
    vector = read_model_file(tiny).manifest.selftest[0]
    off = dataclasses.replace(vector, expected=(vector.expected[0] + 100, *vector.expected[1:]))
    with pytest.raises(DeviceFailed, match="output steps from what the exporter saw"):
        planned(model=repacked(selftest=(off,)))


@pytest.mark.skipif(os.geteuid() != 0, reason="writes to /root")
def test_a_model_among_everything_else_in_a_home_is_refused(planned, tiny, request):
    model = Path(f"/root/litelens test {os.getpid()}.tflite")
    request.addfinalizer(model.unlink)
    model.write_bytes(tiny.read_bytes())
    with pytest.raises(ServiceError, match="is in /root, and the service may see no such folder") as raised:
        planned(model=model)
    assert f"sudo install -D -m 644 -t /srv/litelens {shlex.quote(str(model))}" in raised.value.hint


def test_print_changes_nothing(litelens, tiny, tmp_path):
    ended = litelens(
        "service", "install", tiny, "--name", "door", "--print", "--", "--camera", "demo", cwd=tmp_path
    )
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.startswith("# Written by litelens service install")
    assert "StateDirectory=litelens-door\n" in ended.stdout
    command = next(line for line in ended.stdout.splitlines() if line.startswith("ExecStart="))
    assert re.search(r" -m litelens run .*tiny\.tflite --camera demo --events-only$", command)
    assert not Path("/etc/systemd/system/litelens-door.service").exists()


@pytest.mark.parametrize(
    "arguments",
    [
        ("install",),
        ("install", "{tiny}"),
        ("install", "{tiny}", "--name", "Door 1", "--", "--camera", "demo"),
        ("install", "{tiny}", "--name", "../x", "--", "--camera", "demo"),
        ("install", "{tiny}", "--print", "--", "--camera", "demo", "--fps", "5"),
        ("logs", "-n", "0"),
        ("restart",),
    ],
)
def test_wrong_usage_exits_2(litelens, tiny, arguments):
    ended = litelens("service", *(argument.format(tiny=tiny) for argument in arguments))
    assert ended.returncode == 2 and "Usage: " in ended.stderr


@pytest.mark.skipif(os.path.isdir("/run/systemd/system"), reason="this machine was started by systemd")
@pytest.mark.parametrize(
    "verb", [("install", "x.tflite", "--", "--camera", "0"), ("status",), ("logs",), ("remove",)]
)
def test_without_systemd(litelens, verb):
    ended = litelens("service", *verb)
    assert ended.returncode == 1 and "this machine was not started by systemd" in ended.stderr
    assert "hint: " in ended.stderr and "Traceback" not in ended.stderr


def test_a_service_from_a_store(planned, make_store, tmp_path):
    """The link stays a link, the store is writable, and is not mounted a second time to be read."""
    unit = planned(model=make_store(0o777))
    assert (unit.model, unit.store) == (tmp_path / "store/tiny/current", tmp_path / "store")
    assert not any(folder.is_relative_to(unit.store) for folder in unit.needs)
    lines = unit.text().splitlines()
    assert "Description=litelens: tiny watches a camera" in lines
    assert f'BindPaths="{tmp_path}/store"' in lines, "pytest's folders are among those that the unit hides"
    elsewhere = dataclasses.replace(unit, store=Path("/srv/litelens/store")).text().splitlines()
    assert 'ReadWritePaths="/srv/litelens/store"' in elsewhere


def test_a_store_that_is_a_whole_home(planned, make_store, monkeypatch, tmp_path):
    current = make_store(0o777)
    monkeypatch.setattr("edge_runtime.service.plan.HIDDEN", (tmp_path / "store",))
    with pytest.raises(ServiceError, match="may see no such folder as a whole") as refused:
        planned(model=current)
    assert (
        refused.value.hint
        == f"keep it in a folder of its own: mkdir {tmp_path}/store/store, and move the models there"
    )
