"""Audits what --data names, also where no training could use it as it is."""

from dataclasses import dataclass
from pathlib import Path

from edge_runtime.errors import DataError
from edge_runtime.pictures import is_picture
from trainer.audit.audit import summarise
from trainer.audit.findings import Audit
from trainer.audit.inspection import inspect_files
from trainer.config import Selection
from trainer.dataset import make_dataset, select
from trainer.sources.csv_labels import FILE_NAME
from trainer.sources.listing import hidden, is_openable, visible
from trainer.sources.open_source import open_source
from trainer.sources.source import Source, SourceFile


@dataclass(frozen=True)
class Audited:
    """A source and what was found in it."""

    source: Source
    audit: Audit
    problem: DataError | None
    """Why nothing can be trained on it; None if something can."""


def audit_data(selection: Selection) -> Audited:
    """Inspects every file of what `selection` names, split as a training with these settings would split it.

    It may also be a folder of pictures without classes; then every visible file in it is looked at.

    Raises:
        DataError: If it cannot be opened at all.
        Others: As trainer.sources.open_source.
    """
    problem = None
    try:
        source = select(open_source(selection.data, selection.sha256), selection)
    except DataError as no_source:
        source, problem = _flat_folder(selection.data), no_source
        if source is None:
            raise
    inspections = inspect_files([file.path for file in source.files])
    if problem is None:
        try:
            return Audited(source, make_dataset(source, selection, inspections).audit, None)
        except DataError as no_dataset:
            problem = no_dataset
    placed = {
        file.path: (file.split, file.label)
        for file, inspection in zip(source.files, inspections, strict=True)
        if inspection.usable
    }
    return Audited(source, summarise(source, inspections, placed), problem)


def _flat_folder(spec: str) -> Source | None:
    """A folder of pictures and nothing that says what they are; None if it is something else."""
    folder = Path(spec).expanduser()
    if not folder.is_dir():
        return None
    children = visible(folder)
    if any(child.is_dir() or child.name == FILE_NAME for child in children):
        return None
    paths = [child for child in children if is_openable(child)]
    if not any(is_picture(path) for path in paths):
        return None
    return Source(spec, folder, tuple(SourceFile(path, "", "") for path in paths), tuple(hidden(folder)))
