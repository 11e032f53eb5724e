"""What the machine says of itself: its model, temperature, clock, throttling, power and memory; None where it does not.

All of it is read, nothing is ever written.
"""

import shutil
import subprocess
import threading
from collections.abc import Iterator
from math import isfinite
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from edge_runtime.live.status import BoardStatus

ROOT = Path("/")
REFRESH_S = 5.0
THROTTLE_NOW = {
    0: "low voltage",
    1: "clock capped",
    2: "throttled",
    3: "soft temperature limit",
}
"""Bits of the firmware's answer that hold now; 16 higher stands the same, since the last boot.

https://www.raspberrypi.com/documentation/computers/os.html#get_throttled
"""
SINCE_BOOT = 16
_VCGENCMD_TIMEOUT_S = 2


class Board:
    """The state of the machine, at most `REFRESH_S` old; asking for it with each frame costs nothing."""

    def __init__(self, root: Path = ROOT, vcgencmd: str | None = None):
        """Reads the state once; later it is read in a thread, as a sensor or a program may hang.

        Args:
            root: Where /proc and /sys are found.
            vcgencmd: Raspberry Pi's program, asked where /sys does not tell; None looks for it on the PATH.
        """
        self._root = root
        self._vcgencmd = vcgencmd or shutil.which("vcgencmd")
        self._reading = threading.Lock()
        self._read()

    def status(self) -> "BoardStatus":
        """Temperature and throttling; from any thread, never waits."""
        if monotonic() >= self._due_s and self._reading.acquire(blocking=False):
            threading.Thread(target=self._reread, name="board", daemon=True).start()
        return self._status

    def _reread(self) -> None:
        try:
            self._read()
        finally:
            self._reading.release()

    def _read(self) -> None:
        from edge_runtime.live.status import BoardStatus  # not above: doctor reads boards without NumPy

        flags = throttle_flags(self._root, self._vcgencmd)
        throttled = None if flags is None else any(flags >> bit & 1 for bit in THROTTLE_NOW)
        self._status = BoardStatus(temperature_c(self._root), throttled)
        self._due_s = monotonic() + REFRESH_S


def board_model(root: Path = ROOT) -> str | None:
    """A board's own name, such as "Raspberry Pi 4 Model B Rev 1.4"."""
    return (
        kernel_text(root / "proc/device-tree/model")
        or kernel_text(root / "sys/firmware/devicetree/base/model")
        or None
    )


def temperature_c(root: Path = ROOT) -> float | None:
    """The processor's temperature in degrees Celsius.

    Linux lists the zones of batteries and radios too; the processor's are named cpu-thermal (Raspberry Pi),
    cpu0-thermal and the like, or x86_pkg_temp.
    """
    for kind, zone in _thermal_zones(root):
        if kind.startswith("cpu") or kind == "x86_pkg_temp":
            reading = _integer(kernel_text(zone / "temp"))
            if reading is not None:
                return reading / 1000
    return None


def throttle_flags(root: Path = ROOT, vcgencmd: str | None = None) -> int | None:
    """A Raspberry Pi's answer to get_throttled; `THROTTLE_NOW` names its bits.

    Args:
        root: Where /sys is found.
        vcgencmd: The program to ask where /sys has no answer, or None; it gets two seconds.
    """
    # Below soc, soc@107c000000 or axi, by board and kernel.
    for path in sorted((root / "sys/devices/platform").glob("*/*firmware*/get_throttled")):
        if (flags := _integer(kernel_text(path), base=16)) is not None:
            return flags
    return _integer(_answer(vcgencmd, "get_throttled").strip().removeprefix("throttled="), base=16)


def throttle_reasons(flags: int) -> list[str]:
    """What slows the board down now."""
    return [reason for bit, reason in THROTTLE_NOW.items() if flags >> bit & 1]


def throttle_history(flags: int) -> list[str]:
    """What slowed the board down since it was started."""
    return throttle_reasons(flags >> SINCE_BOOT)


def governor(root: Path = ROOT) -> str | None:
    """What chooses the first core's frequency: "ondemand", "performance" ..."""
    return kernel_text(root / "sys/devices/system/cpu/cpu0/cpufreq/scaling_governor") or None


def frequency_mhz(root: Path = ROOT) -> float | None:
    """Of the fastest core at this moment.

    From cpufreq, one reading for all cores that share a clock; else what x86 shows in /proc/cpuinfo, which in a virtual
    machine is a constant.
    """
    policies = (root / "sys/devices/system/cpu/cpufreq").glob("policy*/scaling_cur_freq")
    kilohertz = [_integer(kernel_text(path)) for path in policies]  # "<unknown>" where the driver cannot tell
    if known := [value for value in kilohertz if value is not None]:
        return max(known) / 1000
    lines = [line.partition(":") for line in kernel_text(root / "proc/cpuinfo").splitlines()]
    return (
        max((_number(value) or 0 for name, _, value in lines if name.strip() == "cpu MHz"), default=0) or None
    )


def load_average(root: Path = ROOT) -> float | None:
    """How many processes wanted to run: the kernel's mean of the last minute."""
    return _number(kernel_text(root / "proc/loadavg").partition(" ")[0])


def power_w(vcgencmd: str | None) -> float | None:
    """What a Raspberry Pi 5's power chip gives to the board at this moment, all its rails together.

    It measures behind its converters, so their losses are missing, and so is what USB devices take from the 5 V.

    Args:
        vcgencmd: The program to ask; None, and every other board, gives None.
    """
    return sum_of_rails_w(_answer(vcgencmd, "pmic_read_adc"))


def sum_of_rails_w(answer: str) -> float | None:
    """The power chip's answer in watts; None where it holds no rail with both its current and its voltage.

    A line is "VDD_CORE_A current(7)=1.52700000A" or "VDD_CORE_V volt(15)=0.86173300V"; in brackets is the channel.
    """
    amperes, volts = {}, {}
    for line in answer.splitlines():
        name, _, value = line.strip().partition(" ")
        for unit, readings in (("A", amperes), ("V", volts)):
            reading = _number(value.rpartition("=")[2].removesuffix(unit))
            if name.endswith(f"_{unit}") and reading is not None:
                readings[name.removesuffix(f"_{unit}")] = reading
    rails = amperes.keys() & volts.keys()  # of the input and the battery it knows the voltage alone
    return sum(amperes[rail] * volts[rail] for rail in rails) if rails else None


def available_memory_bytes(root: Path = ROOT) -> int | None:
    """How much memory programs can still get without swapping."""
    return _meminfo_bytes(root, "MemAvailable")


def total_memory_bytes(root: Path = ROOT) -> int | None:
    """How much memory Linux has to give, without what the firmware and a graphics processor keep."""
    return _meminfo_bytes(root, "MemTotal")


def _meminfo_bytes(root: Path, wanted: str) -> int | None:
    for line in kernel_text(root / "proc/meminfo").splitlines():
        name, _, value = line.partition(":")
        kilobytes = _integer(value.removesuffix("kB"))
        if name == wanted and kilobytes is not None:
            return kilobytes * 1024
    return None


# Vendor and product: on USB before and after the firmware was loaded, and on PCI.
_CORALS = (
    ("usb", "idVendor", "idProduct", {("1a6e", "089a"), ("18d1", "9302")}),
    ("pci", "vendor", "device", {("0x1ac1", "0x089a")}),
)


def corals(bus: Path = Path("/sys/bus")) -> set[str]:
    """On which buses Linux lists a Coral: "usb", "pci", both or none."""
    return {
        name
        for name, vendor, product, known in _CORALS
        for device in (bus / name / "devices").glob("*")
        if (kernel_text(device / vendor), kernel_text(device / product)) in known
    }


def _thermal_zones(root: Path) -> Iterator[tuple[str, Path]]:
    for zone in sorted((root / "sys/class/thermal").glob("thermal_zone*")):
        yield kernel_text(zone / "type"), zone


def _answer(vcgencmd: str | None, question: str) -> str:
    """What the program prints; "" where there is none, or none within two seconds."""
    if vcgencmd is None:
        return ""
    try:
        asked = subprocess.run(
            [vcgencmd, question], capture_output=True, text=True, timeout=_VCGENCMD_TIMEOUT_S
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return asked.stdout


def _integer(text: str, base: int = 10) -> int | None:
    """What a file's text counts; None where it is no number."""
    try:
        return int(text, base)
    except ValueError:
        return None


def _number(text: str) -> float | None:
    """What a text says with or without a fraction; None where it is no finite number."""
    try:
        value = float(text)
    except ValueError:
        return None
    return value if isfinite(value) else None


def kernel_text(path: Path) -> str:
    """What a file under /proc or /sys says; "" where there is none or the kernel refuses it."""
    try:
        # The device tree ends its strings with a NUL.
        return path.read_text(errors="replace").strip("\0 \n")
    except OSError:
        return ""
