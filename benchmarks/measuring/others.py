"""How much of the machine other programs take."""

import os
import time
from dataclasses import dataclass
from pathlib import Path

from edge_runtime.board import ROOT, kernel_text

CROWDED = 0.05
"""Of all cores' time: where others take more, numbers are not to be quoted."""
_BUSY = (0, 1, 2, 5, 6, 7)
"""user, nice, system, irq, softirq, steal: columns of the first line of /proc/stat (proc_stat(5))."""


@dataclass(frozen=True)
class CpuTime:
    """What the cores had done at one moment; what lies between two tells how much was others' work."""

    clock_s: float
    own_s: float
    """Processor time of this process and of the children that it has waited for."""
    all_s: float | None
    """Processor time of all programs on all cores, another virtual machine's included; None: the kernel does not tell."""

    @classmethod
    def now(cls, root: Path = ROOT) -> "CpuTime":
        """Reads the clocks; the kernel counts all programs' time in hundredths of a second."""
        times = os.times()
        own_s = times.user + times.system + times.children_user + times.children_system
        return cls(time.monotonic(), own_s, _all_s(root))

    def others_share(self, later: "CpuTime") -> float | None:
        """Of all cores' time until `later`, what other programs took, 0 to 1; None where the kernel does not tell."""
        if self.all_s is None or later.all_s is None:
            return None
        taken_s = (later.all_s - self.all_s) - (later.own_s - self.own_s)
        return max(0.0, taken_s / ((later.clock_s - self.clock_s) * (os.cpu_count() or 1)))


def _all_s(root: Path) -> float | None:
    name, *ticks = (kernel_text(root / "proc/stat").splitlines() or [""])[0].split() or [""]
    if name != "cpu":
        return None
    return sum(int(ticks[column]) for column in _BUSY) / os.sysconf("SC_CLK_TCK")
