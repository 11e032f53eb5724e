"""From a source to a data set: its labelled pictures audited, selected and split, the same on every machine."""

import hashlib
from collections import defaultdict
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from edge_runtime.errors import DataError
from edge_runtime.pictures import read_picture
from edge_runtime.preprocessing import resize
from trainer.audit.audit import summarise
from trainer.audit.duplicates import look_alike_groups
from trainer.audit.findings import SKIPPED_KINDS, Audit, Finding, Inspection
from trainer.audit.inspection import inspect_files
from trainer.config import Selection
from trainer.sources.open_source import open_source
from trainer.sources.source import SPLIT_NAMES, Source, SourceFile


@dataclass(frozen=True)
class LabelledPicture:
    """One picture file and its class."""

    path: Path
    class_id: int


@dataclass(frozen=True)
class Dataset:
    """Labelled pictures in splits."""

    selection: Selection
    """What was asked for."""
    folder: Path
    """Every picture lies below it."""
    labels: tuple[str, ...]
    """Names of the classes, sorted."""
    splits: dict[str, list[LabelledPicture]]
    """"train", "validation" and, where the data has or allows one, "test"; each in the order of the file names."""
    audit: Audit
    fingerprint: str
    """sha256 over labels, splits, relative names and contents."""

    @property
    def skipped(self) -> list[Finding]:
        """The files that are no readable pictures."""
        return [finding for finding in self.audit.findings if finding.kind in SKIPPED_KINDS]


def find_dataset(selection: Selection) -> Dataset:
    """Opens a source, inspects every file, and splits what is readable.

    Raises:
        DataError: If the source cannot be read, has fewer than two classes, a class has too few readable
            pictures, or the splits do not have the same classes.
    """
    source = select(open_source(selection.data, selection.sha256), selection)
    return make_dataset(source, selection, inspect_files([file.path for file in source.files]))


def select(source: Source, selection: Selection) -> Source:
    """Keeps the classes that are named and at most `limit` pictures of a class in a split, drawn by the seed.

    Raises:
        DataError: If a class that is named is not there.
    """
    files = source.files
    present = sorted({file.label for file in files})
    if selection.classes:
        for label in selection.classes:
            if label not in present:
                raise DataError(
                    f"{source.spec} has no class {label!r}, it has {', '.join(present[:20])}",
                    "name classes that are there in --classes",
                )
        files = tuple(file for file in files if file.label in selection.classes)
    if selection.limit:
        files = tuple(_at_most(files, selection.limit, selection.seed))
    return replace(source, files=files)


def _at_most(files: Sequence[SourceFile], limit: int, seed: int) -> list[SourceFile]:
    members: dict[tuple[str, str], list[int]] = defaultdict(list)
    for number, file in enumerate(files):
        members[file.split, file.label].append(number)
    kept: set[int] = set()
    for group in members.values():
        kept.update(np.random.default_rng([seed, len(group)]).permutation(group)[:limit].tolist())
    return [files[number] for number in sorted(kept)]


def make_dataset(source: Source, selection: Selection, inspections: Sequence[Inspection]) -> Dataset:
    """Splits the usable files of a source and audits the whole.

    Splits that the source has are taken as they are; what is missing is held back from train, for each class by
    a seeded permutation of its sorted names. Pictures that look alike stay in one split, so that no model is
    judged on what it was trained on.

    Args:
        source: Labelled files.
        selection: Fractions and seed.
        inspections: Of source.files, in their order.

    Raises:
        DataError: As `find_dataset`.
    """
    labels = tuple(sorted({file.label for file in source.files}))
    _check_labels(source, labels)
    usable = [number for number, inspection in enumerate(inspections) if inspection.usable]
    groups = _group_of(look_alike_groups(inspections), len(inspections))
    split_of = {number: source.files[number].split for number in usable}
    given = set(split_of.values())
    for split in sorted(given):
        members = [source.files[number].label for number in usable if split_of[number] == split]
        if split in ("", "train"):
            _check_every_class(source, split, labels, members)
    held_back = _to_hold_back(given, selection)
    for class_id, label in enumerate(labels):
        open_numbers = [
            number for number in usable if source.files[number].label == label and split_of[number] in ("", "train")
        ]
        split_of |= _split(open_numbers, groups, held_back, [selection.seed, class_id])
    splits = {
        split: [
            LabelledPicture(source.files[number].path, labels.index(source.files[number].label))
            for number in usable
            if split_of[number] == split
        ]
        for split in SPLIT_NAMES
        if split in split_of.values()
    }
    if "validation" not in splits:
        raise DataError(
            f"{source.spec} has too few pictures for a validation split: no class has two different readable ones",
            "add pictures, or raise --validation-fraction",
        )
    placed = {source.files[number].path: (split_of[number], source.files[number].label) for number in usable}
    fingerprint = _fingerprint(source.folder, labels, splits, {i.path: i.sha256 for i in inspections})
    return Dataset(
        selection, source.folder, labels, splits, summarise(source, inspections, placed), fingerprint
    )


def load_arrays(pictures: Sequence[LabelledPicture], size: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Reads pictures as the device will see them.

    Args:
        pictures: Which.
        size: (height, width) of the model's input.

    Returns:
        (pictures, class_ids): uint8 of shape (n, height, width, 3), and int32 of shape (n,).

    Raises:
        PictureError: If a file has gone or changed since it was inspected.
    """
    array = np.empty((len(pictures), *size, 3), np.uint8)

    def load(number: int) -> None:
        array[number] = resize(read_picture(pictures[number].path), size)

    with ThreadPoolExecutor() as pool:
        list(pool.map(load, range(len(pictures))))
    return array, np.array([picture.class_id for picture in pictures], np.int32)


def _check_labels(source: Source, labels: tuple[str, ...]) -> None:
    if len(labels) < 2:
        raise DataError(
            f"{source.spec} has {len(labels)} class ({', '.join(labels)}), expected at least 2",
            "a classifier tells classes apart: add a class of counter-examples",
        )
    for label in labels:
        if not label.isprintable():  # a label is a line of labels.txt
            raise DataError(
                f"the class {label!r} has a character that cannot be printed", "rename the folder or the label"
            )
    by_case = defaultdict(list)
    for label in labels:
        by_case[label.casefold()].append(label)
    for same in by_case.values():
        if len(same) > 1:
            raise DataError(
                f"{source.spec} has the classes {' and '.join(map(repr, same))}, which differ only in case",
                "rename one, or put their pictures together: they would be one folder on Windows and macOS",
            )


def _check_every_class(source: Source, split: str, labels: tuple[str, ...], members: list[str]) -> None:
    for label in labels:
        if label not in members:
            raise DataError(
                f"{'/'.join(part for part in (source.spec, split, label) if part)} has no readable picture",
                "add pictures of this class, or remove it everywhere",
            )


def _to_hold_back(given: set[str], selection: Selection) -> dict[str, float]:
    """{split: share} of what the source does not bring; a source with validation but no test is judged on validation."""
    if "validation" in given:
        return {}
    shares = {"validation": selection.validation_fraction, "test": selection.test_fraction}
    return {split: share for split, share in shares.items() if share and split not in given}


def _group_of(look_alikes: list[list[int]], count: int) -> list[int]:
    """The group of each file: its own number, or the lowest of those that look like it."""
    groups = list(range(count))
    for members in look_alikes:
        for number in members:
            groups[number] = min(members)
    return groups


def _split(numbers: list[int], groups: list[int], shares: dict[str, float], seed: list[int]) -> dict[int, str]:
    """{file number: split} of one class: every split gets one picture if there are enough, train first."""
    members: dict[int, list[int]] = defaultdict(list)
    for number in numbers:
        members[groups[number]].append(number)
    units = list(members.values())
    units = [units[i] for i in np.random.default_rng(seed).permutation(len(units))]
    placed: dict[int, str] = {}
    for split, share in shares.items():
        wanted = max(1, round(share * len(numbers)))
        taken: list[int] = []
        while len(taken) < wanted and len(units) > 1:
            taken += units.pop()
        placed |= dict.fromkeys(taken, split)
    return placed | dict.fromkeys((number for unit in units for number in unit), "train")


def _fingerprint(
    folder: Path, labels: tuple[str, ...], splits: dict[str, list[LabelledPicture]], digests: dict[Path, str]
) -> str:
    digest = hashlib.sha256()
    for split, pictures in splits.items():
        for picture in pictures:
            name = picture.path.relative_to(folder).as_posix()
            digest.update(f"{split}\0{labels[picture.class_id]}\0{name}\0{digests[picture.path]}\n".encode())
    return digest.hexdigest()
