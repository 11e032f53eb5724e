import time
from pathlib import Path

import pytest

from benchmarks.measuring.energy import Rapl
from benchmarks.measuring.sensors import Sensors, Watch

GOVERNOR = "sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"
THROTTLED = "sys/devices/platform/soc/soc:firmware/get_throttled"
POLICIES = "sys/devices/system/cpu/cpufreq"


@pytest.mark.parametrize(
    "name, changes, governor, frequency_mhz, temperature_c, throttling, load",
    [
        ("pi 4", {}, "ondemand", 1800, 48.199, (), 0.35),
        ("pi 4", {THROTTLED: "50005\n"}, "ondemand", 1800, 48.199, ("low voltage", "throttled"), 0.35),
        ("pi 5", {}, "ondemand", 1500, 85.1, ("clock capped", "throttled", "soft temperature limit"), 3.98),
        ("laptop", {}, "powersave", 4189.456, 53.0, None, 1.52),
        ("laptop", {f"{POLICIES}/policy{n}/scaling_cur_freq": "?" for n in (0, 1)}, "powersave", 1100, 53.0, None, 1.52),
        ("virtual", {}, None, 2000, None, None, 0.0),
        ("nothing", {}, None, None, None, None, None),
        ("nothing", {GOVERNOR: "", "proc/loadavg": "nan 1 1", "proc/cpuinfo": "cpu MHz\t: \n"}, *[None] * 5),
    ],
)  # fmt: skip
def test_what_a_machine_says(
    machine, name, changes, governor, frequency_mhz, temperature_c, throttling, load
):
    reading = Sensors(machine(name, changes)).read("before")
    assert (reading.governor, reading.frequency_mhz, reading.temperature_c) == (
        governor,
        frequency_mhz,
        temperature_c,
    )
    assert (reading.throttling, reading.load, reading.phase) == (throttling, load, "before")


def test_vcgencmd_is_asked_where_sys_does_not_tell(machine, vcgencmd):
    program = vcgencmd("test $1 = get_throttled && echo throttled=0x4")
    assert Sensors(machine("laptop"), program).read("after").throttling == ("throttled",)


def test_this_machine_can_be_read():
    assert Sensors.of_this_machine().root == Path("/")
    assert Sensors.of_this_machine().read("before").load is not None


def watched(watch: Watch, readings: int) -> Watch:
    """The same, when it has so many."""
    end = time.monotonic() + 60
    while len(watch.readings) < readings:
        assert time.monotonic() < end
        time.sleep(0.01)
    return watch


def test_readings_are_taken_until_the_block_ends(machine):
    root = machine("pi 4")
    with Watch(Sensors(root), None, every_s=0.01) as watch:
        watched(watch, 2)
        (root / "sys/class/thermal/thermal_zone0/temp").write_text("61000\n")
        watched(watch, len(watch.readings) + 2)
    taken = len(watch.readings)
    assert {reading.phase for reading in watch.readings} == {"during"}
    assert watch.readings[0].temperature_c == 48.199 and watch.readings[-1].temperature_c == 61.0
    assert [r.seconds for r in watch.readings] == sorted(r.seconds for r in watch.readings)
    time.sleep(0.1)
    assert len(watch.readings) == taken


def test_the_meter_is_read_at_both_ends(machine):
    package = machine("laptop") / "sys/class/powercap/intel-rapl:0"
    (package / "energy_uj").write_text("1000000\n")
    meter = Rapl([package])
    with Watch(Sensors(machine("nothing")), meter, every_s=3600) as watch:
        watched(watch, 1)
        (package / "energy_uj").write_text("3500000\n")
    assert meter.joules() == 2.5
