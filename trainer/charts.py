"""Figures: learning curves, grids of pictures, confusion matrices."""

import base64
import io
import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import matplotlib
import numpy as np

matplotlib.use("Agg")  # no display on a workstation reached over ssh

from matplotlib import pyplot, rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from PIL import Image

from trainer.trained import Epoch

# Told apart by the colour-blind too: Okabe and Ito, "Color universal design", 2008.
BLUE, ORANGE, GREEN, RED, GREY = "#0072b2", "#e69f00", "#00805e", "#d55e00", "#999999"
MOST_COUNTS = 25
"""More classes than this, and a confusion matrix's cells have no room for their counts."""
MOST_NAMES = 160
"""More classes than this, and a confusion matrix names only some of them."""
LONGEST_CAPTION = 26
as_text = rc_context({"text.parse_math": False})
"""Decorates what draws labels: "a$b$" is a name, not a formula."""


@dataclass(frozen=True, eq=False)
class Tile:
    """A picture with what is to be said of it."""

    picture: np.ndarray
    """RGB, uint8, shape (height, width, 3)."""
    lines: tuple[str, ...]
    """The caption."""
    right: bool | None = None
    """Whether the model was right, or None where that is not the question."""


def png(figure: Figure) -> bytes:
    """The figure as a PNG file; closes it."""
    file = io.BytesIO()
    with warnings.catch_warnings():
        # matplotlib's font has no Chinese: a box in a figure, whose name is written out in the tables.
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        figure.savefig(file, format="png", dpi=110, pil_kwargs={"compress_level": 4})
    pyplot.close(figure)
    return file.getvalue()


def data_url(figure: Figure) -> str:
    """The figure as a data: URL of a PNG, so that a page needs no other file; closes the figure."""
    return png_url(png(figure))


def png_url(content: bytes) -> str:
    """The bytes of a PNG file as a data: URL."""
    return "data:image/png;base64," + base64.b64encode(content).decode()


def picture_url(picture: np.ndarray, longest_px: int = 160) -> str:
    """A picture (RGB, uint8) as a data: URL of a JPEG whose longer side has at most `longest_px`."""
    image = Image.fromarray(picture)
    image.thumbnail((longest_px, longest_px))
    file = io.BytesIO()
    # Small pictures are shown enlarged: there 4:2:0 colour would bleed over several pixels.
    image.save(file, format="jpeg", quality=85, subsampling="4:4:4" if max(image.size) <= 64 else "4:2:0")
    return "data:image/jpeg;base64," + base64.b64encode(file.getvalue()).decode()


def draw_curves(history: Sequence[Epoch]) -> Figure:
    """Accuracy and loss over the epochs of both phases, with a line where phase 2 begins."""
    figure = Figure(figsize=(10, 3.8), layout="constrained")
    steps = range(1, len(history) + 1)
    of_phase_1 = sum(epoch.phase == 1 for epoch in history)
    for axes, name in zip(figure.subplots(1, 2), ("accuracy", "loss"), strict=True):
        axes.plot(steps, [getattr(epoch, name) for epoch in history], ".-", color=BLUE, label="train")
        validation = [getattr(epoch, f"val_{name}") for epoch in history]
        axes.plot(steps, validation, ".-", color=ORANGE, label="validation")
        if 0 < of_phase_1 < len(history):
            axes.axvline(of_phase_1 + 0.5, color=GREY, linestyle="--", label="phase 2 begins")
        axes.set(xlabel="epoch", title=name)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.grid(alpha=0.3)
        axes.legend(fontsize=9)
    return figure


@as_text
def draw_grid(tiles: Sequence[Tile], columns: int) -> Figure:
    """Pictures in rows, each above its caption, which is green or red where the model was right or wrong."""
    side, gap, line = 1.6, 0.15, 0.14
    rows = -(-len(tiles) // columns)
    step = side + gap + line * max(len(tile.lines) for tile in tiles)
    axes = draw_canvas(columns * (side + gap) + gap, rows * step + gap)
    for place, tile in enumerate(tiles):
        row, column = divmod(place, columns)
        draw_tile(axes, tile, gap + column * (side + gap), gap + row * step, side)
    return axes.figure


def draw_canvas(width: float, height: float) -> Axes:
    """A figure of this size whose only axes are measured in inches from the top left.

    One for each picture took matplotlib most of the time that a report takes.
    """
    axes = Figure(figsize=(width, height)).add_axes((0, 0, 1, 1))
    axes.set(xlim=(0, width), ylim=(height, 0), autoscale_on=False)
    axes.axis("off")
    return axes


def draw_tile(axes: Axes, tile: Tile, x: float, y: float, side: float) -> None:
    """Draws a picture into a square of a canvas, and its caption below."""
    height, width = tile.picture.shape[:2]
    high, wide = side * height / max(height, width), side * width / max(height, width)
    left, top = x + (side - wide) / 2, y + (side - high) / 2
    axes.imshow(
        tile.picture,
        extent=(left, left + wide, top + high, top),
        interpolation="nearest" if max(height, width) <= 64 else "antialiased",
        aspect="auto",
    )
    axes.text(
        x, y + side + 0.04, "\n".join(map(shorten, tile.lines)), va="top", size=7, color=colour_of(tile.right)
    )


def colour_of(right: bool | None) -> str:
    """Of a caption."""
    return "black" if right is None else GREEN if right else RED


def shorten(text: str, longest: int = LONGEST_CAPTION) -> str:
    """The text, its middle left out where it is longer: both ends tell file names apart."""
    if len(text) <= longest:
        return text
    end = longest // 3
    return f"{text[: longest - end - 1]}…{text[-end:]}"


@as_text
def draw_confusion(confusion: Sequence[Sequence[int]], labels: Sequence[str], title: str) -> Figure:
    """A confusion matrix: a row is a true class, the colour the share of its pictures, the number their count.

    Args:
        confusion: Counts, shape (classes, classes).
        labels: Names of the classes.
        title: Which pictures.
    """
    counts = np.array(confusion)
    classes = len(labels)
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    few = classes <= MOST_COUNTS
    named = range(0, classes, -(-classes // MOST_NAMES))
    names = [shorten(labels[number]) for number in named]
    points = 9 if few else 6
    # So that a name has room beside the next; 20 in is what a screen can still show at once.
    side = max(2.5, 0.42 * classes) if few else min(0.12 * classes, 20)
    margin = 0.6 + max(map(len, names)) * 0.6 * points / 72
    upright = few and max(map(len, names)) <= 5
    below = 0.8 if upright else margin
    # Margins, names and all by hand: matplotlib's layout and ticks take seconds for 2 x 120 names.
    width, height = margin + side + 1.2, below + side + 0.5
    figure = Figure(figsize=(width, height))
    axes = figure.add_axes((margin / width, below / height, side / width, side / height))
    bar = figure.add_axes(((margin + side + 0.2) / width, below / height, 0.15 / width, side / height))
    image = axes.imshow(100 * shares, cmap="Blues", vmin=0, vmax=100)
    axes.set(xticks=[], yticks=[])
    axes.set_title(title, fontsize=10)
    gap = 0.08 * classes / side  # inches to cells
    for place, name in zip(named, names, strict=True):
        turn = 0 if upright else 90
        axes.text(place, classes - 0.5 + gap, name, ha="center", va="top", rotation=turn, size=points)
        axes.text(-0.5 - gap, place, name, ha="right", va="center", size=points)
    middle = (margin + side / 2) / width, (below + side / 2) / height
    figure.text(middle[0], 0.15 / height, "predicted", ha="center")
    figure.text(0.1 / width, middle[1], "true", va="center", rotation=90)
    figure.colorbar(image, cax=bar, label="% of the class's pictures")
    if few:
        for row, column in np.argwhere(counts):
            colour = "white" if shares[row, column] > 0.5 else "black"
            axes.text(column, row, str(counts[row, column]), ha="center", va="center", color=colour, size=9)
    return figure
