"""The charts of a card's page: SVG that takes its colours from the page's style sheet.

All are WIDTH units wide, which a telephone shows at about their own size, so that their text can be read there too.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from html import escape
from itertools import pairwise

from benchmarks.card.contract import Card, Reading
from benchmarks.card.facts import MIB, number, stages

WIDTH = 360
_LEFT, _RIGHT = 48, WIDTH - 12
_LINE = 14
"""Between lines of text."""

Scale = Callable[[float], float]


def histogram_chart(card: Card) -> str:
    """Whole frames by their time, with p50, p90 and p99 marked; percentiles beyond the last bar stand at the right edge."""
    edges, counts = card.histogram.edges_ms, card.histogram.counts
    if len(edges) < 2 or not any(counts):
        return ""
    left, top, bottom = 12, 3 * _LINE + 6, 168
    x = _scale(edges[0], edges[-1], left, _RIGHT)
    y = _scale(0, max(counts), bottom, top)
    bars = "".join(
        _rect(x(low), y(count), max(x(high) - x(low) - 0.6, 0.6), bottom - y(count), "bar")
        for (low, high), count in zip(pairwise(edges), counts, strict=False)
        if count
    )
    whole = card.stages.whole
    marks = ""
    for row, (name, time_ms) in enumerate(
        (("p99", whole.p99_ms), ("p90", whole.p90_ms), ("p50", whole.p50_ms))
    ):
        at, beyond = x(min(max(time_ms, edges[0]), edges[-1])), time_ms > edges[-1]
        line = (row + 1) * _LINE
        # To the left, where no other line crosses the text, if it has room there.
        side, anchor = (-4, "end") if at > 90 else (4, "start")
        text = f"{name} {number(time_ms)} ms{' →' if beyond else ''}"
        marks += _line(at, line - 9, at, bottom, "mark") + _text(at + side, line, text, "strong", anchor)
    axis = _line(left, bottom, _RIGHT, bottom, "axis") + _x_ticks(x, edges[0], edges[-1], bottom, "ms")
    said = f"Histogram of whole frames: p50 {number(whole.p50_ms)}, p90 {number(whole.p90_ms)}, p99 {number(whole.p99_ms)} ms"
    return _svg(bottom + _LINE + 6, said, bars + axis + marks)


def stages_chart(card: Card) -> str:
    """A bar to the median of each stage, a thin line on to its p90."""
    kinds = {"capture": "bar pale", "whole": "bar dim"}
    rows = [
        (name, spread.p50_ms, spread.p90_ms, f"{number(spread.p50_ms)} ms", kinds.get(name, "bar"))
        for name, spread in stages(card).items()
    ]
    return _bars(rows, "Medians of the stages")


def memory_chart(card: Card) -> str:
    """What the process held before the model, at the end and at most."""
    memory = card.memory
    held = (
        ("before model", memory.imported_bytes),
        ("steady", memory.steady_bytes),
        ("peak", memory.peak_bytes),
    )
    rows = [(name, size / MIB, size / MIB, f"{number(size / MIB)} MiB", "bar") for name, size in held]
    return _bars(rows, "Resident memory of the process")


def threads_chart(card: Card) -> str:
    """A column to the median at each thread count, a thin line on to its p90; "" where the sweep was left out."""
    if not card.threads or not card.threads.measured:
        return ""
    measured, recommended = card.threads.measured, card.threads.recommended
    top, bottom = 24, 160
    y = _scale(0, max(max(one.whole_p50_ms, one.whole_p90_ms) for one in measured), bottom, top)
    room = (WIDTH - 24) / len(measured)
    width = min(46.0, room * 0.6)
    crowded = len(measured) > 7
    columns = ""
    for place, one in enumerate(measured):
        middle, chosen = 12 + room * (place + 0.5), one.threads == recommended
        p50, p90 = y(one.whole_p50_ms), y(one.whole_p90_ms)
        columns += _rect(middle - width / 2, p50, width, bottom - p50, "bar" if chosen else "bar pale")
        columns += _line(middle, p50, middle, p90, "whisker")
        if chosen or not crowded:
            columns += _text(
                middle, min(p50, p90) - 5, number(one.whole_p50_ms), "strong" if chosen else "", "middle"
            )
        columns += _text(middle, bottom + _LINE, str(one.threads), "strong" if chosen else "", "middle")
        if chosen:
            columns += _text(_inside(middle, 100), bottom + 2 * _LINE, "recommended", "strong", "middle")
    said = f"Median frame by threads; {recommended} recommended"
    return _svg(bottom + 2 * _LINE + 8, said, columns + _line(12, bottom, _RIGHT, bottom, "axis"))


def windows_chart(card: Card) -> str:
    """The median of each window where it ran, a thin line on to its p90, and how far medians may be apart to be quoted."""
    windows = card.windows
    if not windows:
        return ""
    medians = [window.whole.p50_ms for window in windows]
    middle = (min(medians) + max(medians)) / 2
    may = abs(middle * card.noise.limit) / 2
    shown = [*medians, *(window.whole.p90_ms for window in windows), middle - may, middle + may]
    top, bottom = 10, 160
    y = _scale(min(shown), max(shown), bottom - 6, top)
    end_s = max(window.start_s for window in windows) + card.setting.window_s
    x = _scale(min(window.start_s for window in windows), end_s, _LEFT, _RIGHT)
    drawn = _rect(_LEFT, y(middle + may), _RIGHT - _LEFT, y(middle - may) - y(middle + may), "band")
    drawn += _y_ticks(y, min(shown), max(shown))
    for window in windows:
        start, end = x(window.start_s), x(window.start_s + card.setting.window_s)
        at = y(window.whole.p50_ms)
        drawn += _line((start + end) / 2, at, (start + end) / 2, y(window.whole.p90_ms), "whisker")
        drawn += _line(start + 1.5, at, end - 1.5, at, "level")
    axis = _line(_LEFT, bottom, _RIGHT, bottom, "axis") + _x_ticks(x, windows[0].start_s, end_s, bottom, "s")
    said = f"Medians of the windows: {', '.join(map(number, medians))} ms"
    return _svg(bottom + _LINE + 6, said, drawn + axis)


def temperature_chart(card: Card) -> str:
    """Degrees Celsius over the seconds of the run, throttling shaded; "" where no sensor told."""
    return _course(card.readings, lambda reading: reading.temperature_c, "Temperature", "°C", "warm")


def frequency_chart(card: Card) -> str:
    """Megahertz over the seconds of the run, throttling shaded; "" where the machine does not tell."""
    return _course(card.readings, lambda reading: reading.frequency_mhz, "Frequency", "MHz", "cool")


def _course(
    readings: Sequence[Reading], value: Callable[[Reading], float | None], name: str, unit: str, kind: str
) -> str:
    known = [(reading.seconds, found) for reading in readings if (found := value(reading)) is not None]
    if not known:
        return ""
    top, bottom = _LINE + 8, 120
    seconds, values = [at for at, _ in known], [found for _, found in known]
    # At least a twentieth of the value is shown: a sensor's last digit is no drama.
    least, most = min(values), max(values)
    room = max(0.0, abs(most) / 20 - (most - least)) / 2
    x = _scale(readings[0].seconds, readings[-1].seconds, _LEFT, _RIGHT)
    y = _scale(least - room, most + room, bottom - 8, top)
    drawn = "".join(
        _rect(
            x(one.seconds),
            top - 6,
            max(x(after.seconds) - x(one.seconds) + 0.5, 2),
            bottom - top + 6,
            "throttled",
        )
        for one, after in pairwise([*readings, readings[-1]])
        if one.throttling
    )
    drawn += _y_ticks(y, least - room, most + room)
    points = " ".join(
        f"{_at(x(second))},{_at(y(found))}" for second, found in zip(seconds, values, strict=True)
    )
    drawn += f'<polyline class="{kind}" points="{points}"/>'
    if len(known) < 40:
        drawn += "".join(
            f'<circle class="{kind}" cx="{_at(x(second))}" cy="{_at(y(found))}" r="2"/>'
            for second, found in known
        )
    x_ticks = _x_ticks(x, readings[0].seconds, readings[-1].seconds, bottom, "s")
    axis = _line(_LEFT, bottom, _RIGHT, bottom, "axis") + x_ticks
    said = f"{name}: {least:,.0f} to {most:,.0f} {unit}"
    return _svg(bottom + _LINE + 6, said, drawn + axis + _text(_LEFT, 11, f"{name}, {unit}", "soft", "start"))


def _bars(rows: Sequence[tuple[str, float, float, str, str]], said: str) -> str:
    """Rows of name, length, end of the thin line, what is written behind it, class."""
    left, height = 92, 24
    x = _scale(0, max(max(length, end) for _, length, end, _, _ in rows), left, WIDTH - 84)
    drawn = ""
    for place, (name, length, end, text, kind) in enumerate(rows):
        top = 4 + place * height
        middle = top + height / 2
        drawn += _text(left - 6, middle + 4, name, "", "end")
        drawn += _rect(left, top + 4, max(x(length) - left, 1), height - 8, kind)
        if end > length:
            drawn += _line(x(length), middle, x(end), middle, "whisker")
        drawn += _text(x(max(length, end)) + 6, middle + 4, text, "", "start")
    whole = f"{said}: {', '.join(f'{name} {text}' for name, _, _, text, _ in rows)}"
    return _svg(
        4 + len(rows) * height + 4, whole, drawn + _line(left, 4, left, 4 + len(rows) * height, "axis")
    )


def _svg(height: float, said: str, drawn: str) -> str:
    return f'<svg viewBox="0 0 {WIDTH} {_at(height)}" role="img" aria-label="{escape(said)}">{drawn}</svg>'


def _rect(x: float, y: float, width: float, height: float, kind: str) -> str:
    return f'<rect class="{kind}" x="{_at(x)}" y="{_at(y)}" width="{_at(max(width, 0))}" height="{_at(max(height, 0))}"/>'


def _line(x1: float, y1: float, x2: float, y2: float, kind: str) -> str:
    return f'<line class="{kind}" x1="{_at(x1)}" y1="{_at(y1)}" x2="{_at(x2)}" y2="{_at(y2)}"/>'


def _text(x: float, y: float, text: str, kind: str, anchor: str) -> str:
    return f'<text class="{kind}" x="{_at(x)}" y="{_at(y)}" text-anchor="{anchor}">{escape(text)}</text>'


def _at(coordinate: float) -> str:
    """A tenth of a unit is finer than any screen shows it."""
    return f"{coordinate:.1f}".removesuffix(".0")


def _inside(x: float, width: float) -> float:
    """The middle of a text that wide, so that none of it is cut off."""
    return min(max(x, width / 2), WIDTH - width / 2)


def _scale(low: float, high: float, start: float, end: float) -> Scale:
    """Maps low to start and high to end; a range of nothing to the middle."""
    if not high > low:
        return lambda value: (start + end) / 2
    return lambda value: start + (value - low) / (high - low) * (end - start)


def _x_ticks(x: Scale, low: float, high: float, bottom: float, unit: str) -> str:
    marks = list(ticks(low, high, 6))
    marks[-1:] = [(tick, f"{text} {unit}") for tick, text in marks[-1:]]
    return "".join(
        _line(x(tick), bottom, x(tick), bottom + 3, "axis")
        + _text(_inside(x(tick), 50), bottom + _LINE, text, "soft", "middle")
        for tick, text in marks
    )


def _y_ticks(y: Scale, low: float, high: float) -> str:
    return "".join(
        _line(_LEFT, y(tick), _RIGHT, y(tick), "grid") + _text(_LEFT - 5, y(tick) + 4, text, "soft", "end")
        for tick, text in ticks(low, high, 4)
    )


def ticks(low: float, high: float, most: int) -> Iterable[tuple[float, str]]:
    """At most so many round values from low to high, and how they are written."""
    if high - low < max(1e-9, 1e-6 * abs(high)):  # finer than anything that is measured
        return [(low, number(low))]
    rough = (high - low) / most
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * by for by in (1, 2, 5, 10) if power * by >= rough)
    first, last = math.ceil(low / step), math.floor(high / step)
    decimals = max(0, -math.floor(math.log10(step)))
    return [(place * step, f"{place * step:,.{decimals}f}") for place in range(first, last + 1)]
