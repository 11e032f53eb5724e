"""Figures of predictions and of compared runs."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from trainer.charts import BLUE, GREEN, GREY, RED, Tile, as_text, draw_canvas, draw_tile, shorten
from trainer.evaluation.comparison import RunSummary

BARS = 10
CHART_COLUMNS = 3
# Of a chart of answers, in inches: picture, letter of a name, bar, what is between.
SIDE, LETTER_WIDTH, BAR_WIDTH, GAP = 1.8, 0.057, 1.2, 0.15
CELL_HEIGHT = SIDE + 0.65
LONGEST_NAME = 22
COLOURS = (BLUE, "#e69f00", "#009e73", "#cc79a7", "#d55e00", "#56b4e9", "#000000", GREY)


@dataclass(frozen=True, eq=False)
class Answer:
    """A picture and what a model says of it."""

    picture: np.ndarray
    """RGB, uint8, shape (height, width, 3)."""
    name: str
    probabilities: np.ndarray
    """Shape (classes,)."""
    truth: int | None
    """The true class; None if nobody labelled it."""


@as_text
def draw_answers(labels: Sequence[str], answers: Sequence[Answer]) -> Figure:
    """Pictures above their answers (green where right, red where wrong), each beside its ten best classes as bars.

    Args:
        labels: Names of the classes.
        answers: At least one.
    """
    across = min(CHART_COLUMNS, len(answers))
    name_width = GAP + LETTER_WIDTH * min(LONGEST_NAME, max(map(len, labels)))
    cell_width = SIDE + name_width + BAR_WIDTH + 0.45
    axes = draw_canvas(across * cell_width + GAP, -(-len(answers) // across) * CELL_HEIGHT + GAP)
    for place, answer in enumerate(answers):
        row, column = divmod(place, across)
        x, y = GAP + column * cell_width, GAP + row * CELL_HEIGHT
        draw_tile(axes, _tile(labels, answer), x, y, SIDE)
        _draw_bars(axes, labels, answer, x + SIDE + name_width, y)
    return axes.figure


def _tile(labels: Sequence[str], answer: Answer) -> Tile:
    best = int(answer.probabilities.argmax())
    lines = [answer.name, f"{labels[best]} ({answer.probabilities[best]:.2f})"]
    if answer.truth is None:
        return Tile(answer.picture, tuple(lines))
    return Tile(answer.picture, (*lines, f"true: {labels[answer.truth]}"), right=best == answer.truth)


def _draw_bars(axes: Axes, labels: Sequence[str], answer: Answer, x: float, y: float) -> None:
    """Bars from x on, names before and scores behind them, the best on top; the true class green, a wrong answer red."""
    order = np.argsort(-answer.probabilities, kind="stable")[:BARS]
    step = SIDE / min(BARS, max(5, len(labels)))  # two classes get no thick slabs
    for rank, number in enumerate(order):
        middle, score = y + step * (rank + 0.5), float(answer.probabilities[number])
        wrong = rank == 0 and answer.truth is not None
        colour = GREEN if number == answer.truth else RED if wrong else GREY
        axes.barh(middle, score * BAR_WIDTH, 0.7 * step, left=x, color=colour)
        name = shorten(labels[number], LONGEST_NAME)
        axes.text(x - 0.05, middle, name, ha="right", va="center", size=6.5)
        axes.text(x + score * BAR_WIDTH + 0.04, middle, f"{score:.2f}", va="center", size=6)


@as_text
def draw_comparison(runs: Sequence[RunSummary]) -> Figure:
    """Validation accuracy of all runs over epochs, and over the seconds that the epochs took."""
    figure = Figure(figsize=(11, 4), layout="constrained")
    by_epoch, by_time = figure.subplots(1, 2, sharey=True)
    for number, run in enumerate(runs):
        accuracies = [step.val_accuracy for step in run.steps]
        style = {"color": COLOURS[number % len(COLOURS)], "marker": "osD^vP"[number % 6], "markersize": 3}
        by_epoch.plot(range(1, len(run.steps) + 1), accuracies, label=run.run, **style)
        by_time.plot([step.seconds for step in run.steps], accuracies, **style)
        of_phase_1 = sum(step.phase == 1 for step in run.steps)
        if 0 < of_phase_1 < len(run.steps):
            by_epoch.axvline(of_phase_1 + 0.5, color=style["color"], linestyle=":", linewidth=1)
    by_epoch.set(xlabel="epoch (dotted: phase 2 begins)", ylabel="validation accuracy")
    by_time.set(xlabel="seconds of the epochs")
    by_epoch.xaxis.set_major_locator(MaxNLocator(integer=True))
    for axes in (by_epoch, by_time):
        axes.grid(alpha=0.3)
    figure.legend(loc="outside lower center", ncols=min(3, len(runs)), fontsize=8)
    return figure
