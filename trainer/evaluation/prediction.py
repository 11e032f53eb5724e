"""A model's probabilities for pictures that nobody labelled, as a table with a column a class."""

import csv
import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from edge_runtime.capture.files import Folder, OnSkipped, Picture, check_path
from edge_runtime.pictures import read_picture
from edge_runtime.preprocessing import resize
from trainer.audit.report import printable
from trainer.evaluation.charts import Answer
from trainer.evaluation.scorer import Scorer, score_frames
from trainer.sources.open_source import open_source

CHARTED = 12
"""Pictures in a chart."""

Scored = list[tuple[Path, np.ndarray]]
"""Pictures with their probabilities, of shape (classes,)."""


def predict_pictures(scorer: Scorer, path: Path, on_skipped: OnSkipped) -> Scored:
    """Scores a picture, or those below a folder, folder by folder in the order of names; holds a batch of them at a time.

    Args:
        scorer: The model.
        path: A picture or a folder; hidden files are left out.
        on_skipped: Told of each file that is no readable picture.

    Raises:
        SourceError: If path is missing or has no readable picture.
    """
    check_path(path)
    source = Folder(path, on_skipped) if path.is_dir() else Picture(path)
    with source as frames:
        return [(Path(name), row) for name, row in score_frames(scorer, frames)]


def to_csv(labels: Sequence[str], folder: Path, scored: Scored) -> bytes:
    """The table that Kaggle takes: ``id,LABEL1,LABEL2,...``, a row a picture, each row's probabilities sum to 1.

    The id is the file name without its extension; where two files share it, every id is the name relative to
    `folder`.
    """
    by_stem = len({path.stem for path, _ in scored}) == len(scored)
    text = io.StringIO(newline="")
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(["id", *labels])
    for path, probabilities in scored:
        name = path.stem if by_stem or path == folder else path.relative_to(folder).as_posix()
        exact = probabilities.astype(np.float64)
        rows.writerow([name, *(f"{share:.9g}" for share in exact / exact.sum())])
    # A file name that is no UTF-8 comes out with the bytes it has on the disk.
    return text.getvalue().encode("utf-8", "surrogateescape")


def find_truth(folder: Path, labels: Sequence[str]) -> dict[Path, int]:
    """{picture: true class} where the folder has class folders or a labels.csv.

    Class folders that are none of the model's are not taken for labels: a tree of folders may mean anything.

    Raises:
        DataError: If the folder is not labelled.
    """
    class_ids = {label: class_id for class_id, label in enumerate(labels)}
    return {
        file.path.resolve(): class_ids[file.label]
        for file in open_source(str(folder)).files
        if file.label in class_ids
    }


def choose_answers(
    scorer: Scorer, scored: Scored, truth: dict[Path, int], most: int = CHARTED
) -> list[Answer]:
    """Pictures for a chart, spread evenly over all, so that every class folder has its chance; read again.

    Raises:
        PictureError: If one has gone since it was scored.
    """
    places = np.linspace(0, len(scored) - 1, min(most, len(scored))).round().astype(int)
    return [
        Answer(
            resize(read_picture(path), scorer.size),
            printable(path.name),
            probabilities,
            truth.get(path.resolve()),
        )
        for path, probabilities in (scored[place] for place in places)
    ]
