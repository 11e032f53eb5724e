"""Energy, where the machine has a meter: a PC's processor (RAPL) or the Raspberry Pi 5's power chip."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from benchmarks.card.contract import Energy
from edge_runtime.board import kernel_text, power_w

_MAY_READ = "sudo chmod a+r /sys/class/powercap/intel-rapl:*/energy_uj"


class Meter(Protocol):
    """Adds up energy from one sample to the next."""

    source: str

    def sample(self) -> None:
        """To be called at the start, at the end, and about once a second between them."""

    def joules(self) -> float | None:
        """From the first sample to the last; None where the machine stopped telling."""


class Rapl:
    """The processor packages' own counters, which Intel's and AMD's have alike.

    https://docs.kernel.org/power/powercap/powercap.html: energy_uj counts microjoules up to max_energy_range_uj, and
    then from 0 again.
    """

    def __init__(self, packages: list[Path]):
        """Takes the folders of the packages, one a socket."""
        names = (kernel_text(package / "name") for package in packages)
        self.source = f"RAPL {', '.join(names)}"
        self._ranges = {package: int(kernel_text(package / "max_energy_range_uj")) for package in packages}
        self._last: dict[Path, int] = {}
        self._sum_uj = 0
        self._broken = False

    def sample(self) -> None:
        for package, range_uj in self._ranges.items():
            try:
                now = int(kernel_text(package / "energy_uj"))
            except ValueError:
                self._broken = True
                return
            used = now - self._last.get(package, now)
            self._sum_uj += used if used >= 0 else used + range_uj
            self._last[package] = now

    def joules(self) -> float | None:
        return None if self._broken else self._sum_uj / 1e6


class PowerChip:
    """The Raspberry Pi 5's power chip: what its rails give at each sample, and a straight line from one to the next."""

    source = "Raspberry Pi 5 PMIC"

    def __init__(self, vcgencmd: str):
        """Takes Raspberry Pi's program."""
        self._vcgencmd = vcgencmd
        self._samples: list[tuple[float, float]] = []

    def sample(self) -> None:
        start_s = time.monotonic()
        watts = power_w(self._vcgencmd)
        if watts is not None:  # one that is missing is bridged
            self._samples.append(((start_s + time.monotonic()) / 2, watts))

    def joules(self) -> float | None:
        if len(self._samples) < 2:
            return None
        pairs = zip(self._samples, self._samples[1:], strict=False)
        return sum((later - then) * (watts + after) / 2 for (then, watts), (later, after) in pairs)


def find_meter(root: Path, vcgencmd: str | None, report: Callable[[str], None]) -> Meter | None:
    """The meter of this machine, or None.

    Args:
        root: Where /sys is found.
        vcgencmd: Raspberry Pi's program, or None.
        report: Told where there is a meter that only root may read.
    """
    packages = [zone for zone in (root / "sys/class/powercap").glob("intel-rapl:*") if _is_package(zone)]
    if packages and all(kernel_text(package / "energy_uj") for package in packages):
        return Rapl(sorted(packages))
    if packages:
        # Since Linux 5.10: what a processor takes tells of the secrets that it works on (CVE-2020-8694).
        report(
            f"energy is not measured: only root may read the processor's counter; until the next boot: {_MAY_READ}"
        )
        return None
    return PowerChip(vcgencmd) if vcgencmd and power_w(vcgencmd) is not None else None


def total(meter: Meter | None, seconds: float, frames: int) -> Energy | None:
    """What a meter added up while frames were classified."""
    joules = meter.joules() if meter else None
    if not meter or joules is None:
        return None
    return Energy(meter.source, joules, seconds, joules / seconds, joules / frames)


def _is_package(zone: Path) -> bool:
    """Not a part of one ("core", "dram"), nor "psys", which holds them all."""
    return (
        kernel_text(zone / "name").startswith("package-")
        and kernel_text(zone / "max_energy_range_uj").isdigit()
    )
