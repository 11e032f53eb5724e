"""Simulated devices, flashed for real."""

import json

import pytest
from click.testing import CliRunner

from benchmarks.flash_many import PHASES, flash_many, main
from benchmarks.result_file import read_result
from benchmarks.simulated_devices import SSHD

pytestmark = pytest.mark.skipif(SSHD is None, reason="no sshd here; Debian: openssh-server")


@pytest.mark.slow  # three devices try the model
def test_a_fleet_with_a_device_that_is_too_slow_is_stopped(tiny):
    """The canary and the second take it; with the third more than a tenth have failed."""
    run = flash_many(tiny, devices=5, failing=1)
    assert run.outcomes == {"flashed": 2, "failed": 1, "not tried": 2} and run.answering == 2
    assert run.stopped == "1 of 3 devices failed, more than 10%"
    assert set(run.phase_p50_s) == set(PHASES) and all(run.phase_p50_s.values())
    assert 0 < run.workstation_cpu_s < run.wall_s and run.devices_cpu_s > 0
    assert run.workstation_peak_bytes > 10_000_000


@pytest.mark.slow
def test_it_is_a_line_and_a_result(tiny, tmp_path):
    result = CliRunner().invoke(main, [str(tiny), "--devices", "1", "--json", str(tmp_path / "result.json")])
    assert result.exit_code == 0 and result.output.splitlines()[-1].endswith("1 flashed")
    content = json.loads((tmp_path / "result.json").read_text())
    (run,) = read_result(content, tmp_path).measured["runs"]
    assert run["devices"] == run["answering"] == 1 and run["stopped"] == ""


@pytest.mark.parametrize("counts", ["0", "1,x", "", "99999"])
def test_counts_that_are_none(tiny, counts):
    assert CliRunner().invoke(main, [str(tiny), "--devices", counts]).exit_code == 2


def test_a_model_that_is_none(tmp_path):
    (tmp_path / "model.tflite").write_bytes(b"no model")
    result = CliRunner().invoke(main, [str(tmp_path / "model.tflite"), "--devices", "1"])
    assert result.exit_code == 1
