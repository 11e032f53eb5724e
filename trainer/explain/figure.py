"""An attack on one page: the pictures, what lies between them, and what the models say."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from trainer.charts import BLUE, ORANGE, as_text, png, shorten
from trainer.explain.judging import Answer

LIGHT = 0.4
"""Opacity of the bars before the attack."""


@as_text
def render_attack(
    original: np.ndarray, attacked: np.ndarray, answers: dict[str, tuple[Answer, Answer]], target: str
) -> bytes:
    """Draws original, attacked picture, their difference amplified, and the scores; returns a PNG file.

    Args:
        original: RGB, uint8, shape (size, size, 3).
        attacked: The same shape.
        answers: {model: (before, after)}; the first model's answers are the captions.
        target: The label that the attack was after.
    """
    before, after = next(iter(answers.values()))
    difference = attacked.astype(int) - original
    gain = 127 // max(1, int(np.abs(difference).max()))
    figure = Figure(figsize=(13, 3.2), layout="constrained")
    columns = figure.subplots(1, 4)
    amplified = (127 + gain * difference).astype(np.uint8)
    _draw_picture(columns[0], original, f"original\n{_said(before)}")
    _draw_picture(columns[1], attacked, f"attacked\n{_said(after)}")
    _draw_picture(columns[2], amplified, f"difference\n× {gain}, around grey")
    _draw_scores(columns[-1], answers, list(dict.fromkeys((next(iter(before.scores)), target))))
    return png(figure)


def _draw_picture(axes: Axes, picture: np.ndarray, caption: str) -> None:
    axes.imshow(picture, interpolation="nearest")
    axes.set_title(caption, fontsize=10)
    axes.axis("off")


def _said(answer: Answer) -> str:
    label, score = next(iter(answer.scores.items()))
    return f"{shorten(label)} {score:.3f}"


def _draw_scores(axes: Axes, answers: dict[str, tuple[Answer, Answer]], labels: list[str]) -> None:
    width = 0.8 / (2 * len(answers))
    for row, (name, pair) in enumerate(answers.items()):
        for column, (when, answer) in enumerate(zip(("before", "after"), pair, strict=True)):
            place = np.arange(len(labels)) + (2 * row + column + 0.5) * width - 0.4
            axes.bar(
                place,
                [answer.scores[label] for label in labels],
                width,
                color=(BLUE, ORANGE)[row],
                alpha=(LIGHT, 1)[column],
                label=f"{name}, {when}",
            )
    axes.set_xticks(range(len(labels)), [shorten(label) for label in labels])
    axes.set(ylim=(0, 1), ylabel="score")
    axes.set_box_aspect(1)
    axes.grid(axis="y", alpha=0.3)
    figure = axes.get_figure()
    figure.legend(*axes.get_legend_handles_labels(), fontsize=8, loc="outside right center")
