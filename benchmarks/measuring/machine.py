"""Where it is measured."""

import os
import platform
from pathlib import Path

from benchmarks.card.contract import Machine
from edge_runtime.board import ROOT, board_model, kernel_text, total_memory_bytes


def this_machine(root: Path = ROOT) -> Machine:
    """Describes the machine this runs on.

    Args:
        root: Where /proc and /sys are found.
    """
    return Machine(
        name=platform.node(),
        cpu=cpu_name(root),
        architecture=platform.machine(),
        cores=os.cpu_count() or 1,
        memory_bytes=total_memory_bytes(root),
        os=platform.platform(),
        python=platform.python_version(),
    )


def cpu_name(root: Path = ROOT) -> str:
    """A board's own name (from its device tree), else the processor's model name, else "unknown"."""
    if board := board_model(root):
        return board
    for line in kernel_text(root / "proc/cpuinfo").splitlines():
        name, _, value = line.partition(":")
        if name.strip() == "model name":
            return value.strip()
    return platform.processor() or "unknown"
