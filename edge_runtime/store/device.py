"""What a workstation wants to know of this device before it sends a model."""

import importlib
import os
import platform
import signal
import subprocess
import sys
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from edge_runtime.interpreter import LIBRARIES
from edge_runtime.model_file import SCHEMA_VERSION
from edge_runtime.store.history import printable

_TIMEOUT_S = 60
"""A Pi Zero needs some seconds to start Python and to import an interpreter."""


@dataclass(frozen=True)
class DeviceFacts:
    """This device, as far as a model is concerned."""

    litelens: str
    """Its version."""
    machine: str
    """As uname says it: "aarch64", "armv7l", "x86_64"."""
    python: str
    interpreter: str | None
    """Library and version; None where none can be loaded."""
    interpreter_problem: str
    """Why none can, or ""."""
    schema_version: int
    """Of the manifests that it reads."""
    free_bytes: int
    """What the user who asks may still write into the store's disk."""
    problem: str
    """Why the store cannot be written, or ""."""


def device_facts(store: Path) -> DeviceFacts:
    """Looks at this device, and at a store that is there; takes as long as an interpreter takes to load.

    Raises:
        OSError: If the disk of the store cannot be asked.
    """
    interpreter, problem = _interpreter()
    disk = os.statvfs(store)
    return DeviceFacts(
        litelens=metadata.version("litelens"),
        machine=platform.machine(),
        python=platform.python_version(),
        interpreter=interpreter,
        interpreter_problem=problem,
        schema_version=SCHEMA_VERSION,
        free_bytes=disk.f_bavail * disk.f_frsize,
        problem=unwritable(store),
    )


def unwritable(folder: Path) -> str:
    """Why this user cannot write into a folder, or ""."""
    if os.access(folder, os.W_OK | os.X_OK):
        return ""
    disk = os.statvfs(folder)
    if disk.f_flag & os.ST_RDONLY:
        return f"{folder} is on a disk that is mounted read-only"
    return f"{folder} is not writable by this user"


def _interpreter() -> tuple[str | None, str]:
    """Library and version of the interpreter that a model would be loaded into, and why there is none."""
    # In a process of its own: one that was built for another processor ends the process that imports it.
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    command = [sys.executable, "-P", "-m", "edge_runtime.store.device"]
    try:
        ended = subprocess.run(
            command, capture_output=True, text=True, errors="replace", timeout=_TIMEOUT_S, env=environment
        )
    except subprocess.TimeoutExpired:
        return None, f"none was loaded within {_TIMEOUT_S} s"
    last = printable((ended.stdout.strip() or ended.stderr.strip() or "nothing").splitlines()[-1])
    if ended.returncode < 0:
        return None, f"loading one ends the process by {signal.Signals(-ended.returncode).name}"
    return (None, last) if ended.returncode else (last, "")


def _main() -> None:
    """Prints the first interpreter that can be imported, as edge_runtime.interpreter takes it; or why none can."""
    problems = []
    for name, (module, distribution) in LIBRARIES.items():
        try:
            importlib.import_module(module)
        except ImportError as problem:
            problems.append(f"{name}: {problem}")
        else:
            print(name, metadata.version(distribution))
            return
    print("; ".join(problems))
    sys.exit(1)


if __name__ == "__main__":
    _main()
