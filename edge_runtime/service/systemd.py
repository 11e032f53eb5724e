"""systemd and its journal, asked through their own commands."""

import shutil
import subprocess
from pathlib import Path

from edge_runtime.service.unit import ServiceError

_BOOTED = Path("/run/systemd/system")
_START_TIMEOUT_S = 120
"""systemd gives a service 90 s to say that it is ready."""


def require_systemd() -> None:
    """Raises ServiceError unless this machine was started by systemd."""
    # sd_booted(3) looks for the same folder.
    if not _BOOTED.is_dir() or shutil.which("systemctl") is None:
        raise ServiceError(
            f"this machine was not started by systemd: {_BOOTED} is not there",
            "start `litelens run` with what starts other programs here",
        )


def systemd_version() -> int:
    """The number of the installed systemd, 0 where there is none."""
    if shutil.which("systemctl") is None:
        return 0
    # "systemd 252 (252.38-1~deb12u1)"
    return int(systemctl("--version").split()[1])


def systemctl(*arguments: str) -> str:
    """Runs systemctl and returns what it printed.

    Raises:
        ServiceError: With the first line that it said if it fails, or does not end.
    """
    command = ["systemctl", "--no-ask-password", *arguments]
    told, hint = " ".join(command), "look at all services: systemctl status"
    try:
        ended = subprocess.run(command, capture_output=True, text=True, timeout=_START_TIMEOUT_S)
    except subprocess.TimeoutExpired as problem:
        raise ServiceError(f"{told} did not end within {_START_TIMEOUT_S} s", hint) from problem
    if ended.returncode:
        said = ended.stderr.strip().splitlines() or [f"exit code {ended.returncode}"]
        raise ServiceError(f"{told} failed: {said[0]}", hint)
    return ended.stdout


def properties(unit: str, *names: str) -> dict[str, str]:
    """What systemd knows of a unit, by name."""
    lines = systemctl("show", unit, f"--property={','.join(names)}").splitlines()
    return dict(line.split("=", 1) for line in lines)


def last_error(unit: str) -> str:
    """The last error that a service logged, "" if there was none."""
    command = ["journalctl", f"--unit={unit}", "--lines=20", "--output=cat", "--no-pager"]
    lines = subprocess.run(command, capture_output=True, text=True, errors="replace").stdout.splitlines()
    return next((line.removeprefix("error: ") for line in reversed(lines) if line.startswith("error: ")), "")
