"""A matrix as text for people."""

from collections.abc import Iterator

from benchmarks.card.contract import Machine
from benchmarks.matrix.results import Cell, Matrix, Ratio

COLUMNS = (
    "#",
    "model",
    "interpreter",
    "threads",
    "p50 ms",
    "p90",
    "spread",
    "ratio [95 %]",
    "top-1",
    "agreement",
    "bytes",
    "weights",
    "input px",
    "front",
)
TEXTS = ("model", "interpreter", "ratio [95 %]", "front")
"""Columns that begin at the left."""
OF_PICTURES = ("top-1", "agreement")
"""Columns that are left out without pictures."""
CROWDED_MARK, FRONT_MARK, NONE = "!", "*", "-"


def table(matrix: Matrix, machine: Machine) -> str:
    """One line a cell, what it was measured on above, what could not be measured below."""
    names, *rows = cells(matrix, machine)
    widths = [max(map(len, column)) for column in zip(names, *rows, strict=True)]
    lines = [
        "  ".join(
            text.ljust(width) if name in TEXTS else text.rjust(width)
            for name, text, width in zip(names, line, widths, strict=True)
        ).rstrip()
        for line in (names, *rows)
    ]
    above = [f"{name:14}{text}" for name, text in conditions(matrix, machine).items()]
    return "\n".join([*warning(matrix), *above, "", *lines, "", *remarks(matrix, machine)])


def cells(matrix: Matrix, machine: Machine) -> list[list[str]]:
    """The names of the columns, and a row a cell."""
    without = () if matrix.has_accuracy else OF_PICTURES
    kept = [number for number, name in enumerate(COLUMNS) if name not in without]
    rows = [COLUMNS, *(_row(matrix, cell, machine) for cell in matrix.cells)]
    return [[row[number] for number in kept] for row in rows]


def warning(matrix: Matrix) -> Iterator[str]:
    """Why the times may not be quoted."""
    if matrix.reasons:
        yield "Too noisy to quote:"
        yield from (f"  {reason}" for reason in matrix.reasons)
        yield ""


def conditions(matrix: Matrix, machine: Machine) -> dict[str, str]:
    """What it was measured on, and how; by name."""
    versions = ", ".join(f"{one.name} {one.version}" for one in matrix.interpreters if one.version)
    found = {
        "machine": f"{machine.cpu}, {machine.architecture}, {cores(machine)}",
        "system": f"{machine.os}, Python {machine.python}",
        "interpreters": versions,
        "times": f"of a {matrix.frame_width_px}x{matrix.frame_height_px} frame from pixels to predictions, "
        f"in {matrix.rounds} rounds of {matrix.round_s:g} s a cell",
    }
    if accuracy := next((cell.accuracy for cell in matrix.cells if cell.accuracy), None):
        skipped = f", {len(accuracy.skipped)} more could not be read" if accuracy.skipped else ""
        where = "/".join(filter(None, (accuracy.data, accuracy.split)))
        found["pictures"] = f"{accuracy.pictures} of {where}{skipped}"
    return found


def _row(matrix: Matrix, cell: Cell, machine: Machine) -> tuple[str, ...]:
    """The texts of COLUMNS."""
    model = next(model for model in matrix.models if model.name == cell.model)
    height, width = model.input_height_px, model.input_width_px
    latency = cell.latency
    return (
        str(cell.number),
        cell.model,
        cell.interpreter,
        f"{cell.threads}{CROWDED_MARK if cell.threads > machine.cores else ''}",
        f"{latency.whole.p50_ms:.2f}" if latency else "failed",
        f"{latency.whole.p90_ms:.2f}" if latency else NONE,
        f"{latency.spread:.1%}" if latency else NONE,
        _ratio(latency.ratio) if latency else NONE,
        f"{cell.accuracy.top1:.2%}" if cell.accuracy else NONE,
        f"{cell.agreement:.2%}" if cell.agreement is not None else NONE,
        str(model.size_bytes),
        model.weights_dtype,
        f"{width}x{height}",
        FRONT_MARK if cell.on_front else "",
    )


def _ratio(ratio: Ratio) -> str:
    """ "1.76 [1.70, 1.81]"."""
    interval = "" if ratio.low is None or ratio.low == ratio.high else f" [{ratio.low:.2f}, {ratio.high:.2f}]"
    return f"{ratio.median:.2f}{interval}"


def remarks(matrix: Matrix, machine: Machine) -> Iterator[str]:
    """What the marks mean, and what failed and why."""
    measures = "latency, accuracy and size" if matrix.has_accuracy else "latency and size"
    yield f"{FRONT_MARK} on the Pareto front of {measures}: no other cell is better beyond the rounds' chance"
    yield "spread: of the rounds' medians, largest less smallest; ratio: to the first cell measured, within each round"
    if any(cell.threads > machine.cores for cell in matrix.cells):
        yield f"{CROWDED_MARK} more threads than the {cores(machine)} here"
    for cell in matrix.cells:
        if cell.problem:
            yield f"{cell.number} failed: {cell.problem}"
            yield f"  hint: {cell.hint}"
    for interpreter in matrix.interpreters:
        if interpreter.install:
            yield f"{interpreter.name} is not installed: {interpreter.install}"
    yield from matrix.notes


def cores(machine: Machine) -> str:
    return f"{machine.cores} core{'s' if machine.cores > 1 else ''}"
