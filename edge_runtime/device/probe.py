"""Tries a delegate in another process, because its library may crash or hang the one that loads it.

libedgetpu does so where it was built for another version of TFLite than the interpreter's (google-coral/edgetpu
issue 812).
"""

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from edge_runtime.interpreter import Delegate

TIMEOUT_S = 20.0
"""An Edge TPU on USB is first given its firmware, and a slow board takes seconds to start Python."""
LONGEST = 300
"""Characters of what others say that are passed on."""
VERDICT = "litelens probe: "
"""Begins the last line of a process that lived: then comes the problem, or "", in JSON."""


@dataclass(frozen=True)
class Probe:
    """What came of it."""

    problem: str
    """Why the delegate cannot be used, or ""."""
    crashed: bool
    """Whether the process that tried it did not live to say so."""


def probe(model: Path, delegate: Delegate) -> Probe:
    """Loads a model with a delegate and runs it once, in another process.

    It comes back within TIMEOUT_S and a second, whatever the library does.
    """
    command = [sys.executable, "-P", "-m", "edge_runtime.device.trial", os.fspath(model), delegate.library]
    try:
        # A file, not a pipe: a process that the library starts could hold that open.
        with tempfile.TemporaryFile() as said:
            ended = _run([*command, json.dumps(delegate.options)], said)
            said.seek(0)
            return _judge(delegate.library, ended, said.read().decode(errors="replace"))
    except OSError as problem:
        return Probe(f"no other process can try {delegate.library}: {problem}", crashed=False)


def _run(command: list[str], said: IO[bytes]) -> int | None:
    """How a process ended; None if it did not."""
    # The same modules as here, whatever lies in the working directory.
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    child = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=said, stderr=said, env=environment)
    try:
        return child.wait(TIMEOUT_S)
    except subprocess.TimeoutExpired:
        return None
    finally:  # also on Ctrl-C
        child.kill()
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.wait(1)  # no longer: a process that hangs in the kernel outlives that


def _judge(library: str, ended: int | None, said: str) -> Probe:
    if ended is None:
        return Probe(f"{library} hangs: it did not end within {TIMEOUT_S:g} s", crashed=True)
    last = next((line for line in reversed(said.splitlines()) if line.strip()), "")
    if ended == 0 and last.startswith(VERDICT):
        return Probe(json.loads(last.removeprefix(VERDICT)), crashed=False)
    how = signal.strsignal(-ended) if ended < 0 else f"exit code {ended}"
    words = f": {last.strip()[:LONGEST]}" if last else ""
    return Probe(f"{library} ended the process that tried it ({how}){words}", crashed=True)
