"""The plot of a matrix: accuracy against latency, the area of a bubble the file's size."""

import math
from dataclasses import dataclass
from html import escape

from benchmarks.card.charts import ticks
from benchmarks.card.facts import KIB, MIB, number
from benchmarks.matrix.cell import threads_text
from benchmarks.matrix.interpreters import INTERPRETERS
from benchmarks.matrix.labels import Bubble, Field, Label, place
from benchmarks.matrix.results import Cell, Matrix

COLOURS = dict(zip(INTERPRETERS, ("first", "second", "third"), strict=True))
"""Classes of the page's style."""
FAR_APART = 8
"""Slowest cell by fastest; above it the fast ones would stick together on an axis that is not logarithmic."""
SMALLEST_PX = 3
"""Radius of a bubble that would be too small to be seen."""
LEFT_PX, RIGHT_PX, TOP_PX, BOTTOM_PX = 52, 12, 26, 44
"""Around the field of the bubbles: numbers and names of the axes."""


@dataclass(frozen=True)
class Format:
    """A size to draw a plot in. It is shown as it is: a large one made small could not be read."""

    width_px: int
    height_px: int
    largest_px: float
    """Radius of the largest file's bubble."""
    ticks: int
    """Of the latency, at most."""

    @property
    def field(self) -> Field:
        return Field(LEFT_PX, TOP_PX, self.width_px - RIGHT_PX, self.height_px - BOTTOM_PX)


WIDE, NARROW = Format(880, 460, 26, 9), Format(358, 400, 18, 5)
"""What a desktop's page has room for, and a phone's of 390 px."""


@dataclass(frozen=True)
class Axis:
    """From values to px."""

    low: float
    high: float
    """Above `low`."""
    start_px: float
    """Where `low` is."""
    end_px: float
    logarithmic: bool

    @classmethod
    def of(
        cls, values: list[float], start_px: float, end_px: float, *, room_px: float, least: float, far: float
    ) -> "Axis":
        """An axis that shows all values.

        Args:
            values: At least one.
            start_px: Where it begins.
            end_px: Where it ends.
            room_px: Left free at both ends.
            least: Values that are not as far apart are not drawn apart any further.
            far: It is logarithmic if the largest value is so many times the smallest.
        """
        logarithmic = max(values) > far * min(values)
        bend, back = (math.log, math.exp) if logarithmic else (float, float)
        low, high = bend(min(values)), bend(max(values))
        if not logarithmic and high - low < least:
            low, high = (low + high - least) / 2, (low + high + least) / 2
        more = (high - low) * room_px / (abs(end_px - start_px) - 2 * room_px)
        return cls(back(low - more), back(high + more), start_px, end_px, logarithmic)

    def __call__(self, value: float) -> float:
        bend = math.log if self.logarithmic else float
        share = (bend(value) - bend(self.low)) / (bend(self.high) - bend(self.low))
        return self.start_px + share * (self.end_px - self.start_px)

    def ticks(self, most: int) -> list[tuple[float, str]]:
        """At most so many round values, and how they are written."""
        found = self._decades(most) if self.logarithmic else []
        return found if len(found) > 1 else list(ticks(self.low, self.high, most - 1))

    def _decades(self, most: int) -> list[tuple[float, str]]:
        """Powers of ten, and 2 and 5 times or 3 times these, as there is room."""
        powers = range(math.floor(math.log10(self.low)), math.ceil(math.log10(self.high)) + 1)
        for factors in ((1, 2, 5), (1, 3), (1,)):
            values = [factor * 10.0**power for power in powers for factor in factors]
            values = [value for value in values if self.low <= value <= self.high]
            if len(values) <= most:
                return [(value, f"{value:,.10g}") for value in values]
        return []


def plot(matrix: Matrix, drawn: Format) -> str:
    """SVG of all cells that were measured; without accuracy the size itself is the other axis."""
    judged = matrix.has_accuracy
    shown = [cell for cell in matrix.cells if (cell.accuracy if judged else cell.latency)]
    sizes = {model.name: model.size_bytes for model in matrix.models}
    times_ms = [cell.latency.whole.p50_ms for cell in shown]
    heights = [cell.accuracy.top1 * 100 if judged else sizes[cell.model] / MIB for cell in shown]
    field, room_px = drawn.field, drawn.largest_px + 4
    across = Axis.of(
        times_ms, field.left, field.right, room_px=room_px, least=max(times_ms) / 25, far=FAR_APART
    )
    up = Axis.of(
        heights, field.bottom, field.top, room_px=room_px, least=1.0 if judged else 0.1, far=math.inf
    )
    bubbles = [
        Bubble(across(time_ms), up(height), _radius(sizes[cell.model], matrix, drawn), cell.number)
        for cell, time_ms, height in zip(shown, times_ms, heights, strict=True)
    ]
    name = "top-1, %" if judged else "file size, MiB"
    # Small ones last, so that none lies hidden under a larger one; of equal ones those on the front.
    pairs = sorted(zip(shown, bubbles, strict=True), key=lambda pair: (-pair[1].radius, pair[0].on_front))
    labels = place(bubbles, field)
    parts = [
        *_axes(across, up, name, drawn),
        *(_circle(cell, bubble, sizes[cell.model]) for cell, bubble in pairs),
        *map(_leader, bubbles, labels),
        *map(_number, bubbles, labels),
    ]
    said = f"{name} against latency of {len(shown)} cells; the numbers are those of the table"
    return (
        f'<svg width="{drawn.width_px}" height="{drawn.height_px}" role="img" aria-label="{escape(said)}">'
        f"{''.join(parts)}</svg>"
    )


def size_legend(matrix: Matrix, drawn: Format) -> str:
    """The largest and the smallest file's circles."""
    sizes = {model.size_bytes for model in matrix.models}
    shown = ""
    for size in sorted({max(sizes), min(sizes)}, reverse=True):
        radius = _radius(size, matrix, drawn)
        side = 2 * radius + 2
        shown += (
            f'<span class="key"><svg width="{side:.1f}" height="{side:.1f}">'
            f'<circle class="size" cx="{side / 2:.1f}" cy="{side / 2:.1f}" r="{radius:.1f}"/></svg>{_size(size)}</span>'
        )
    return shown


def _radius(size_bytes: int, matrix: Matrix, drawn: Format) -> float:
    """The area goes with the size."""
    largest = max(model.size_bytes for model in matrix.models)
    return max(SMALLEST_PX, drawn.largest_px * math.sqrt(size_bytes / largest))


def _size(size_bytes: int) -> str:
    """ "2.71 MiB"."""
    return f"{number(size_bytes / MIB)} MiB" if size_bytes >= MIB else f"{number(size_bytes / KIB)} KiB"


def _axes(across: Axis, up: Axis, name: str, drawn: Format) -> list[str]:
    field, right = drawn.field, drawn.width_px - RIGHT_PX
    parts = [
        _text(0, 14, name, "start"),
        _text(right, drawn.height_px - 6, "p50 of a frame, ms", "end"),
    ]
    for value, text in across.ticks(drawn.ticks):
        x = across(value)
        parts += [_line(x, field.top, x, field.bottom, "grid"), _text(x, field.bottom + 16, text, "middle")]
    for value, text in up.ticks(7):
        y = up(value)
        if value >= 0 and (value <= 100 or "%" not in name):
            parts += [_line(field.left, y, right, y, "grid"), _text(field.left - 6, y + 4, text, "end")]
    return parts


def _circle(cell: Cell, bubble: Bubble, size_bytes: int) -> str:
    accuracy = f", {cell.accuracy.top1:.2%}" if cell.accuracy else ""
    said = (
        f"{cell.number}: {cell.model}, {cell.interpreter}, {threads_text(cell.threads)}: "
        f"{cell.latency.whole.p50_ms:.2f} ms{accuracy}, {_size(size_bytes)}"
    )
    front = " front" if cell.on_front else ""
    return (
        f'<circle class="bubble {COLOURS[cell.interpreter]}{front}" cx="{bubble.x:.1f}" cy="{bubble.y:.1f}" '
        f'r="{bubble.radius:.1f}"><title>{escape(said)}</title></circle>'
    )


def _leader(bubble: Bubble, label: Label) -> str:
    """From the middle of a bubble to its number, as bubbles may lie on each other."""
    if (label.x, label.y) == (bubble.x, bubble.y):
        return ""
    dot = f'<circle class="middle" cx="{bubble.x:.1f}" cy="{bubble.y:.1f}" r="2"/>'
    return _line(bubble.x, bubble.y, label.x, label.y, "leader") + dot


def _number(bubble: Bubble, label: Label) -> str:
    return f'<text class="number" x="{label.x:.1f}" y="{label.y:.1f}">{bubble.number}</text>'


def _line(x1: float, y1: float, x2: float, y2: float, kind: str) -> str:
    return f'<line class="{kind}" x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"/>'


def _text(x: float, y: float, text: str, anchor: str) -> str:
    return f'<text class="soft" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'
