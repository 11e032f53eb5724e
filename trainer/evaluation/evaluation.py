"""A trained classifier on labelled pictures, its own held-back ones or any others."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from edge_runtime.capture.files import OnSkipped
from edge_runtime.errors import DataError, SourceError
from edge_runtime.pictures import read_picture
from edge_runtime.preprocessing import resize
from trainer.audit.report import printable
from trainer.charts import Tile, data_url, draw_confusion
from trainer.dataset import LabelledPicture
from trainer.evaluation.measured import Measured, measure
from trainer.evaluation.mistakes import Mistake, frequent_confusions, worst_mistakes
from trainer.evaluation.scorer import Scorer, read_frames, score_frames
from trainer.evaluation.tables import columns
from trainer.page import render_page
from trainer.report import MANY, MOST_MISTAKES, with_urls
from trainer.sources.open_source import open_source

TEMPLATE = Path(__file__).parent / "evaluation.html.j2"
EVERY_SPLIT = "all"


@dataclass(frozen=True)
class LabelledPictures:
    """What a model is to be judged on."""

    data: str
    """Where they come from, as the user named it."""
    split: str
    """Which of them."""
    pictures: list[LabelledPicture]
    """Their class ids are the model's, not the source's."""
    remarks: int = 0
    """How much is odd about the source, such as lines of labels.csv that name no file."""


@dataclass(frozen=True)
class Evaluation:
    """What came of it."""

    model: Path
    """The run folder or model file."""
    data: str
    measured: Measured
    mistakes: list[Mistake]
    """The worst, most sure first."""
    mistaken: list[Path]
    """Of `mistakes`, the files."""
    size: tuple[int, int]
    """(height, width) of the model's input."""
    skipped: int
    """How many files could not be read."""

    def to_json(self) -> dict:
        """Ready for JSON."""
        mistakes = [
            {"file": str(path), "true": mistake.truth, "predicted": mistake.answer, "score": mistake.score}
            for path, mistake in zip(self.mistaken, self.mistakes, strict=True)
        ]
        return {
            "model": str(self.model),
            "data": self.data,
            **asdict(self.measured),
            "skipped": self.skipped,
            "worst_mistakes": mistakes,
        }


def find_labelled(spec: str, split: str | None, labels: Sequence[str]) -> LabelledPictures:
    """Finds labelled pictures for a model.

    Args:
        spec: What trainer.sources.open_source takes.
        split: Only its pictures; None: all.
        labels: The model's.

    Raises:
        DataError: If the source cannot be read, has no such split, or a class that the model does not know.
    """
    source = open_source(spec)
    files = [file for file in source.files if split in (None, file.split)]
    if not files:
        splits = sorted({file.split for file in source.files if file.split})
        raise DataError(
            f"{spec} has no pictures of the split {split!r}, it "
            + (f"has {', '.join(splits)}" if splits else "is not split"),
            "name a split that is there, or leave --split out for all pictures",
        )
    strangers = sorted({file.label for file in files} - set(labels))
    if strangers:
        raise DataError(
            f"{spec} has classes that the model was not trained on: {', '.join(strangers[:20])}"
            f"{' ...' if len(strangers) > 20 else ''}; it knows {', '.join(list(labels)[:20])}",
            "name the classes as the model's labels, or evaluate without those pictures",
        )
    class_ids = {label: class_id for class_id, label in enumerate(labels)}
    return LabelledPictures(
        spec,
        split or EVERY_SPLIT,
        [LabelledPicture(file.path, class_ids[file.label]) for file in files],
        len(source.remarks),
    )


def own_pictures(scorer: Scorer, split: str | None) -> LabelledPictures:
    """A run's own pictures.

    Args:
        scorer: Of a run folder.
        split: None: the test split where there is one, else validation.

    Raises:
        DataError: If it is a model file, which has no pictures, or the run has no such split.
    """
    if not scorer.splits:
        raise DataError(
            f"{scorer.path} is a model file and has no pictures of its own", "name some: --data DIR"
        )
    split = split or ("test" if "test" in scorer.splits else "validation")
    if split not in scorer.splits:
        raise DataError(
            f"{scorer.path} has no split {split!r}, it has {', '.join(scorer.splits)}",
            "name one of these, or leave --split out",
        )
    return LabelledPictures(scorer.data, split, scorer.splits[split])


def trained_on(scorer: Scorer, labelled: LabelledPictures) -> int:
    """How many of the pictures the run was trained on, told by their paths."""
    trained = {picture.path.resolve() for picture in scorer.splits.get("train", [])}
    return sum(picture.path.resolve() in trained for picture in labelled.pictures)


def evaluate(scorer: Scorer, labelled: LabelledPictures, on_skipped: OnSkipped) -> Evaluation:
    """Judges a model on labelled pictures, a batch of them in memory at a time.

    Args:
        scorer: The model.
        labelled: The pictures.
        on_skipped: Told of each that cannot be read.

    Raises:
        SourceError: If none can be read.
    """
    class_of = {str(picture.path): picture.class_id for picture in labelled.pictures}
    scored = list(
        score_frames(scorer, read_frames((picture.path for picture in labelled.pictures), on_skipped))
    )
    if not scored:
        raise SourceError(f"{labelled.data} has no readable picture", "look at them: litelens audit DIR")
    probabilities = np.stack([row for _, row in scored])
    truth = np.array([class_of[source] for source, _ in scored])
    mistakes = worst_mistakes(scorer.labels, probabilities, truth, MOST_MISTAKES)
    return Evaluation(
        scorer.path,
        labelled.data,
        measure(labelled.split, scorer.labels, probabilities, truth),
        mistakes,
        [Path(scored[mistake.index][0]) for mistake in mistakes],
        scorer.size,
        len(labelled.pictures) - len(scored),
    )


def render_evaluation(evaluation: Evaluation) -> str:
    """One self-contained HTML page.

    Raises:
        PictureError: If a picture has gone since it was judged.
    """
    measured = evaluation.measured
    labels = [score.label for score in measured.classes]
    tiles = [
        Tile(
            resize(read_picture(path), evaluation.size),
            (f"{mistake.answer} ({mistake.score:.2f})", f"true: {mistake.truth}", printable(path.name)),
            right=False,
        )
        for path, mistake in zip(evaluation.mistaken, evaluation.mistakes, strict=True)
    ]
    title = f"{measured.pictures} pictures, accuracy {measured.accuracy:.4f}"
    return render_page(
        TEMPLATE,
        evaluation=evaluation,
        measured=measured,
        wrong=measured.pictures - int(np.trace(measured.confusion)),
        many=len(labels) > MANY,
        confusion=data_url(draw_confusion(measured.confusion, labels, title)),
        frequent=frequent_confusions(labels, measured.confusion),
        mistakes=with_urls(tiles),
    )


def text_table(evaluation: Evaluation) -> str:
    """For people at a terminal: the figures, then a line a class."""
    measured = evaluation.measured
    top_k = "".join(f"   top-{k} {share:.4f}" for k, share in measured.top_k.items() if k > 1)
    head = (
        f"{evaluation.model} on {evaluation.data}, {measured.split}: {measured.pictures} pictures\n"
        f"accuracy {measured.accuracy:.4f}{top_k}   loss {measured.loss:.4f}\n\n"
    )
    rows = [("class", "pictures", "precision", "recall", "F1")]
    rows += [
        (score.label, str(score.pictures), *map(_share, (score.precision, score.recall, score.f1)))
        for score in measured.classes
    ]
    return head + columns(rows)


def _share(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}"
