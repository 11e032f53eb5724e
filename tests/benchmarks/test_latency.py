import json
import os

import numpy as np
import pytest

from benchmarks.latency import MIN_RUNS, Spread, cpu_name, cpu_temperature_c, peak_memory_bytes, this_machine

STAGES = ("preprocess", "invoke", "postprocess", "whole")


@pytest.fixture(scope="module")
def bench(litelens, tiny, tmp_path_factory):
    """What one bench prints and writes."""
    path = tmp_path_factory.mktemp("bench") / "report.json"
    ended = litelens("bench", tiny, "--threads", 1, "--json", path)
    assert ended.returncode == 0, ended.stderr
    return ended.stdout, json.loads(path.read_text())


def test_the_report_says_what_was_measured(bench, tiny):
    _, report = bench
    assert report["model"] == str(tiny) and report["model_size_bytes"] == tiny.stat().st_size
    assert report["interpreter"] in ("ai_edge_litert", "tflite_runtime") and report["interpreter_version"]
    assert report["threads"] == 1 and report["warmup_runs"] > 0 and report["runs"] >= MIN_RUNS
    assert (report["frame_height_px"], report["frame_width_px"]) == (480, 640)
    assert report["first_invoke_ms"] > 0
    assert 10e6 < report["peak_memory_bytes"] < 1e9, "bytes, not kilobytes"


def test_the_report_says_where(bench):
    machine = bench[1]["machine"]
    assert all(machine[name] for name in ("cpu", "architecture", "os", "python", "governor", "temperature_c"))
    assert machine["cores"] == os.cpu_count()


def test_the_numbers_fit_each_other(bench):
    _, report = bench
    for stage in STAGES:
        spread = report[stage]
        assert 0 < spread["p50_ms"] <= spread["p90_ms"] <= spread["p99_ms"]
        assert spread["mean_ms"] > 0 and spread["std_ms"] >= 0
    for name in ("p50_ms", "p90_ms", "p99_ms", "mean_ms"):
        assert report["whole"][name] >= max(report[stage][name] for stage in STAGES)


def test_the_table_shows_the_report(bench):
    table, report = bench
    for stage in STAGES:
        (row,) = (line for line in table.splitlines() if line.startswith(stage))
        assert float(row.split()[1]) == pytest.approx(report[stage]["p50_ms"], abs=0.005)
    for word in ("machine", "interpreter", "threads", "governor", "temperature", "peak memory", "p50", "p99"):
        assert word in table


def test_more_threads_than_cores_are_said(litelens, tiny):
    threads = os.cpu_count() + 1
    ended = litelens("bench", tiny, "--threads", threads)
    assert ended.returncode == 0 and f"threads      {threads} (more than the" in ended.stdout


@pytest.mark.parametrize("target", [".", "absent/report.json"])
def test_a_report_that_cannot_be_written_is_an_error(litelens, tiny, tmp_path, target):
    ended = litelens("bench", tiny, "--json", tmp_path / target)
    assert ended.returncode == 1 and "error: " in ended.stderr and "hint: " in ended.stderr
    assert "p50" in ended.stdout, "what was measured is shown all the same"


def test_spread_is_in_milliseconds():
    spread = Spread.of(np.linspace(0, 0.1, 101))
    assert spread.p50_ms == pytest.approx(50) and spread.p90_ms == pytest.approx(90)
    assert spread.p99_ms == pytest.approx(99) and spread.mean_ms == pytest.approx(50)


def linux(tmp_path, **files: str):
    """A /proc and /sys with these files; __ stands for a slash, and only the named files exist."""
    for name, text in files.items():
        path = tmp_path / name.replace("__", "/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return tmp_path


@pytest.mark.parametrize(
    "files, temperature",
    [
        ({}, "unavailable"),
        ({"thermal_zone0__type": "cpu-thermal\n", "thermal_zone0__temp": "48312\n"}, 48.312),
        ({"thermal_zone0__type": "cpu-thermal\n", "thermal_zone0__temp": "-5000\n"}, -5.0),
        (
            {
                "thermal_zone0__type": "acpitz",
                "thermal_zone0__temp": "20000",
                "thermal_zone1__type": "x86_pkg_temp",
                "thermal_zone1__temp": "61000",
            },
            61.0,
        ),
        ({"thermal_zone0__type": "battery", "thermal_zone0__temp": "30000"}, "unavailable"),
        ({"thermal_zone0__type": "cpu-thermal", "thermal_zone0__temp": ""}, "unavailable"),
        ({"thermal_zone0__type": "cpu-thermal"}, "unavailable"),
    ],
)
def test_temperature(tmp_path, files, temperature):
    root = linux(tmp_path, **{f"sys__class__thermal__{name}": text for name, text in files.items()})
    assert cpu_temperature_c(root) == temperature


@pytest.mark.parametrize(
    "files, name",
    [
        ({"proc__device-tree__model": "Raspberry Pi 4 Model B Rev 1.4\0"}, "Raspberry Pi 4 Model B Rev 1.4"),
        ({"proc__cpuinfo": "processor\t: 0\nmodel name\t: Some CPU @ 2.00GHz\n"}, "Some CPU @ 2.00GHz"),
    ],
)
def test_cpu_name(tmp_path, files, name):
    assert cpu_name(linux(tmp_path, **files)) == name


def test_peak_memory(tmp_path):
    root = linux(tmp_path, proc__self__status="VmPeak:\t  999 kB\nVmHWM:\t   53412 kB\n")
    assert peak_memory_bytes(root) == 53412 * 1024
    assert 10e6 < peak_memory_bytes(tmp_path / "absent") < 100e9


def test_peak_memory_is_not_that_of_the_process_before(litelens, tiny, tmp_path):
    """On Linux a child's ru_maxrss begins with its parent's: pytest's own, here over 300 MB."""
    ballast = bytearray(b"x" * 300_000_000)
    assert litelens("bench", tiny, "--json", tmp_path / "report.json").returncode == 0
    del ballast
    assert json.loads((tmp_path / "report.json").read_text())["peak_memory_bytes"] < 200e6


def test_governor(tmp_path):
    root = linux(tmp_path, sys__devices__system__cpu__cpu0__cpufreq__scaling_governor="ondemand\n")
    assert this_machine(root).governor == "ondemand"
    assert this_machine(tmp_path / "absent").governor == "unavailable"
