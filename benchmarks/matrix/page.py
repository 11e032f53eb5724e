"""A matrix as one page that needs no other file, no script and no network."""

from collections.abc import Iterable
from html import escape
from pathlib import Path
from string import Template

from benchmarks.card.contract import Machine
from benchmarks.matrix import table
from benchmarks.matrix.plot import COLOURS, NARROW, WIDE, Format, plot, size_legend
from benchmarks.matrix.results import Cell, Matrix

TEMPLATE = Path(__file__).with_name("matrix.html")


def page(matrix: Matrix, machine: Machine, created: str) -> str:
    """HTML; what is put in is escaped.

    Args:
        matrix: What was found.
        machine: Where.
        created: When, ISO 8601.
    """
    return Template(TEMPLATE.read_text(encoding="utf-8")).substitute(
        machine=escape(f"{machine.cpu}, {table.cores(machine)}"),
        warning=_warning(matrix.reasons),
        title=f"{'Accuracy' if matrix.has_accuracy else 'Size'} against latency",
        wide=_plot(matrix, WIDE),
        narrow=_plot(matrix, NARROW),
        legend=_legend(matrix),
        table=_table(matrix, machine),
        remarks=_items(table.remarks(matrix, machine)),
        how=_items(f"{name}: {text}" for name, text in table.conditions(matrix, machine).items()),
        version=escape(matrix.litelens),
        created=escape(created),
    )


def _warning(reasons: tuple[str, ...]) -> str:
    if not reasons:
        return ""
    return f'<div class="verdict"><strong>Too noisy to quote</strong><ul>{_items(reasons)}</ul></div>'


def _plot(matrix: Matrix, drawn: Format) -> str:
    sizes = f'<div class="legend">{size_legend(matrix, drawn)}</div>' if matrix.has_accuracy else ""
    return plot(matrix, drawn) + sizes


def _legend(matrix: Matrix) -> str:
    shown = dict.fromkeys(cell.interpreter for cell in matrix.cells if cell.latency)
    keys = [(COLOURS[name], escape(name)) for name in shown] + [("ring", "on the Pareto front")]
    return "".join(f'<span class="key"><span class="dot {kind}"></span>{text}</span>' for kind, text in keys)


def _table(matrix: Matrix, machine: Machine) -> str:
    names, *rows = table.cells(matrix, machine)
    head = "".join(f"<th{_side(name)}>{escape(name)}" for name in names)
    return f"<tr>{head}</tr>" + "".join(
        _row(cell, dict(zip(names, map(escape, texts), strict=True)))
        for cell, texts in zip(matrix.cells, rows, strict=True)
    )


def _row(cell: Cell, texts: dict[str, str]) -> str:
    """A row of the table.

    Args:
        cell: Which.
        texts: By their columns' names, escaped.
    """
    texts["model"] = f"<bdi>{texts['model']}</bdi>"  # a name in Arabic does not turn the words around it
    texts["interpreter"] = f'<span class="dot {COLOURS[cell.interpreter]}"></span>{texts["interpreter"]}'
    kind = "failed" if cell.problem else "on-front" if cell.on_front else "measured"
    return (
        f'<tr class="{kind}">' + "".join(f"<td{_side(name)}>{text}" for name, text in texts.items()) + "</tr>"
    )


def _side(column: str) -> str:
    return ' class="text"' if column in table.TEXTS else ""


def _items(lines: Iterable[str]) -> str:
    return "".join(f"<li>{escape(line)}" for line in lines)
