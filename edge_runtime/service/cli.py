"""The verb `service`: a camera that starts with the machine and runs for months."""

import os
import re
import shlex
import sys
from pathlib import Path

import click

from edge_runtime.service.plan import plan
from edge_runtime.service.systemd import last_error, properties, require_systemd, systemctl
from edge_runtime.service.unit import MARK, UNITS, ServiceError
from edge_runtime.whole_file import write_whole

_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,20}", re.ASCII)


def _unit_name(context: click.Context, parameter: click.Parameter, name: str | None) -> str:
    """litelens, or litelens-NAME: so that no name is another program's service."""
    if name is None:
        return "litelens"
    if not _NAME.fullmatch(name):
        raise click.BadParameter(f"{name!r} is not 1 to 21 small letters, digits and hyphens")
    return f"litelens-{name}"


_name = click.option(
    "--name",
    "unit",
    metavar="NAME",
    callback=_unit_name,
    help="One of several cameras: its service is litelens-NAME. [default: the service litelens]",
)


@click.group()
def service() -> None:
    """Run a camera as a systemd service: from boot on, watched and restarted."""


@service.command()
@click.argument("model", metavar="NAME.tflite", type=click.Path(path_type=Path))
@click.argument("arguments", metavar="-- RUN ARGUMENTS", nargs=-1, required=True)
@_name
@click.option(
    "--user",
    metavar="USER",
    help="Run as this user, whose the saved pictures then are. [default: one that systemd makes for the service]",
)
@click.option("--print", "only_print", is_flag=True, help="Print the unit and change nothing.")
@click.pass_context
def install(
    context: click.Context,
    model: Path,
    arguments: tuple[str, ...],
    unit: str,
    user: str | None,
    only_print: bool,
) -> None:
    """Install the service, start it, and wait until it runs.

    What follows -- goes to litelens run; unless it says otherwise, the log has a line an event. Relative paths in
    it are below /var/lib/litelens (litelens-NAME), the only folder that the service may write to. Installing again
    replaces it.

    \b
    litelens service install /srv/litelens/parts.tflite -- --camera 0
    """
    if not only_print:
        require_systemd()
        _require_root()
    run = context.find_root().command.get_command(context, "run")
    text = plan(run, unit, model, arguments, user).text()
    if only_print:
        click.echo(text, nl=False)
        return
    path = _our_file(unit)
    write_whole(path, text.encode())
    systemctl("daemon-reload")
    systemctl("enable", unit)
    _start(unit)
    click.echo(f"{unit}.service runs, now and after every boot ({path}); its state is in /var/lib/{unit}")
    click.echo(f"next: {_verb('status', unit)}, {_verb('logs', unit)}")


@service.command()
@_name
def status(unit: str) -> None:
    """Say how the service does; exit code 1 unless it runs."""
    require_systemd()
    found = _installed(unit)
    rows = {
        "service": f"{unit}.service",
        "state": f"{found['ActiveState']} ({found['SubState']})",
        "since": found["StateChangeTimestamp"] or "the boot",
        "says": found["StatusText"] or "nothing",
        "restarts": f"{found['NRestarts']} since it was installed or the machine started",
        "at boot": found["UnitFileState"],
    }
    for name, value in rows.items():
        click.echo(f"{name:8}  {value}")
    if found["ActiveState"] not in ("active", "reloading"):
        raise ServiceError(
            f"{unit}.service does not run: it is {found['ActiveState']}, the last result was {found['Result']}",
            f"read its log: {_verb('logs', unit)}",
        )


@service.command()
@_name
@click.option("-f", "--follow", is_flag=True, help="Go on with what comes; Ctrl-C ends it.")
@click.option(
    "-n",
    "--lines",
    type=click.IntRange(min=1),
    default=50,
    show_default=True,
    metavar="N",
    help="The last N lines.",
)
def logs(unit: str, follow: bool, lines: int) -> None:
    """Print what the service said."""
    require_systemd()
    _installed(unit)
    command = ["journalctl", f"--unit={unit}", f"--lines={lines}", "--no-pager", "--no-hostname"]
    sys.stdout.flush()
    os.execvp(command[0], command + (["--follow"] if follow else []))


@service.command()
@_name
def remove(unit: str) -> None:
    """Stop the service and remove it; what it saved stays."""
    require_systemd()
    _require_root()
    path = _our_file(unit)
    if not path.exists():
        click.echo(f"{unit}.service is not installed")
        return
    systemctl("disable", "--now", unit)
    path.unlink()
    systemctl("daemon-reload")
    click.echo(f"{unit}.service is removed; what it saved stays in /var/lib/{unit}")


def _start(unit: str) -> None:
    """Starts the service, or starts it again, and waits until it is ready."""
    try:
        systemctl("restart", unit)
    except ServiceError as problem:
        raise ServiceError(
            f"{unit}.service is installed and does not start: {last_error(unit) or problem}",
            f"mend it and install it again; its log: {_verb('logs', unit)}",
        ) from problem


def _our_file(unit: str) -> Path:
    """Where the unit is written; refuses one that somebody else wrote."""
    path = UNITS / f"{unit}.service"
    if path.exists() and not path.read_text(errors="replace").startswith(MARK):
        raise ServiceError(
            f"{path} was not written by litelens", "choose another --name, or remove it yourself"
        )
    return path


def _require_root() -> None:
    if os.geteuid():
        # sudo's PATH has no virtual environment in it.
        command = shlex.join([sys.executable, "-m", "litelens", *sys.argv[1:]])
        raise ServiceError(
            f"a service is installed and removed by root, not by user {os.geteuid()}", f"sudo {command}"
        )


def _installed(unit: str) -> dict[str, str]:
    names = ("LoadState", "ActiveState", "SubState", "StateChangeTimestamp", "StatusText", "NRestarts")
    found = properties(unit, *names, "UnitFileState", "Result")
    if found["LoadState"] == "not-found":
        raise ServiceError(
            f"{unit}.service is not installed", "litelens service install NAME.tflite -- --camera 0"
        )
    return found


def _verb(verb: str, unit: str) -> str:
    name = unit.removeprefix("litelens").removeprefix("-")
    return f"litelens service {verb}" + (f" --name {name}" if name else "")
