"""The verb `drift`, on a device and over a fleet; asyncssh is imported only for the latter."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from edge_runtime.cli import Skipped
from edge_runtime.errors import LitelensError
from edge_runtime.extras import extra
from edge_runtime.sinks.open_sink import default_state_folder
from edge_runtime.store.cli import telling
from edge_runtime.store.history import printable
from edge_runtime.store.names import check_name, is_safe
from fleet.drifting.answer import Answer, answer_here
from fleet.drifting.errors import DevicesNotCompared, Drifted
from fleet.drifting.others import beside_others
from fleet.drifting.report import Compared, table
from fleet.targets import Target, targets_of, targets_options

LONGEST_DAYS = 3650


@click.command()
@click.argument("model", metavar="NAME|NAME.tflite")
@targets_options
@click.option(
    "--state",
    type=click.Path(path_type=Path),
    metavar="FOLDER",
    help="Here: the folder of the loop's history.  [default: ~/.local/state/litelens]",
)
@click.option(
    "--data",
    type=click.Path(path_type=Path),
    metavar="PICTURES",
    help="Here: compare with a folder of pictures, instead of the validation split.",
)
@click.option(
    "--days",
    type=click.FloatRange(min=0, min_open=True, max=LONGEST_DAYS),
    default=7,
    show_default=True,
    metavar="N",
    help="Look at the last N days.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object, errors too.")
def drift(
    model: str,
    to: str | None,
    fleet: Path | None,
    state: Path | None,
    data: Path | None,
    days: float,
    as_json: bool,
) -> None:
    """Say which device sees other things than its model was validated on.

    Compares what the running loops have counted (litelens run --history) with the validation split: how sure the model
    is, and of what. With --to or --fleet of NAME in the devices' stores, else of the model file NAME.tflite here. Exit
    codes: 0 none has drifted, 1 a device could not be compared, 3 one has drifted.

    \b
    litelens drift parts --fleet fleet.toml
    litelens drift parts.tflite --state /var/lib/litelens
    """
    if to is None and fleet is None:
        _compare_here(model, state or default_state_folder(), data, days, as_json)
    elif state is None and data is None:
        _compare_devices(model, to, fleet, days, as_json)
    else:
        raise click.UsageError("--state and --data are for a model file here, without --to and --fleet")


def _compare_here(model: str, state: Path, data: Path | None, days: float, as_json: bool) -> None:
    if is_safe(model) and not Path(model).exists():
        raise click.UsageError(
            f"{model} is no file here; for devices' models of that name add --to or --fleet"
        )
    with telling(as_json):
        skipped = Skipped()
        answer = answer_here(Path(model), state, days, data, skipped)
        skipped.sum_up()
    here = [Compared("this device", answer)]
    click.echo(json.dumps(answer.to_dict()) if as_json else "\n".join(table(here)))
    _check(here, {})


def _compare_devices(name: str, to: str | None, fleet: Path | None, days: float, as_json: bool) -> None:
    with telling(as_json):
        check_name("model", name)
        answered = _ask(targets_of(to, fleet), name, days)
    problems = {target: came for target, came in answered.items() if isinstance(came, LitelensError)}
    answers = {target: came for target, came in answered.items() if isinstance(came, Answer)}
    others = beside_others(list(answers.values()))
    compared = [
        Compared(target.name, answer, beside)
        for (target, answer), beside in zip(answers.items(), others, strict=True)
    ]
    if as_json:
        click.echo(json.dumps(_facts(name, days, compared, answers, problems)))
    else:
        silent = [(target.name, printable(str(problem))) for target, problem in problems.items()]
        click.echo("\n".join(table(compared, silent)))
    _check(compared, problems)


def _ask(targets: Sequence[Target], name: str, days: float) -> dict[Target, Answer | LitelensError]:
    """The devices' answers, in the order of `targets`."""
    with extra("fleet", "litelens drift --to and --fleet"):
        from fleet.drifting.asking import ask_each
    return ask_each(targets, name, days)


def _facts(
    name: str,
    days: float,
    compared: Sequence[Compared],
    answers: dict[Target, Answer],
    problems: dict[Target, LitelensError],
) -> dict[str, Any]:
    devices = []
    for (target, answer), device in zip(answers.items(), compared, strict=True):
        others = device.others and {"shift": device.others.shift, "less_sure": device.others.less_sure}
        facts = {"device": target.name, "address": target.address, "error": None, **answer.to_dict()}
        devices.append(facts | {"others": others, "drifted": device.drifted})
    for target, problem in problems.items():
        error = {"kind": type(problem).__name__, "message": str(problem), "hint": problem.hint}
        devices.append({"device": target.name, "address": target.address, "error": error})
    drifted = [device.name for device in compared if device.drifted]
    return {"model": name, "days": days, "drifted": drifted, "devices": devices}


def _check(compared: Sequence[Compared], problems: dict[Target, LitelensError]) -> None:
    """Ends the command with an error where a device has drifted or could not be compared.

    Raises:
        Drifted: If one has.
        LitelensError: The only problem; or DevicesNotCompared.
    """
    if drifted := [device.name for device in compared if device.drifted]:
        silent = f"; {len(problems)} could not be compared" if problems else ""
        have = "have" if len(drifted) > 1 else "has"
        raise Drifted(
            f"{', '.join(drifted)} {have} drifted: the model is less sure than expected{silent}",
            "look at the camera (light, lens, place) and at the frames: litelens pull brings hard examples to train on",
        )
    if len(problems) == 1:
        raise next(iter(problems.values()))
    if problems:
        names = ", ".join(target.name for target in problems)
        raise DevicesNotCompared(
            f"{len(problems)} of {len(problems) + len(compared)} devices could not be compared: {names}",
            f"--to {next(iter(problems)).name} says more of that one",
        )
