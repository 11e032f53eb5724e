"""What is shown while it goes on, and what is printed at the end."""

import asyncio
import io
from pathlib import Path

import pytest
from rich.console import Console

from fleet.flashing import progress as phases
from fleet.flashing.flash import Flash
from fleet.flashing.progress import Outcome, Progress
from fleet.flashing.results import exit_code, lines, to_dict
from fleet.flashing.table import Lines, LiveTable
from fleet.targets import Target

FLASH = Flash(Path("tiny.tflite"), "tiny", "2", "ab", 1_000, 60.0, None, "", "me", False)


def row(
    name: str, *entered: str, outcome: Outcome | None = None, sent: int = 0, before: str | None = None
) -> Progress:
    made = Progress(Target(name, f"pi@{name}"), lambda changed: None)
    for phase in entered:
        made.enter(phase)
    made.sent_bytes, made.from_version = sent, before
    if outcome:
        made.end(outcome)
    return made


def shown(rows, height: int = 24) -> str:
    """The screen with the table on it."""
    screen = io.StringIO()
    console = Console(
        file=screen, width=100, height=height, force_terminal=True, color_system=None, markup=False
    )
    with LiveTable(rows, FLASH, console):
        pass
    return screen.getvalue()


def test_the_table_says_where_each_device_is():
    said = shown(
        [
            row("garden", phases.CONNECT, phases.UPLOAD, sent=251, before="1"),
            row("gate", phases.WATCH, outcome=Outcome(phases.FLASHED)),
            row("shed", phases.INSTALL, outcome=Outcome(phases.FAILED, "[bold]no[/bold] room", "make room")),
            row("roof"),
        ]
    )
    for words in (
        "garden",
        "upload 25 %",
        "1 -> 2",
        "flashed",
        "failed in install",
        "[bold]no[/bold] room",
        "waiting",
    ):
        assert words in said
    assert "tiny 2: 1 upload, 1 flashed, 1 failed, 1 waiting" in said


def test_on_a_small_screen_it_shows_who_failed_and_who_is_at_work():
    rows = [row(f"waits{number}") for number in range(50)]
    rows += [row(f"done{number}", phases.WATCH, outcome=Outcome(phases.FLASHED)) for number in range(50)]
    rows += [
        row("works", phases.INSTALL),
        row("broken", phases.CHECK, outcome=Outcome(phases.FAILED, "no", "?")),
    ]
    said = shown(rows, height=10)
    assert "works" in said and "broken" in said and "waits1" not in said and "done1" not in said
    assert "50 waiting, 50 flashed, 1 install, 1 failed (2 of 102 shown)" in said


def test_a_question_has_the_screen_to_itself(monkeypatch):
    """Two are asked at once: the table comes back after the last answer."""
    screen = io.StringIO()
    console = Console(file=screen, width=100, height=24, force_terminal=True, color_system=None)
    table = LiveTable([row("garden")], FLASH, console)
    running = []

    async def answer(terminal, question, secret=False):
        running.append(table._live.is_started)
        await asyncio.sleep(0)
        return "yes"

    monkeypatch.setattr("fleet.terminal.Terminal.ask", answer)

    async def both():
        return await asyncio.gather(table.terminal.ask("one?"), table.terminal.ask("two?"))

    with table:
        assert asyncio.run(both()) == ["yes", "yes"]
        assert running == [False, False] and table._live.is_started


def test_a_log_has_a_line_a_change(capsys):
    log = Lines(FLASH)
    with log:
        log.changed(row("garden", phases.CHECK))
        log.changed(row("garden", phases.CHECK, outcome=Outcome(phases.FAILED, "full", "make room")))
    assert capsys.readouterr().err == "garden: check\ngarden: failed in check: full\n"


def test_the_results():
    rows = [
        row("garden", phases.WATCH, outcome=Outcome(phases.FLASHED), before="1"),
        row("shed", phases.CHECK, outcome=Outcome(phases.FAILED, "no room", "make room"), before="1"),
        row("roof", outcome=Outcome(phases.NOT_TRIED)),
    ]
    said = list(lines(rows, FLASH, "1 of 2 devices failed, more than 10%"))
    assert said == [
        "device  outcome          version  seconds",
        "garden  flashed          1 -> 2   0.0",
        "shed    failed in check  1 -> 2   0.0      no room",
        "  hint: make room",
        "roof    not tried        2",
        "tiny 2: 1 flashed, 1 failed, 1 not tried",
        "stopped: 1 of 2 devices failed, more than 10%",
    ]
    told = to_dict(rows, FLASH, "")
    assert told["devices"][1] == {
        **{"device": "shed", "address": "pi@shed", "outcome": "failed", "phase": "check", "from": "1"},
        **{"note": "no room", "hint": "make room", "gate": False, "seconds": 0.0},
    }


FINE, GATE = Outcome(phases.FLASHED), Outcome(phases.FAILED, "wrong answers", "", gate=True)
OTHER, LEFT = Outcome(phases.FAILED, "no route", ""), Outcome(phases.NOT_TRIED)


@pytest.mark.parametrize(
    "outcomes, code",
    [
        ([FINE, Outcome(phases.ALREADY)], 0),
        ([Outcome(phases.WOULD_FLASH)], 0),
        ([Outcome(phases.REFUSED, "full", "")], 1),
        ([FINE, GATE], 3),
        ([GATE, LEFT], 3),
        ([GATE, OTHER], 1),
        ([OTHER], 1),
        ([GATE, Outcome(phases.INTERRUPTED)], 1),
        ([LEFT], 1),
    ],
)
def test_exit_codes(outcomes, code):
    assert (
        exit_code([row(str(number), phases.CHECK, outcome=each) for number, each in enumerate(outcomes)])
        == code
    )
