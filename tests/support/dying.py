"""Has a process die before its first, second, third ... change to the disk."""

import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

MOST_STEPS = 200
CHANGES = {"os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.symlink"}
DIED = 9


def at_each_step(folder: Path, work: Callable[[Path], None]) -> None:
    """Works on copies of FOLDER/0, which become FOLDER/1, FOLDER/2 ...; the last of them saw no death."""
    for step in range(1, MOST_STEPS):
        copy = folder / str(step)
        shutil.copytree(folder / "0", copy)
        child = os.fork()
        if child == 0:
            _die_before(step)
            work(copy)
            os._exit(0)
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        if code == 0:
            return
        if code != DIED:
            sys.exit(f"step {step} ended with {code}")
    sys.exit(f"not done after {MOST_STEPS} steps")


def _die_before(step: int) -> None:
    """Ends this process before its step-th change: a name made, moved or removed, or a file opened to be written."""
    left = step

    def look(event: str, arguments: tuple) -> None:
        nonlocal left
        writes = (
            event == "open" and isinstance(arguments[2], int) and arguments[2] & (os.O_WRONLY | os.O_RDWR)
        )
        if event in CHANGES or writes:
            left -= 1
            if left == 0:
                os._exit(DIED)

    sys.addaudithook(look)
