"""One self-contained HTML page that tells how an export went and why it decided as it did."""

import base64
import io
import math
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib import pyplot, rc_context
from PIL import Image

from edge_runtime.pictures import read_picture
from exporter.candidate_kinds import REFERENCE
from exporter.exported import ChangedPicture, Exported
from exporter.gate import Check, Outcome
from exporter.layers import LayerReport
from exporter.measurement import Measurement
from exporter.reliability import Reliability
from trainer.charts import data_url
from trainer.page import render_page

TEMPLATE = Path(__file__).parent / "report.html.j2"
MANY = 15
"""More classes than this: confusion matrices are drawn, not written out, and tables by class are folded."""
MOST_THUMBNAILS = 24
THUMBNAIL_PX = 160
FREQUENT_CONFUSIONS = 12
# Told apart by the colour-blind too: Okabe and Ito, "Color universal design", 2008.
BLUE, ORANGE, GREY = "#0072b2", "#d55e00", "#999999"
COLOURS = (GREY, "#009e73", "#cc79a7", "#e69f00", BLUE, ORANGE)


@dataclass(frozen=True)
class _ClassRow:
    """A class, and how each candidate does on it."""

    number: int
    label: str
    pictures: int
    recalls: tuple[float, ...]
    """By candidate, in the order of the measurements."""
    check: Check | None
    """The gate's, of the shown candidate."""


@dataclass(frozen=True)
class _Confusion:
    """Pictures of one class that were taken for another."""

    truth: str
    answer: str
    float_count: int
    count: int


@dataclass(frozen=True)
class _OperatorRow:
    """An operator of the shown candidate, and how much of it an Edge TPU takes."""

    name: str
    version: int
    count: int
    mapped: int | None
    reasons: tuple[str, ...]
    """Why some are not mapped."""


def render_export(exported: Exported) -> str:
    """HTML of an export: candidates, gate, confusions, classes, changed pictures, layers, reliability, operators.

    Raises:
        PictureError: If a changed picture cannot be read any more.
    """
    # A label or layer such as "a$b$" is text, not a formula.
    with rc_context({"text.parse_math": False}):
        plots = _plots(exported)
    return render_page(
        TEMPLATE,
        exported=exported,
        reference=exported.measurements[REFERENCE],
        subject=exported.subject,
        unproved=_unproved(exported),
        shown=_shown(exported),
        many=len(exported.labels) > MANY,
        classes=_class_rows(exported),
        confusions=_frequent_confusions(exported),
        thumbnails=[(changed, _thumbnail(changed)) for changed in exported.changed[:MOST_THUMBNAILS]],
        operators=_operator_rows(exported),
        provenance=list(_flat(exported.provenance)),
        isnan=math.isnan,
        **plots,
    )


def _unproved(exported: Exported) -> list[tuple[str, Check]]:
    """Candidate and check, of those that missed or for which the pictures are too few."""
    return [
        (name, check)
        for name, verdict in exported.verdicts.items()
        for check in verdict.checks
        if check.outcome in (Outcome.MISSED, Outcome.TOO_SMALL)
    ]


def _shown(exported: Exported) -> dict[str, Measurement]:
    return {name: exported.measurements[name] for name in (REFERENCE, exported.subject)}


def _plots(exported: Exported) -> dict[str, Any]:
    """Data URLs by the template's names."""
    before, after = exported.before, exported.after
    many = len(exported.labels) > MANY
    return {
        "candidates_plot": data_url(_draw_candidates(exported.measurements)),
        "confusion_plot": data_url(_draw_confusions(_shown(exported))) if many else None,
        "layer_plots": {name: data_url(_draw_layers(report)) for name, report in exported.layers.items()},
        "reliability_plot": data_url(_draw_reliabilities(before, after)) if before else None,
    }


def _class_rows(exported: Exported) -> list[_ClassRow]:
    verdict = exported.verdicts.get(exported.subject)
    checks = {check.name: check for check in verdict.checks} if verdict else {}
    truth = exported.measurements[REFERENCE].truth
    pictures = np.bincount(truth, minlength=len(exported.labels)).tolist()
    by_class = zip(*(found.recalls.tolist() for found in exported.measurements.values()), strict=True)
    return [
        _ClassRow(number, label, count, recalls, checks.get(f"class {label}"))
        for number, (label, count, recalls) in enumerate(
            zip(exported.labels, pictures, by_class, strict=True)
        )
    ]


def _frequent_confusions(exported: Exported) -> list[_Confusion]:
    """What either model takes for what, the most frequent first."""
    before, after = (
        found.confusion * (1 - np.eye(len(exported.labels), dtype=int)) for found in _shown(exported).values()
    )
    order = np.argsort(-(before + after), axis=None, kind="stable")[:FREQUENT_CONFUSIONS]
    cells = zip(*np.unravel_index(order, before.shape), strict=True)
    return [
        _Confusion(
            exported.labels[truth],
            exported.labels[answer],
            int(before[truth, answer]),
            int(after[truth, answer]),
        )
        for truth, answer in cells
        if before[truth, answer] + after[truth, answer]
    ]


def _operator_rows(exported: Exported) -> list[_OperatorRow]:
    counts = exported.measurements[exported.subject].operators
    if exported.edge_tpu is None:
        return [_OperatorRow(one.name, one.version, one.count, None, ()) for one in counts]
    placements = exported.edge_tpu.placements
    mapped = Counter((one.operator, one.version) for one in placements if one.mapped)
    return [
        _OperatorRow(
            one.name,
            one.version,
            one.count,
            mapped[one.name, one.version],
            tuple(
                dict.fromkeys(
                    placement.reason
                    for placement in placements
                    if (placement.operator, placement.version) == (one.name, one.version)
                    and not placement.mapped
                )
            ),
        )
        for one in counts
    ]


def _thumbnail(changed: ChangedPicture) -> str:
    image = Image.fromarray(read_picture(changed.path))
    image.thumbnail((THUMBNAIL_PX, THUMBNAIL_PX))
    file = io.BytesIO()
    image.save(file, format="jpeg", quality=80)
    return "data:image/jpeg;base64," + base64.b64encode(file.getvalue()).decode()


def _flat(values: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Nested keys joined with a dot."""
    for key, value in values.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def _draw_candidates(measurements: dict[str, Measurement]) -> pyplot.Figure:
    figure, (by_size, by_latency) = pyplot.subplots(
        1, 2, figsize=(10, 3.6), sharey=True, layout="constrained"
    )
    for number, (name, found) in enumerate(measurements.items()):
        style = {
            "label": name,
            "color": COLOURS[number % len(COLOURS)],
            "marker": "osD^vP"[number % 6],
            "s": 70,
        }
        by_size.scatter(found.size_bytes / 1e6, 100 * found.top1, **style)
        by_latency.scatter(found.p50_ms, 100 * found.top1, **style)
    by_size.set(xlabel="size, MB", ylabel="top-1, %")
    by_latency.set(xlabel="p50 on this machine, ms")
    for axes in (by_size, by_latency):
        axes.set_xlim(left=0)
        axes.margins(y=0.25)
        axes.ticklabel_format(axis="y", useOffset=False)
        axes.grid(alpha=0.3)
    figure.legend(*by_size.get_legend_handles_labels(), loc="outside right upper")
    return figure


def _draw_confusions(shown: dict[str, Measurement]) -> pyplot.Figure:
    figure, both = pyplot.subplots(1, 2, figsize=(10, 5), sharey=True, layout="constrained")
    for axes, (name, found) in zip(both, shown.items(), strict=True):
        pictures = found.confusion.sum(axis=1, keepdims=True)
        image = axes.imshow(100 * found.confusion / np.maximum(pictures, 1), cmap="Blues", vmin=0, vmax=100)
        axes.set(title=name, xlabel="answered class")
    both[0].set_ylabel("true class")
    figure.colorbar(image, ax=both, label="% of the class's pictures", shrink=0.8)
    return figure


def _draw_layers(report: LayerReport) -> pyplot.Figure:
    figure, axes = pyplot.subplots(figsize=(10, 3.2), layout="constrained")
    heights = [layer.snr_db for layer in report.layers]
    colours = [ORANGE if layer == report.suspect else BLUE for layer in report.layers]
    axes.bar(range(len(heights)), heights, color=colours)
    axes.set(xlabel="layer, in the order of the graph", ylabel="signal to noise, dB")
    if report.suspect:
        place = report.layers.index(report.suspect)
        axes.annotate(
            f"layer {report.suspect.index}: {report.suspect.snr_db:.1f} dB",
            (place, heights[place]),
            xytext=(0, 18),
            textcoords="offset points",
            ha="center",
            color=ORANGE,
            fontweight="bold",
            arrowprops={"arrowstyle": "->", "color": ORANGE},
            bbox={"facecolor": "white", "edgecolor": "none", "pad": 1.5},  # higher bars stand behind it
        )
    axes.margins(x=0.01, y=0.2)
    return figure


def _draw_reliabilities(before: Reliability, after: Reliability | None) -> pyplot.Figure:
    titled = {"before": before} | ({"after": after} if after else {})
    figure, grid = pyplot.subplots(
        2,
        2,
        figsize=(9, 4.8),
        sharex=True,
        sharey="row",
        height_ratios=(3, 1),
        layout="constrained",
    )
    for column, (title, found) in zip(grid.T, titled.items(), strict=False):
        _draw_reliability(*column, title, found)
    if after is None:
        for axes in grid[:, 1]:
            axes.remove()
    grid[0, 0].set_ylabel("share that is right")
    grid[1, 0].set_ylabel("pictures")
    return figure


def _draw_reliability(diagram: pyplot.Axes, histogram: pyplot.Axes, title: str, found: Reliability) -> None:
    edges, counts = np.array(found.edges), np.array(found.counts)
    filled, widths = counts > 0, np.diff(edges)
    diagram.plot([0, 1], [0, 1], color=GREY, linestyle="--", label="scores mean what they say")
    diagram.bar(
        edges[:-1][filled],
        np.array(found.accuracy)[filled],
        widths[filled],
        align="edge",
        color=BLUE,
        edgecolor="white",
        label="share right",
    )
    diagram.plot(
        np.array(found.confidence)[filled],
        np.array(found.accuracy)[filled],
        "o",
        color=ORANGE,
        label="mean score of the bin",
    )
    diagram.set(title=f"{title}: ECE {found.error:.3f}", xlim=(0, 1), ylim=(0, 1.05))
    diagram.legend(loc="upper left", fontsize="small")
    histogram.bar(edges[:-1], counts, widths, align="edge", color=GREY, edgecolor="white")
    histogram.set(xlabel="score of the answer")
