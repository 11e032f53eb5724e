"""What this process keeps in memory."""

import resource
import sys
from pathlib import Path

from edge_runtime.board import ROOT, kernel_text


def resident_bytes(root: Path = ROOT) -> int:
    """This process's resident set now; its largest where only that is told (macOS)."""
    return _status_bytes(root, "VmRSS") or peak_bytes(root)


def peak_bytes(root: Path = ROOT) -> int:
    """This process's largest resident set since it started."""
    # Not getrusage() on Linux: its ru_maxrss begins with that of the process that started this one.
    if peak := _status_bytes(root, "VmHWM"):
        return peak
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    # getrusage(2): bytes on macOS, kilobytes elsewhere.
    return peak if sys.platform == "darwin" else peak * 1024


def _status_bytes(root: Path, wanted: str) -> int | None:
    for line in kernel_text(root / "proc/self/status").splitlines():
        name, _, value = line.partition(":")
        if name == wanted:
            return int(value.split()[0]) * 1024
    return None
