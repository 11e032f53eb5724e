"""The verb `doctor`."""

import json
from dataclasses import asdict
from pathlib import Path

import click

from edge_runtime.errors import LitelensError
from litelens.doctor.cameras import check_cameras, check_picamera2, check_video_group
from litelens.doctor.check import Check, Machine
from litelens.doctor.edge_tpu import check_edge_tpu
from litelens.doctor.hardware import check_clock, check_disk, check_memory, check_power, check_temperature
from litelens.doctor.software import (
    MODEL,
    ask_python,
    check_answers,
    check_extras,
    check_interpreter,
    check_numpy,
    check_python,
    check_xnnpack,
    try_model,
)

_COLOURS = {"ok": "green", "warn": "yellow", "fail": "red"}


class MachineUnfit(LitelensError):
    """A check failed: litelens does not run here as it is."""


@click.command()
@click.argument("model", metavar="[NAME.tflite]", required=False, type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def doctor(model: Path | None, as_json: bool) -> None:
    """Say what is wrong with this machine, and how to mend it.

    One line a check: ok, warn (some cameras or models suffer) or fail, and the fix below it. With a model file, it
    is that one whose self-test is replayed. Exit code 1 if a check failed.
    """
    checks = examine(Machine(), model or MODEL)
    failed = [check for check in checks if check.verdict == "fail"]
    if as_json:
        click.echo(json.dumps({"passed": not failed, "checks": [asdict(check) for check in checks]}))
    else:
        for check in checks:
            click.echo("\n".join(_lines(check)))
    if failed:
        raise MachineUnfit(f"failed: {', '.join(check.name for check in failed)}", failed[0].fix)


def examine(machine: Machine, model: Path) -> list[Check]:
    """All checks, in the order in which a person should mend what they find.

    Args:
        machine: The machine to look at.
        model: The model file whose self-test is replayed.
    """
    python = ask_python(machine)
    checks = [check_python(python)]
    if not isinstance(python, str):
        tried = try_model(machine, model)
        checks += [
            check_numpy(python),
            check_interpreter(python),
            check_answers(tried, python),
            check_xnnpack(tried, python),
            check_extras(python),
            check_picamera2(machine, python),
        ]
    return checks + [
        check_cameras(machine),
        check_video_group(machine),
        check_edge_tpu(machine),
        check_temperature(machine),
        check_power(machine),
        check_memory(machine),
        check_disk(machine),
        check_clock(machine),
    ]


def _lines(check: Check) -> list[str]:
    line = f"{click.style(f'{check.verdict:4}', fg=_COLOURS[check.verdict])}  {check.name:11}  {check.found}"
    return [line] + ([f"{'':19}fix: {check.fix}"] if check.fix else [])
