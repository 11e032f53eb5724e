"""Labelled pictures, read as the device reads them: as frames to be timed, and to measure top-1."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.card.contract import Accuracy
from edge_runtime.capture.files import check_path
from edge_runtime.classifier import Classifier
from edge_runtime.errors import DataError, PictureError
from edge_runtime.pictures import read_picture

SPLITS = ("test", "validation")
"""The first that is there is taken: pictures that the model has not learned from."""


@dataclass(frozen=True)
class Pictures:
    """The files in a folder of class folders; none has been read yet."""

    data: Path
    """As the user named it."""
    split: str
    """The folder below it that holds the class folders, or "" where it does so itself."""
    files: tuple[tuple[Path, str], ...]
    """Path and label, class by class."""


def find_pictures(data: Path, labels: tuple[str, ...]) -> Pictures:
    """Lists the pictures of a folder with one folder a class, or with splits that have them.

    Hidden files and folders are left out, as `litelens classify` does.

    Raises:
        SourceError: If data is not there or may not be read.
        DataError: If it is no folder, its class folders are not the model's labels, or they are empty.
    """
    check_path(data)
    if not data.is_dir():
        raise DataError(f"{data} is a file, expected a folder with a folder a class", "name its folder")
    # A class may be called "test".
    split = next((name for name in SPLITS if name not in labels and (data / name).is_dir()), "")
    folders = {folder.name: folder for folder in _folders(data / split)}
    if folders.keys() != set(labels):
        raise DataError(
            f"the class folders in {data / split} do not match the model: they are {_list(folders)}, "
            f"the model's labels {_list(labels)}{_difference(set(folders), set(labels))}",
            "name the pictures that this model was trained for, in folders named like its labels",
        )
    files = tuple((path, label) for label in labels for path in _files(folders[label]))
    if not files:
        raise DataError(f"the class folders in {data / split} are empty", "put pictures into them")
    return Pictures(data, split, files)


def frames(pictures: Pictures) -> Iterator[np.ndarray]:
    """The pictures over and over, each read when it is asked for; those that cannot be read are left out.

    Raises:
        DataError: If none can be read.
    """
    readable = True
    while readable:
        readable = False
        for path, _ in pictures.files:
            try:
                yield read_picture(path)
            except PictureError:
                continue
            readable = True
    raise _none_readable(pictures)


def measure_accuracy(classifier: Classifier, pictures: Pictures) -> tuple[Accuracy, tuple[int, int]]:
    """Classifies each picture once, through the classifier that is timed.

    Returns:
        Top-1, and the median (height, width) of the pictures.

    Raises:
        DataError: If none can be read.
    """
    correct, sizes, skipped = 0, [], []
    for path, label in pictures.files:
        try:
            image = read_picture(path)
        except PictureError:
            skipped.append(str(path.relative_to(pictures.data)))
            continue
        sizes.append(image.shape[:2])
        correct += classifier.classify(image, top_k=1)[0].label == label
    if not sizes:
        raise _none_readable(pictures)
    height, width = (int(side) for side in np.median(sizes, axis=0))
    name = pictures.data.resolve().name
    accuracy = Accuracy(name, pictures.split, len(sizes), correct, correct / len(sizes), tuple(skipped))
    return accuracy, (height, width)


def _none_readable(pictures: Pictures) -> DataError:
    return DataError(
        f"none of the {len(pictures.files)} files in {pictures.data / pictures.split} is a readable picture",
        "name a folder with JPEG or PNG files in its class folders",
    )


def _folders(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))


def _files(folder: Path) -> Iterator[Path]:
    for where, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        # No pipes: opening one would wait for its writer for ever.
        yield from (
            Path(where, name) for name in sorted(files) if name[0] != "." and Path(where, name).is_file()
        )


def _list(names) -> str:
    return ", ".join(map(repr, sorted(names))) or "none"


def _difference(folders: set[str], labels: set[str]) -> str:
    """Where both are long, what to look for."""
    sides = ((folders - labels, "no label"), (labels - folders, "no folder"))
    return "".join(f"; {why} for {_list(names)}" for names, why in sides if names)
