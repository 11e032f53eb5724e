"""The verb `flash`."""

import asyncio
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from edge_runtime.errors import WriteError
from edge_runtime.extras import extra
from edge_runtime.store.cli import telling
from fleet.flashing.waves import Amount, AmountType
from fleet.targets import Target, targets_of, targets_options

if TYPE_CHECKING:
    from fleet.flashing.flash import Flash
    from fleet.flashing.progress import Progress
    from fleet.flashing.rollout import Rules


@click.command()
@click.argument("file", metavar="NAME.tflite", type=click.Path(path_type=Path))
@targets_options
@click.option(
    "--trial",
    "trial_s",
    type=click.FloatRange(min=0, max=86_400),
    default=60.0,
    show_default=True,
    metavar="S",
    help="Each device goes back by itself unless its running loop is healthy with it for S seconds; 0: no trial.",
)
@click.option(
    "--max-latency-ms",
    type=click.FloatRange(min=0, min_open=True),
    metavar="MS",
    help="Have a device refuse it if more than 1 of 100 frames of 640x480 takes longer there.",
)
@click.option("--dry-run", is_flag=True, help="Connect, check and say what would happen; send nothing.")
@click.option(
    "--canary",
    type=click.IntRange(min=0),
    default=0,
    metavar="N",
    help="The first N devices first; all of them must succeed.",
)
@click.option(
    "--wave", type=AmountType(least=1), metavar="N|P%", help="Then so many at a time.  [default: all]"
)
@click.option(
    "--max-failures",
    type=AmountType(least=0),
    default="10%",
    show_default=True,
    metavar="N|P%",
    help="Begin no further wave once more have failed, of those that were tried.",
)
@click.option("--why", default="", metavar="TEXT", help="For the history, there and here.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object, errors too.")
def flash(
    file: Path,
    to: str | None,
    fleet: Path | None,
    trial_s: float,
    max_latency_ms: float | None,
    dry_run: bool,
    canary: int,
    wave: Amount | None,
    max_failures: Amount,
    why: str,
    as_json: bool,
) -> None:
    """Bring a model file to devices, which try it themselves and go back by themselves if it does not work.

    A device is checked before a byte is sent. It replays the self-test, switches, and keeps the version only if its
    running litelens run is healthy with it. Exit codes: 0 all have it; 3 what failed failed the self-test or
    the trial; 1 anything else failed, or devices were not tried.

    \b
    litelens flash parts.tflite --to pi@garden.local --trial 30
    litelens flash parts.tflite --fleet fleet.toml --canary 1 --wave 10%
    """
    with telling(as_json):
        targets = targets_of(to, fleet)
        with extra("fleet", "litelens flash"):
            from fleet.flashing.flash import Flash
            from fleet.flashing.results import exit_code, lines, to_dict
            from fleet.flashing.rollout import Rules
        job = Flash.of(file, trial_s=trial_s, max_latency_ms=max_latency_ms, why=why, dry_run=dry_run)
        rows, stopped = _flash(targets, job, Rules(canary, wave, max_failures))
    results = [json.dumps(to_dict(rows, job, stopped))] if as_json else lines(rows, job, stopped)
    click.echo("\n".join(results))
    sys.exit(exit_code(rows))


def _flash(targets: Sequence[Target], job: "Flash", rules: "Rules") -> tuple[list["Progress"], str]:
    """The devices with their outcomes, and why not all of them were tried, or ""."""
    from fleet.flashing.progress import NOT_TRIED, WAITING, Outcome, Progress
    from fleet.flashing.results import entry
    from fleet.flashing.rollout import roll_out
    from fleet.flashing.table import Lines, LiveTable
    from fleet.history import append

    unwritten: list[WriteError] = []

    def changed(row: Progress) -> None:
        display.changed(row)
        if row.outcome and row.phase != WAITING and not job.dry_run:
            try:
                append(entry(row, job))
            except WriteError as problem:
                unwritten.append(problem)

    rows = [Progress(target, changed) for target in targets]
    display = LiveTable(rows, job) if sys.stderr.isatty() else Lines(job)
    with display:
        try:
            stopped = asyncio.run(roll_out(rows, job, rules, display.terminal))
        except KeyboardInterrupt:
            stopped = "by Ctrl-C"
            for row in rows:
                if row.outcome is None:
                    row.end(Outcome(NOT_TRIED))
    for problem in unwritten[:1]:
        click.echo(f"warning: {problem}; {problem.hint}", err=True)
    return rows, stopped
