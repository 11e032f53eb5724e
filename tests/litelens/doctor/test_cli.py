import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from litelens.doctor.cli import examine

EVERY_FILE = (
    "proc/device-tree/model", "proc/meminfo", "etc/group", "dev/video0", "sys/class/thermal/thermal_zone0/type",
    "sys/class/thermal/thermal_zone0/temp", "sys/bus/usb/devices/1-1/idVendor", "sys/bus/pci/devices/0/vendor",
    "sys/devices/platform/soc/soc:firmware/get_throttled", "var/lib",
)  # fmt: skip


@pytest.mark.parametrize(
    "content", [None, "", "\0", "MemAvailable:", "MemAvailable: x kB", "cpu", "\udcff" * 9, "9" * 5000]
)
def test_no_machine_is_too_odd(machine, content):
    """Every file that a check reads is a folder, empty, or nonsense: no check raises."""
    there = machine(dict.fromkeys(EVERY_FILE) if content is None else {}, python="/absent/python")
    for name in EVERY_FILE if content is not None else ():
        path = there.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(os.fsencode(content))
    checks = examine(there, Path("/absent/model"))
    assert [check.name for check in checks][0] == "python" and len(checks) == 9
    assert all(check.found for check in checks)


def test_the_command(litelens):
    ended = litelens("doctor")
    verdicts = [line.split()[0] for line in ended.stdout.splitlines() if not line.startswith(" ")]
    assert set(verdicts) <= {"ok", "warn", "fail"} and len(verdicts) == 15
    assert ended.returncode == ("fail" in verdicts)


def test_the_command_in_json_with_a_bad_model(litelens, tmp_path):
    (tmp_path / "bad.tflite").write_bytes(b"no model")
    ended = litelens("doctor", tmp_path / "bad.tflite", "--json")
    told = json.loads(ended.stdout)
    found = {check["name"]: check for check in told["checks"]}
    assert not told["passed"] and ended.returncode == 1
    assert found["self-test"]["verdict"] == "fail" and "is no TFLite model" in found["self-test"]["found"]
    assert "error: failed: " in ended.stderr and "hint: " in ended.stderr and "Traceback" not in ended.stderr


def test_numpy_is_not_needed_to_say_that_it_is_missing():
    script = (
        "import sys\nsys.modules['numpy'] = None\nfrom litelens.cli import main\nmain(['doctor', '--help'])"
    )
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr
