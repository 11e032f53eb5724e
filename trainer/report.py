"""The report of a training run: one self-contained HTML page, and its figures as PNGs beside it."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edge_runtime.whole_file import write_together
from trainer.audit.report import audit_section, printable
from trainer.charts import (
    Tile,
    draw_confusion,
    draw_curves,
    draw_grid,
    picture_url,
    png,
    png_url,
)
from trainer.config import TrainConfig
from trainer.dataset import Dataset, LabelledPicture
from trainer.evaluation.measured import Measured
from trainer.evaluation.mistakes import frequent_confusions, worst_mistakes
from trainer.page import render_page
from trainer.trained import Trained

TEMPLATE = Path(__file__).parent / "report.html.j2"
REPORT_NAME = "report.html"
MANY = 30
"""More classes than this: tables by class are folded."""
MOST_MISTAKES = 20
FIRST_FINDINGS = 3
"""Of each kind that are shown; the count tells of the rest, and so does `litelens audit`."""


@dataclass(frozen=True)
class _Tiles:
    """The pictures of the report."""

    pictures: list[Tile]
    augmented: list[Tile]
    """Empty without augmentation."""
    mistakes: list[Tile]
    """Empty if there were none."""


def write_report(folder: Path, config: TrainConfig, dataset: Dataset, trained: Trained) -> None:
    """Writes report.html, which needs no other file, and curves.png, pictures.png, confusion.png and, where there
    is something to show, augmentations.png and mistakes.png.

    Raises:
        WriteError: If the folder cannot be written; then nothing was.
    """
    tiles = _Tiles(
        _first_pictures(dataset, trained), _augmented(config, trained), _mistakes(dataset, trained)
    )
    figures = _draw(dataset, trained, tiles)
    page = render_report(config, dataset, trained, tiles, figures)
    contents = {folder / f"{name}.png": content for name, content in figures.items()}
    write_together(contents | {folder / REPORT_NAME: page.encode()})


def render_report(
    config: TrainConfig, dataset: Dataset, trained: Trained, tiles: _Tiles, figures: dict[str, bytes]
) -> str:
    """The page.

    Args:
        config: The run's settings.
        dataset: Its pictures.
        trained: What it found.
        tiles: The pictures to show.
        figures: {name: PNG}, with curves and confusion.
    """
    held_back = _held_back(trained)
    many = len(dataset.labels) > MANY
    return render_page(
        TEMPLATE,
        title=f"{config.backbone} (alpha {config.alpha:g}, {config.size} px) on {printable(Path(config.data).name)}",
        config=config,
        dataset=dataset,
        trained=trained,
        held_back=held_back,
        wrong=held_back.pictures - int(np.trace(held_back.confusion)),
        frequent=frequent_confusions(dataset.labels, held_back.confusion),
        many=many,
        class_sizes={
            split: Counter(picture.class_id for picture in pictures)
            for split, pictures in dataset.splits.items()
        },
        findings=audit_section(dataset.audit, dataset.folder, FIRST_FINDINGS),
        curves=png_url(figures["curves"]),
        confusion=png_url(figures["confusion"]),
        pictures=with_urls(tiles.pictures),
        augmented=with_urls(tiles.augmented),
        mistakes=with_urls(tiles.mistakes),
    )


def with_urls(tiles: Sequence[Tile]) -> list[tuple[str, Tile]]:
    """Each tile with its picture as a data: URL, for a page."""
    return [(picture_url(tile.picture), tile) for tile in tiles]


def _draw(dataset: Dataset, trained: Trained, tiles: _Tiles) -> dict[str, bytes]:
    """{name: PNG}."""
    held_back = _held_back(trained)
    title = f"{held_back.split}: {held_back.pictures} pictures, accuracy {held_back.accuracy:.4f}"
    figures = {
        "curves": png(draw_curves(trained.history)),
        "confusion": png(draw_confusion(held_back.confusion, dataset.labels, title)),
    }
    for name, shown, columns in (
        ("pictures", tiles.pictures, 3),
        ("augmentations", tiles.augmented, 3),
        ("mistakes", tiles.mistakes, 5),
    ):
        if shown:
            figures[name] = png(draw_grid(shown, columns))
    return figures


def _held_back(trained: Trained) -> Measured:
    """The test split where there is one, else validation."""
    by_split = {result.split: result for result in trained.measured}
    return by_split.get("test", by_split["validation"])


def _first_pictures(dataset: Dataset, trained: Trained) -> list[Tile]:
    """Nine of the training pictures: the first of each class, then the second of each, and so on."""
    pictures = dataset.splits["train"]
    seen: Counter[int] = Counter()
    rounds = []
    for index, picture in enumerate(pictures):
        rounds.append((seen[picture.class_id], picture.class_id, index))
        seen[picture.class_id] += 1
    return [
        Tile(np.array(trained.pictures["train"][index]), (dataset.labels[class_id],))
        for _, class_id, index in sorted(rounds)[:9]
    ]


def _augmented(config: TrainConfig, trained: Trained) -> list[Tile]:
    """Nine times the first training picture, each augmented anew."""
    if config.augmentation == "none":
        return []
    from trainer.augmentation import (
        augment,  # imports TensorFlow, which a run without augmentation can do without
    )

    batch = np.repeat(trained.pictures["train"][:1], 9, axis=0)
    views = np.asarray(augment(batch, (config.seed, 0), config.augmentation))
    return [Tile(view, ()) for view in ((views + 1) * 127.5).round().clip(0, 255).astype(np.uint8)]


def _mistakes(dataset: Dataset, trained: Trained) -> list[Tile]:
    split = _held_back(trained).split
    pictures: list[LabelledPicture] = dataset.splits[split]
    class_ids = np.array([picture.class_id for picture in pictures])
    found = worst_mistakes(dataset.labels, trained.probabilities[split], class_ids, MOST_MISTAKES)
    return [
        Tile(
            np.array(trained.pictures[split][mistake.index]),
            (
                f"{mistake.answer} ({mistake.score:.2f})",
                f"true: {mistake.truth}",
                printable(pictures[mistake.index].path.name),
            ),
            right=False,
        )
        for mistake in found
    ]
