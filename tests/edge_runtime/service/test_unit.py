import dataclasses
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from edge_runtime.service.unit import ServiceError, Unit, hidden_folders

pytest_plugins = ["systemd_fixtures"]

MOST_EXPOSURE = 2.0
"""Of 10, systemd's own measure; a unit without any of it has 9.6."""


def analyze(tmp_path: Path, unit: Unit, verb: str, *options: str) -> subprocess.CompletedProcess:
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze is not installed: Debian's package systemd")
    path = tmp_path / f"{unit.name}.service"
    path.write_text(unit.text())
    return subprocess.run(["systemd-analyze", verb, *options, path], capture_output=True, text=True)


HOSTILE_ARGUMENTS = (
    "--camera", "rtsp://user:p%20w$d@host/1?a=b&c", "--x", "", "line\nbreak", "back\\slash\\", '"', "'", ";",
    "Grüße 猫", "\udcff",
)  # fmt: skip


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"user": "daemon", "groups": ()},
        {"groups": ("video", "plugdev")},
        {"arguments": HOSTILE_ARGUMENTS},
        {"model": Path('/srv/100%/"a" $b\\/c\n.tflite\\')},
        {"needs": (Path('/home/a b/100%/"q"/c:d/e\\f/Grüße'),)},
        {"needs": ()},
        {"config": Path('/etc/100% of "it": a\\b.toml')},
    ],
    ids=["as it is", "a user", "groups", "arguments", "model", "needs", "needs nothing", "config"],
)
def test_systemd_finds_no_fault(tmp_path, unit, changes):
    ended = analyze(tmp_path, dataclasses.replace(unit, **changes), "verify")
    assert (ended.returncode, ended.stdout + ended.stderr) == (0, "")


@pytest.mark.parametrize("user", [None, "daemon"])
def test_it_exposes_little(tmp_path, unit, user):
    unit = dataclasses.replace(unit, user=user)
    ended = analyze(tmp_path, unit, "security", "--offline=true", f"--threshold={MOST_EXPOSURE * 10:.0f}")
    assert ended.returncode == 0, ended.stdout
    exposure = re.search(r"Overall exposure level for litelens.service: ([\d.]+)", ended.stdout)
    assert float(exposure[1]) <= MOST_EXPOSURE


@pytest.mark.parametrize(
    "version, lines",
    [(252, ["RestartSec=5"]), (254, ["RestartSec=1", "RestartSteps=8", "RestartMaxDelaySec=60"])],
)
def test_restarts_back_off_where_systemd_can(unit, version, lines):
    text = dataclasses.replace(unit, systemd_version=version).text()
    assert [line for line in text.splitlines() if re.match("Restart.*[cs]=", line)] == lines


@pytest.mark.parametrize("path", ["/home/line\nbreak", "/home/\udcff", "/home/ends\\"])
def test_a_path_that_no_unit_can_name(unit, path):
    for changes in ({"needs": (Path(path),)}, {"config": Path(path)}):
        with pytest.raises(ServiceError, match="cannot be named"):
            dataclasses.replace(unit, **changes).text()


@pytest.mark.parametrize(
    "paths, hidden",
    [
        (["/usr", "/opt/venv", "/srv/litelens"], []),
        (["/home/pi/venv", "/usr", "/home/pi/venv/lib/python3.11/site-packages"], ["/home/pi/venv"]),
        (["/root/.pyenv/versions/3.11.7", "/tmp/a", "/var/tmp/b", "/run/user/1000/c"],
         ["/root/.pyenv/versions/3.11.7", "/run/user/1000/c", "/tmp/a", "/var/tmp/b"]),
        (["/home/pi/a", "/home/pi/ab", "/home/pi/a/b"], ["/home/pi/a", "/home/pi/ab"]),
        (["/homes/pi", "/rooted", "/tmpfs"], []),
    ],
)  # fmt: skip
def test_hidden_folders(paths, hidden):
    assert hidden_folders(map(Path, paths)) == tuple(map(Path, hidden))
