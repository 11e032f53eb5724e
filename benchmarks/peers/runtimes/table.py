"""What was found, for people."""

from collections.abc import Sequence

from benchmarks.peers.runtimes.comparison import Found
from benchmarks.peers.runtimes.ratios import CONFIDENCE, Ratio
from benchmarks.peers.runtimes.rows import FLOOR, LITELENS, MEDIAPIPE, ONNX_RUNTIME, SAME_RULE, Row

MOST_OF_FLOOR = 1.10
"""A whole litelens frame by the bare loop's: the aim."""
NONE = "-"

HEAD = (
    "runtime",
    "version",
    "model",
    "preprocessing",
    "p50, ms",
    "p90",
    f"by litelens [{CONFIDENCE:.0%}]",
    "agrees",
    "top-1",
    "max diff",
    "cores",
    "start, s",
    "MB",
)
TEXTS = 4
"""So many columns hold no numbers."""


def table(found: Sequence[Found]) -> str:
    """A row a peer, and below them the reasons of those that have no times."""
    lines = [HEAD, *(_cells(one) for one in found if not one.problem)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    rows = [
        "  ".join(
            cell.ljust(width) if number < TEXTS else cell.rjust(width)
            for number, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    ]
    return "\n".join(rows + [f"{one.name}, {one.model}: {one.problem}" for one in found if one.problem])


def _cells(one: Found) -> tuple[str, ...]:
    def shown(value: float | None, layout: str) -> str:
        return NONE if value is None else f"{value:{layout}}"

    return (
        one.name,
        one.version,
        one.model,
        one.preprocessing,
        f"{one.p50_ms:.2f}",
        f"{one.p90_ms:.2f}",
        _ratio(one.ratio),
        shown(one.agreement, ".1%"),
        shown(one.top1, ".1%"),
        f"{one.largest_difference:.3f}",
        f"{one.cores:.1f}",
        f"{one.start_s:.1f}",
        f"{one.environment_bytes / 1e6:.0f}",
    )


def _ratio(ratio: Ratio) -> str:
    return f"{ratio.median:.2f} [{ratio.low:.2f}, {ratio.high:.2f}]"


def aims(found: Sequence[Found]) -> str:
    """Whether litelens is as near to the floor as it aims to be, and ahead of whom: a line each."""
    by_row = {(one.name, one.model): one.ratio for one in found}

    def ratio_of(row: Row) -> Ratio | None:
        return by_row[row.name, row.model]

    lines = []
    for row in (FLOOR, SAME_RULE):
        if ratio := ratio_of(row):
            ours = Ratio(1 / ratio.median, 1 / ratio.high, 1 / ratio.low)
            reached = "reached" if ours.median <= MOST_OF_FLOOR else "missed"
            lines.append(
                f"litelens by {row.name}: {_ratio(ours)}, aim at most {MOST_OF_FLOOR:.2f}: {reached}"
            )
    for row in (MEDIAPIPE, ONNX_RUNTIME):
        if ratio := ratio_of(row):
            lines.append(
                f"{row.name}, {row.model}, by {LITELENS.name}: {_ratio(ratio)}: litelens is {_place(ratio)}"
            )
    return "\n".join(lines)


def _place(ratio: Ratio) -> str:
    if ratio.low > 1:
        return "ahead"
    return "behind" if ratio.high < 1 else "neither ahead nor behind"
