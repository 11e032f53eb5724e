import subprocess
import time

import pytest

from litelens.doctor import check
from litelens.doctor.check import Machine
from litelens.doctor.hardware import check_clock, check_disk, check_memory, check_power, check_temperature


def zone(temperature: str) -> dict[str, str]:
    folder = "sys/class/thermal/thermal_zone0"
    return {f"{folder}/type": "cpu-thermal\n", f"{folder}/temp": temperature}


@pytest.mark.parametrize(
    "files, verdict, says",
    [
        ({}, "ok", "not told"),
        (
            {"proc/device-tree/model": "Raspberry Pi 4 Model B Rev 1.5\0"} | zone("48199\n"),
            "ok",
            "Raspberry Pi 4 Model B Rev 1.5, 48.2 °C",
        ),
        (zone("79999\n"), "ok", "80.0 °C"),
        (zone("80000\n"), "warn", "80.0 °C"),
        (zone("what\n"), "ok", "not told"),
    ],
)
def test_temperature(machine, files, verdict, says, assert_is):
    assert_is(check_temperature(machine(files)), verdict, says, "a fan" if verdict == "warn" else "")


@pytest.mark.parametrize(
    "script, verdict, says, fix",
    [
        ("echo throttled=0x0", "ok", "never throttled", ""),
        (
            "echo throttled=0x50000",
            "warn",
            "now: nothing; since the start: low voltage, throttled",
            "power supply",
        ),
        ("echo throttled=0x80008", "warn", "now: soft temperature limit", "a fan"),
        ("exit 1", "ok", "not told", ""),
    ],
)
def test_power(machine, program, script, verdict, says, fix, assert_is):
    assert_is(check_power(machine(path=program("vcgencmd", script))), verdict, says, fix)


def test_power_without_vcgencmd(machine, assert_is):
    assert_is(check_power(machine()), "ok", "not told")
    throttled = {"sys/devices/platform/soc/soc:firmware/get_throttled": "50005\n"}
    assert_is(check_power(machine(throttled)), "warn", "now: low voltage, throttled", "power supply")


@pytest.mark.parametrize("kilobytes, verdict", [("1503252", "ok"), ("102400", "ok"), ("102399", "warn")])
def test_memory(machine, kilobytes, verdict, assert_is):
    there = machine({"proc/meminfo": f"MemTotal: 1893704 kB\nMemAvailable: {kilobytes} kB\n"})
    assert_is(check_memory(there), verdict, f"{int(kilobytes) >> 10} MB available")
    assert_is(check_memory(machine({"proc/meminfo": ""})), "ok", "not told")


@pytest.mark.parametrize(
    "options, verdict, says",
    [
        ("size=1g", "ok", "1024 MB free"),
        ("size=100m", "warn", "100 MB free"),
        ("size=1m", "fail", "1 MB free"),
        ("size=1g,ro", "fail", "read-only"),
    ],
)
def test_disk(tmpfs, options, verdict, says, assert_is):
    disk = tmpfs(options.removesuffix(",ro"))
    (disk / "var/lib").mkdir(parents=True)
    if options.endswith(",ro"):
        subprocess.run(["mount", "-o", "remount,ro", disk], check=True)
    assert_is(check_disk(Machine(root=disk)), verdict, says)


def test_no_disk(machine, assert_is):
    assert_is(check_disk(machine()), "fail", "No such file or directory", "mkdir")


@pytest.mark.parametrize(
    "now, script, verdict, says",
    [
        (0, "echo yes", "fail", "1970-01-01 00:00:00 UTC, which is in the past"),
        (1_800_000_000, "echo yes", "ok", "2027-01-15 08:00:00 UTC, synchronised"),
        (1_800_000_000, "echo no", "warn", "not synchronised"),
        (1_800_000_000, "echo 'Failed to connect to bus' >&2; exit 1", "ok", "is not told"),
    ],
)
def test_clock(machine, program, now, script, verdict, says, assert_is):
    fix = "timedatectl set-ntp true" if verdict != "ok" else ""
    assert_is(check_clock(machine(path=program("timedatectl", script)), now), verdict, says, fix)


def test_clock_without_timedatectl(machine, assert_is):
    assert_is(check_clock(machine(), 1_800_000_000), "ok", "is not told")


def test_a_program_that_hangs_is_ended(machine, program, monkeypatch, assert_is):
    monkeypatch.setattr(check, "CHILD_TIMEOUT_S", 0.5)
    start = time.monotonic()
    found = check_clock(machine(path=program("timedatectl", "exec sleep 60")), 1_800_000_000)
    assert_is(found, "ok", "is not told")
    assert time.monotonic() - start < 20
