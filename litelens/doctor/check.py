"""What a check is given and what it says."""

import os
import pwd
import shutil
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from edge_runtime.board import kernel_text

CHILD_TIMEOUT_S = 15
"""A Pi Zero needs some seconds to import NumPy and an interpreter."""
TIMED_OUT, NOT_THERE = 124, 127
"""Exit codes of a child that was ended, or never began: those of timeout(1) and of a shell."""


@dataclass(frozen=True)
class Check:
    """One line of the doctor's."""

    name: str
    verdict: Literal["ok", "warn", "fail"]
    """"warn" is what only some cameras or models suffer from."""
    found: str
    fix: str = ""
    """A command where one mends it; "" where nothing is to be mended."""


@dataclass(frozen=True)
class Machine:
    """The machine, and as whom; tests make it of other folders."""

    root: Path = Path("/")
    """Where /dev, /proc, /sys and /etc are."""
    python: str = sys.executable
    """Of the environment that litelens is installed in."""
    path: str = os.environ.get("PATH", os.defpath)
    uid: int = field(default_factory=os.getuid)
    groups: tuple[int, ...] = field(default_factory=lambda: tuple(os.getgroups()))

    @property
    def user(self) -> str:
        try:
            return pwd.getpwuid(self.uid).pw_name
        except KeyError:
            return str(self.uid)

    def program(self, name: str) -> str | None:
        """Where a program is, if it is on the PATH."""
        return shutil.which(name, path=self.path)

    def run(self, *command: str) -> subprocess.CompletedProcess:
        """Runs a program to its end, or for `CHILD_TIMEOUT_S`; never raises."""
        options = {"capture_output": True, "text": True, "errors": "replace", "timeout": CHILD_TIMEOUT_S}
        environment = os.environ | {"PATH": self.path, "LC_ALL": "C.UTF-8"}
        try:
            return subprocess.run(command, env=environment, stdin=subprocess.DEVNULL, **options)
        except subprocess.TimeoutExpired:
            return subprocess.CompletedProcess(
                command, TIMED_OUT, "", f"did not end within {CHILD_TIMEOUT_S} s"
            )
        except OSError as problem:
            return subprocess.CompletedProcess(command, NOT_THERE, "", problem.strerror)

    def text(self, path: str) -> str:
        """What a file below root says; "" where there is none or it may not be read."""
        return kernel_text(self.root / path)

    def files(self, *patterns: str) -> Iterable[Path]:
        """The files below root that match, sorted."""
        return sorted(found for pattern in patterns for found in self.root.glob(pattern))


def last_line(text: str) -> str:
    """What a program said last."""
    return (text.strip().splitlines() or ["it said nothing"])[-1]
