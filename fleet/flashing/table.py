"""Shows on stderr how far a flash is: a live table on a terminal, else a line a change."""

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Self

import click
from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from fleet.flashing.flash import Flash
from fleet.flashing.progress import UPLOAD, WAITING, Progress
from fleet.flashing.results import ending, versions
from fleet.terminal import Terminal

_AROUND = 4
"""Lines of the screen that the table leaves to its head, the sum below, and the prompt."""


class Lines:
    """For a log."""

    def __init__(self, flash: Flash):
        self.terminal = Terminal()
        self._flash = flash

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        pass

    def changed(self, row: Progress) -> None:
        note = f": {row.outcome.note}" if row.outcome and row.outcome.note else ""
        click.echo(f"{row.target.name}: {_phase(row)}{note}", err=True)


class LiveTable:
    """For a person; gone in the end, when the results are printed."""

    def __init__(self, rows: Sequence[Progress], flash: Flash, console: Console | None = None):
        """Takes what is shown, and where: None is stderr."""
        self.terminal = _Pausing(self)
        self._rows, self._flash = rows, flash
        self._console = console or Console(stderr=True, markup=False, highlight=False, emoji=False)
        self._asking = 0
        self._live = Live(
            get_renderable=self._picture,
            console=self._console,
            refresh_per_second=4,
            transient=True,
            redirect_stdout=False,
            redirect_stderr=False,
        )

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._live.stop()

    def changed(self, row: Progress) -> None:
        """Nothing: it is drawn anew all the time."""

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Gives the screen to a question."""
        self._asking += 1
        self._live.stop()
        try:
            yield
        finally:
            self._asking -= 1
            if not self._asking:
                self._live.start()

    def _picture(self) -> Group:
        table = Table(box=None, pad_edge=False, expand=False)
        for name in ("device", "phase", "version", "seconds"):
            table.add_column(name, no_wrap=True, justify="right" if name == "seconds" else "left")
        table.add_column("", no_wrap=True, overflow="ellipsis")
        shown = self._shown()
        for row in shown:
            note = row.outcome.note if row.outcome else ""
            phase = _phase(row)
            if phase == UPLOAD:
                phase = f"{UPLOAD} {100 * row.sent_bytes // self._flash.size_bytes} %"
            cells = (
                row.target.name,
                phase,
                versions(row, self._flash),
                f"{row.seconds:.0f}",
                note,
            )
            table.add_row(*(Text(cell, style=_style(row)) for cell in cells))
        counts = Counter(row.outcome.what if row.outcome else row.phase for row in self._rows)
        said = ", ".join(f"{count} {what}" for what, count in counts.items())
        hidden = "" if len(shown) == len(self._rows) else f" ({len(shown)} of {len(self._rows)} shown)"
        return Group(table, Text(f"{self._flash.name} {self._flash.version}: {said}{hidden}"))

    def _shown(self) -> list[Progress]:
        """All; where the screen is too small, those that failed, then those at work, in their order."""
        room = max(1, self._console.size.height - _AROUND)
        if len(self._rows) <= room:
            return list(self._rows)
        failed = [row for row in self._rows if row.outcome and row.outcome.failed]
        at_work = [row for row in self._rows if row.outcome is None and row.phase != WAITING]
        chosen = {id(row) for row in [*failed, *at_work][:room]}
        return [row for row in self._rows if id(row) in chosen]


class _Pausing(Terminal):
    """A terminal on which the table makes room for a question."""

    def __init__(self, table: LiveTable):
        super().__init__()
        self._table = table

    async def ask(self, question: str, secret: bool = False) -> str:
        with self._table.paused():
            return await super().ask(question, secret)


def _phase(row: Progress) -> str:
    return ending(row) if row.outcome else row.phase


def _style(row: Progress) -> str:
    if row.outcome is None:
        return ""
    return "red" if row.outcome.failed else "green"
