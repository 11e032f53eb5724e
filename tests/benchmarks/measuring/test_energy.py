import os
import shutil
import tempfile
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.measuring.energy import PowerChip, Rapl, find_meter, total
from edge_runtime.board import sum_of_rails_w

# A Raspberry Pi 5 Model B Rev 1.0 with four busy cores.
PI_5_ADC = """ 3V7_WL_SW_A current(0)=0.09368929A
   3V3_SYS_A current(1)=0.08783370A
   1V8_SYS_A current(2)=0.18054710A
  DDR_VDD2_A current(3)=0.22543980A
  DDR_VDDQ_A current(4)=0.06666720A
   1V1_SYS_A current(5)=0.17566740A
    0V8_SW_A current(6)=0.37670900A
  VDD_CORE_A current(7)=6.22421000A
   3V3_DAC_A current(17)=0.00006105A
   3V3_ADC_A current(18)=0.00036630A
   0V8_AON_A current(16)=0.00305250A
      HDMI_A current(22)=0.02417580A
 3V7_WL_SW_V volt(8)=3.69977600V
   3V3_SYS_V volt(9)=3.31003300V
   1V8_SYS_V volt(10)=1.80512600V
  DDR_VDD2_V volt(11)=1.10476100V
  DDR_VDDQ_V volt(12)=0.60146460V
   1V1_SYS_V volt(13)=1.11025500V
    0V8_SW_V volt(14)=0.80146440V
  VDD_CORE_V volt(15)=0.86173300V
   3V3_DAC_V volt(20)=3.31318300V
   3V3_ADC_V volt(21)=3.30677300V
   0V8_AON_V volt(19)=0.80029220V
      HDMI_V volt(23)=5.08664000V
     EXT5V_V volt(24)=5.09066000V
      BATT_V volt(25)=0.00000000V
"""
# Added up by hand from the above: the core alone is 6.22421 x 0.861733.
PI_5_WATTS = pytest.approx(
    5.36361 + 0.34663 + 0.29073 + 0.32591 + 0.24906 + 0.04010 + 0.19504 + 0.30192 + 0.12662, abs=1e-3
)
NO_SUCH_COMMAND = 'error=1 error_msg="Command not registered"'
RANGE_UJ = 262143328850


@pytest.fixture
def pi_5(vcgencmd) -> str:
    """vcgencmd of a Raspberry Pi 5."""
    return vcgencmd(f"test $1 = pmic_read_adc && cat <<'END'\n{PI_5_ADC}END")


def silent(line: str) -> None:
    raise AssertionError(f"said: {line}")


@pytest.mark.parametrize(
    "answer, watts",
    [
        (PI_5_ADC, PI_5_WATTS),
        ("VDD_CORE_A current(7)=2.0A\nVDD_CORE_V volt(15)=0.5V\nEXT5V_V volt(24)=5.1V\n", pytest.approx(1.0)),
        ("VDD_CORE_A current(7)=2.0A\nEXT5V_V volt(24)=5.1V\n", None),
        ("VDD_CORE_A current(7)=nanA\nVDD_CORE_V volt(15)=0.5V\n", None),
        (NO_SUCH_COMMAND, None),
        ("", None),
    ],
)
def test_the_power_chips_rails_are_added_up(answer, watts):
    assert sum_of_rails_w(answer) == watts


@given(
    st.lists(
        st.sampled_from([*PI_5_ADC.splitlines()[:2], "3V3_SYS_V 1=V", "_A", "="]) | st.text(max_size=9)
    ).map("\n".join)
)
def test_any_answer_of_the_power_chip_is_a_number_or_none(answer):
    watts = sum_of_rails_w(answer)
    assert watts is None or isinstance(watts, float)


def test_a_raspberry_pi_5_is_sampled(machine, pi_5):
    meter = find_meter(machine("pi 5"), pi_5, silent)
    start = time.monotonic()
    meter.sample()
    time.sleep(0.3)
    meter.sample()
    least, most = 0.3, time.monotonic() - start
    watts = sum_of_rails_w(PI_5_ADC)
    assert meter.source == "Raspberry Pi 5 PMIC"
    assert watts * least <= meter.joules() <= watts * most


def test_a_sample_that_is_missing_is_bridged(pi_5, vcgencmd):
    meter = PowerChip(pi_5)
    meter.sample()
    assert meter.joules() is None, "one sample has no duration"
    vcgencmd("exit 1")
    meter.sample()
    assert meter.joules() is None
    vcgencmd(f"cat <<'END'\n{PI_5_ADC}END")
    meter.sample()
    assert meter.joules() > 0


def test_other_boards_have_no_power_chip(machine, vcgencmd):
    assert find_meter(machine("pi 4"), vcgencmd(f"echo '{NO_SUCH_COMMAND}'"), silent) is None
    assert find_meter(machine("virtual"), None, silent) is None


def test_a_pcs_packages_are_measured_and_nothing_twice(machine):
    meter = find_meter(machine("laptop"), None, silent)
    assert meter.source == "RAPL package-0"
    second = {f"sys/class/powercap/intel-rapl:2/{name}": text for name, text in (
        ("name", "package-1\n"), ("energy_uj", "0\n"), ("max_energy_range_uj", f"{RANGE_UJ}\n"))}  # fmt: skip
    assert find_meter(machine("laptop", second), None, silent).source == "RAPL package-0, package-1"


@pytest.mark.parametrize(
    "counts_uj, joules",
    [
        ((1_000_000, 1_000_000), 0.0),
        ((1_000_000, 2_500_000, 4_000_000), 3.0),
        ((RANGE_UJ - 1_000_000, 2_000_000), 3.0),
        ((RANGE_UJ - 1_000_000, 2_000_000, RANGE_UJ, 1_000_000), 3.0 + (RANGE_UJ - 2_000_000) / 1e6 + 1.0),
        ((1_000_000, ""), None),
        ((1_000_000, "", 2_000_000), None),
    ],
    ids=["at rest", "two steps", "begins again", "begins again twice", "stops", "stops for once"],
)
def test_the_counter_begins_again_at_its_end(machine, counts_uj, joules):
    package = machine("laptop") / "sys/class/powercap/intel-rapl:0"
    meter = Rapl([package])
    for count in counts_uj:
        (package / "energy_uj").write_text(f"{count}\n")
        meter.sample()
    assert meter.joules() == (pytest.approx(joules) if joules is not None else None)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody who may not read the counter")
def test_a_counter_that_only_root_may_read_is_said(machine):
    said = []
    with tempfile.TemporaryDirectory() as folder:  # the fixture's is closed to others
        root = Path(folder) / "root"
        shutil.copytree(machine("laptop"), root)
        os.chmod(folder, 0o755)
        (root / "sys/class/powercap/intel-rapl:0/energy_uj").chmod(0o400)
        os.seteuid(65534)
        try:
            assert find_meter(root, None, said.append) is None
        finally:
            os.seteuid(0)
    (line,) = said
    assert "only root" in line and "sudo chmod a+r /sys/class/powercap/intel-rapl:*/energy_uj" in line


def test_energy_of_a_bench(machine):
    package = machine("laptop") / "sys/class/powercap/intel-rapl:0"
    meter = Rapl([package])
    for count in (0, 30_000_000):
        (package / "energy_uj").write_text(f"{count}\n")
        meter.sample()
    energy = total(meter, seconds=10.0, frames=600)
    assert (energy.source, energy.joules, energy.seconds) == ("RAPL package-0", 30.0, 10.0)
    assert (energy.watts, energy.joules_a_frame) == (3.0, 0.05)
    assert total(None, 10.0, 600) is None
    (package / "energy_uj").unlink()
    meter.sample()
    assert total(meter, 10.0, 600) is None
