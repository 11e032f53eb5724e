"""What `litelens flash` costs the workstation, and how long it takes, with one device, with ten, with hundreds.

    python -m benchmarks.flash_many --devices 1,10,50,200 --json FILE
    python -m benchmarks.flash_many --devices 200 --fail 30

One real sshd, and devices behind it: each has a HOME and a store of its own, and its litelens is this one. They share this
machine's processor with the workstation, which no fleet does: where `devices` is about `wall` times the cores, the
wall time is theirs. No cameras run, so versions are switched to without a trial.
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path
from resource import RUSAGE_CHILDREN, getrusage

import click

from benchmarks.result_file import begin, write_result
from benchmarks.simulated_devices import SSHD, LocalSshServer, wait_until
from edge_runtime.model_file import read_model_file

ROOT = Path(__file__).parents[1]
MODEL = Path("runs/demo/parts.tflite")
PHASES = ("connect", "check", "upload", "install")
RULES = ("--canary", "1", "--wave", "10%", "--trial", "0")
TOO_SLOW = """case "$1 $2" in "store install") set -- "$@" --max-latency-ms 0.001;; esac"""
"""Has a device's own self-test find every model too slow."""
LONGEST_S = 3600


@dataclass(frozen=True)
class Run:
    """One flash of all devices."""

    devices: int
    wall_s: float
    workstation_cpu_s: float
    """Of the process `litelens flash`."""
    workstation_peak_bytes: int
    """The same process's memory, resident."""
    devices_cpu_s: float
    """Of sshd and of what it ran: what real devices and their radio do elsewhere."""
    phase_p50_s: dict[str, float]
    """The median device's time in each phase."""
    outcomes: dict[str, int]
    """How many devices ended how, in the words of the command."""
    stopped: str
    """Why not all were tried, or ""."""
    answering: int
    """On how many devices `current` leads to the version, looked at without litelens flash."""


class _Fleet:
    """A server, its devices, and the files that lead to them, in a folder of its own."""

    def __init__(self, folder: Path, devices: int, failing: int):
        self._home = folder / "workstation"
        self._home.mkdir()
        (folder / "sshd").mkdir()
        self.server = LocalSshServer(folder / "sshd", self._home)
        self.server.trust()
        self.file = folder / "fleet.toml"
        # Spread evenly, the canary not among them.
        slow = {int((number + 0.5) * devices / failing) for number in range(failing)} - {0}
        self.stores = [self._device(f"d{number + 1:04}", number in slow) for number in range(devices)]
        lines = [
            f'{store.parent.name} = {{address = "{store.parent.name}", store = "{store}"}}'
            for store in self.stores
        ]
        self.file.write_text("\n".join(["[devices]", *lines]) + "\n")

    @property
    def environment(self) -> dict[str, str]:
        """Of a process on the workstation."""
        own = {
            name: value
            for name, value in os.environ.items()
            if name not in ("SSH_AUTH_SOCK", "XDG_STATE_HOME")
        }
        return own | {"HOME": str(self._home), "PYTHONPATH": str(ROOT)}

    def _device(self, name: str, slow: bool) -> Path:
        device = self.server.device(name)
        program = f'export PYTHONPATH={ROOT}\nexec {sys.executable} -m litelens "$@"\n'
        device.program("litelens", "\n".join(["#!/bin/sh", TOO_SLOW if slow else "", program]))
        store = device.home / "store"
        store.mkdir()
        return store


def flash_many(model: Path, devices: int, failing: int) -> Run:
    """Makes devices, flashes all of them, and says what it took.

    Args:
        model: The model file.
        devices: How many.
        failing: How many of them find it too slow.
    """
    manifest = read_model_file(model).manifest
    with tempfile.TemporaryDirectory(prefix="litelens-fleet-") as folder:
        fleet = _Fleet(Path(folder), devices, failing)
        before_s = _children_cpu_s()
        try:
            command = [
                sys.executable,
                "-m",
                "litelens",
                "flash",
                model.absolute(),
                "--fleet",
                fleet.file,
                *RULES,
            ]
            flashed = _Flashed.of([*map(str, command), "--json"], fleet.environment)
        finally:
            wait_until(lambda: fleet.server.idle, "all connections have ended", LONGEST_S)
            fleet.server.stop()  # only now the time of what it ran is counted
        links = (store / manifest.name / "current" for store in fleet.stores)
        answering = sum(
            link.exists() and read_model_file(link).manifest.version == manifest.version for link in links
        )
    return Run(
        devices=devices,
        wall_s=flashed.wall_s,
        workstation_cpu_s=flashed.cpu_s,
        workstation_peak_bytes=flashed.peak_bytes,
        devices_cpu_s=_children_cpu_s() - before_s - flashed.cpu_s,
        phase_p50_s=flashed.phase_p50_s,
        outcomes=dict(Counter(device["outcome"] for device in flashed.answer["devices"])),
        stopped=flashed.answer["stopped"],
        answering=answering,
    )


@dataclass(frozen=True)
class _Flashed:
    """The command, ended."""

    wall_s: float
    cpu_s: float
    peak_bytes: int
    phase_p50_s: dict[str, float]
    answer: dict
    """What --json printed."""

    @classmethod
    def of(cls, command: list[str], environment: dict[str, str]) -> "_Flashed":
        """Runs it, and reads on its stderr when each device begins a phase and ends."""
        began_s, before_s = time.monotonic(), _children_cpu_s()
        entered: dict[str, list[tuple[str, float]]] = {}
        peak_bytes, said = 0, ""
        with tempfile.TemporaryFile("w+") as answer:
            process = subprocess.Popen(
                command, env=environment, stdout=answer, stderr=subprocess.PIPE, text=True
            )
            for line in process.stderr:
                device, _, phase = line.rstrip().partition(": ")
                entered.setdefault(device, []).append((phase, time.monotonic()))
                peak_bytes, said = _peak_bytes(process.pid) or peak_bytes, line
            process.stderr.close()
            process.wait(LONGEST_S)
            wall_s = time.monotonic() - began_s
            answer.seek(0)
            try:
                told = json.load(answer)
                told["devices"][0]["outcome"]
            except (ValueError, LookupError) as problem:
                raise click.ClickException(
                    f"litelens flash ended with {process.returncode}: {said}"
                ) from problem
        return cls(wall_s, _children_cpu_s() - before_s, peak_bytes, _medians_s(entered), told)


def _medians_s(entered: dict[str, list[tuple[str, float]]]) -> dict[str, float]:
    """Of each phase, from its beginning to that of the next, or to the outcome."""
    spans: dict[str, list[float]] = {phase: [] for phase in PHASES}
    for phases in entered.values():
        for (phase, began_s), (_, ended_s) in zip(phases, phases[1:], strict=False):
            if phase in spans:
                spans[phase].append(ended_s - began_s)
    return {phase: statistics.median(found) for phase, found in spans.items() if found}


def _children_cpu_s() -> float:
    """Of all processes that were waited for, and of those that they waited for."""
    usage = getrusage(RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def _peak_bytes(process: int) -> int:
    """0 for one that has ended."""
    # Not the ru_maxrss of its end: that is at least what this process had when it started the other.
    try:
        lines = Path(f"/proc/{process}/status").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:")), 0)


HEAD = (
    "devices",
    "wall s",
    "CPU s",
    "peak MB",
    "devices' CPU s",
    *(f"{phase} s" for phase in PHASES),
    "outcomes",
)


def _row(run: Run) -> str:
    outcomes = ", ".join(f"{count} {outcome}" for outcome, count in run.outcomes.items())
    phases = (f"{run.phase_p50_s.get(phase, 0):.2f}" for phase in PHASES)
    cells = (
        str(run.devices),
        f"{run.wall_s:.1f}",
        f"{run.workstation_cpu_s:.1f}",
        f"{run.workstation_peak_bytes / 1e6:.0f}",
        f"{run.devices_cpu_s:.0f}",
        *phases,
        outcomes + (f"; stopped: {run.stopped}" if run.stopped else ""),
    )
    return "  ".join(cell.rjust(len(head)) for head, cell in zip(HEAD, cells, strict=True))


class _Counts(click.ParamType):
    name = "counts"

    def convert(
        self, value: object, parameter: click.Parameter | None, context: click.Context | None
    ) -> object:
        words = str(value).split(",")
        if not all(word.isascii() and word.isdecimal() and 0 < int(word) <= 10_000 for word in words):
            self.fail(
                f"{value!r} is not whole numbers from 1 to 10000 with commas between them", parameter, context
            )
        return [int(word) for word in words]


@click.command()
@click.argument("model", type=click.Path(exists=True, path_type=Path), default=MODEL)
@click.option(
    "--devices", "counts", type=_Counts(), default="1,10,50,200", show_default=True, metavar="N,..."
)
@click.option(
    "--fail", "failing", type=click.IntRange(min=0), default=0, metavar="N", help="So many are too slow."
)
@click.option("--json", "json_path", type=click.Path(path_type=Path), metavar="FILE")
def main(model: Path, counts: list[int], failing: int, json_path: Path | None) -> None:
    """Flashes MODEL to each number of devices; prints a line each. [default: runs/demo/parts.tflite, of make demo]"""
    if SSHD is None:
        raise click.ClickException("no sshd here; Debian: sudo apt-get install openssh-server")
    began, runs = begin(), []
    click.echo(
        f"litelens flash {model.name} {' '.join(RULES)}, {os.cpu_count()} cores; phases: medians of a device"
    )
    click.echo("  ".join(HEAD))
    for count in counts:
        runs.append(flash_many(model, count, min(failing, count)))
        click.echo(_row(runs[-1]))
        if runs[-1].answering != runs[-1].outcomes.get("flashed", 0):
            raise click.ClickException(f"{runs[-1].answering} devices have the version, others were said to")
    if json_path:
        found = {"model": model.name, "size_bytes": model.stat().st_size, "rules": RULES, "failing": failing}
        write_result(json_path, "flash_many", began, found | {"runs": [asdict(run) for run in runs]})


if __name__ == "__main__":
    main()
