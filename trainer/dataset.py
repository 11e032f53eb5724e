"""Finds labelled pictures in folders, splits them, and reads them through the device's own preprocessing."""

import hashlib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edge_runtime.errors import DataError, PictureError
from edge_runtime.pictures import read_picture
from edge_runtime.preprocessing import resize

SPLIT_NAMES = ("train", "validation", "test")
HELD_BACK = {"validation": 0.15, "test": 0.15}
"""Share of each class that is held back where the data is not split."""
VALIDATION_OF_TRAIN = 0.2
"""Share of train/ that becomes validation where only train/ and test/ are there."""
MISNAMED_SPLITS = {
    "val": "validation",
    "valid": "validation",
    "dev": "validation",
    "training": "train",
    "testing": "test",
}
LAYOUT = "expected DIR/CLASS/picture.jpg, or DIR/train/CLASS/picture.jpg and DIR/validation/CLASS/picture.jpg"


@dataclass(frozen=True)
class LabelledPicture:
    """One picture file and its class."""

    path: Path
    class_id: int


@dataclass(frozen=True)
class Skipped:
    """A file in a class folder that is no readable picture."""

    path: Path
    reason: str


@dataclass(frozen=True)
class Dataset:
    """Labelled pictures in splits."""

    folder: Path
    labels: tuple[str, ...]
    """Names of the class folders, sorted."""
    splits: dict[str, list[LabelledPicture]]
    """"train", "validation" and, where the data has or allows one, "test"; each in the order of the file names."""
    skipped: list[Skipped]
    fingerprint: str
    """sha256 over labels, splits, relative names and contents."""


def find_dataset(folder: Path, seed: int) -> Dataset:
    """Finds class folders, checks that every file in them is a readable picture, and splits them.

    Folders train/, validation/ and test/ are taken as they are; otherwise each class is split by a seeded
    permutation of its sorted names, so every machine finds the same splits. Hidden files are not looked at.

    Raises:
        DataError: If there is no such folder, it holds fewer than two classes, a class has too few readable
            pictures, or the splits do not have the same classes.
    """
    folders = _class_folders(folder)
    labels = tuple(sorted({label for split in folders.values() for label in split}))
    if len(labels) < 2:
        raise DataError(
            f"{folder} has {len(labels)} class folder ({', '.join(labels)}), expected at least 2",
            "a classifier tells classes apart: add a folder with counter-examples",
        )
    for label in labels:
        if not label.isprintable():  # a label is a line of labels.txt
            raise DataError(
                f"the class folder {label!r} has a character that cannot be printed", "rename the folder"
            )
    found, digests, skipped = _readable(folders, labels)
    for split, pictures in found.items():
        _check_every_class(folder, split, labels, pictures)
    splits = _complete(found, folder, labels, seed)
    return Dataset(folder, labels, splits, skipped, _fingerprint(folder, labels, splits, digests))


def load_arrays(pictures: list[LabelledPicture], size: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Reads pictures as the device will see them.

    Args:
        pictures: Which.
        size: (height, width) of the model's input.

    Returns:
        (pictures, class_ids): uint8 of shape (n, height, width, 3), and int32 of shape (n,).

    Raises:
        PictureError: If a file has gone or changed since `find_dataset` read it.
    """
    array = np.empty((len(pictures), *size, 3), np.uint8)

    def load(number: int) -> None:
        array[number] = resize(read_picture(pictures[number].path), size)

    with ThreadPoolExecutor() as pool:
        list(pool.map(load, range(len(pictures))))
    return array, np.array([picture.class_id for picture in pictures], np.int32)


def _class_folders(folder: Path) -> dict[str, dict[str, Path]]:
    """{split: {label: class folder}}; the only split is "" where the data is not split."""
    if not folder.is_dir():
        raise DataError(
            f"{folder} is {'a file' if folder.exists() else 'not there'}, expected a folder of pictures",
            LAYOUT,
        )
    children = _visible_folders(folder)
    if not children:
        raise DataError(f"{folder} has no class folders", LAYOUT)
    splits = set(children) & set(SPLIT_NAMES)
    misnamed = set(children) & set(MISNAMED_SPLITS)
    # A folder of vehicles may have a class named train: splits are splits where nothing else is beside them.
    if "train" not in splits or splits | misnamed != set(children):
        if "validation" in splits or "val" in misnamed:
            raise DataError(
                f"{folder} has {', '.join(children)}, expected train beside validation and nothing but test with them",
                LAYOUT,
            )
        return {"": children}
    for name in misnamed:
        raise DataError(
            f"{folder / name}: expected the name {MISNAMED_SPLITS[name]}",
            f"mv {folder / name} {folder / MISNAMED_SPLITS[name]}",
        )
    if len(children) == 1:
        return {"": _visible_folders(children["train"])}
    return {split: _visible_folders(children[split]) for split in SPLIT_NAMES if split in children}


def _visible_folders(folder: Path) -> dict[str, Path]:
    return {
        child.name: child
        for child in sorted(folder.iterdir())
        if child.is_dir() and not child.name.startswith(".")
    }


def _readable(
    folders: dict, labels: tuple[str, ...]
) -> tuple[dict[str, list[LabelledPicture]], dict[Path, str], list[Skipped]]:
    """Reads every file once: the pictures of each split, the sha256 of each file, and what was skipped."""
    candidates = [
        (split, LabelledPicture(path, labels.index(label)))
        for split, classes in folders.items()
        for label, class_folder in classes.items()
        for path in sorted(class_folder.iterdir())
        if path.is_file() and not path.name.startswith(".")
    ]
    found: dict[str, list[LabelledPicture]] = {split: [] for split in folders}
    digests, skipped = {}, []
    with ThreadPoolExecutor() as pool:
        reasons = pool.map(lambda candidate: _reason_to_skip(candidate[1].path), candidates)
        for (split, picture), (reason, digest) in zip(candidates, reasons, strict=True):
            if reason:
                skipped.append(Skipped(picture.path, reason))
            else:
                found[split].append(picture)
                digests[picture.path] = digest
    return found, digests, skipped


def _reason_to_skip(path: Path) -> tuple[str, str]:
    """(why the file cannot be used or "", its sha256)."""
    try:
        read_picture(path)
        return "", hashlib.sha256(path.read_bytes()).hexdigest()
    except (PictureError, OSError) as problem:
        return str(problem), ""


def _check_every_class(
    folder: Path, split: str, labels: tuple[str, ...], pictures: list[LabelledPicture]
) -> None:
    counts = np.bincount([picture.class_id for picture in pictures], minlength=len(labels))
    for label, count in zip(labels, counts, strict=True):
        if count == 0:
            raise DataError(
                f"{folder / split / label} has no readable picture",
                "add pictures of this class, or remove its folder everywhere",
            )


def _complete(
    found: dict[str, list[LabelledPicture]], folder: Path, labels: tuple[str, ...], seed: int
) -> dict[str, list[LabelledPicture]]:
    if "" in found:
        return _split(found[""], HELD_BACK, folder, labels, seed)
    if "validation" not in found:
        return _split(found["train"], {"validation": VALIDATION_OF_TRAIN}, folder, labels, seed) | {
            "test": found["test"]
        }
    return found


def _split(
    pictures: list[LabelledPicture],
    shares: dict[str, float],
    folder: Path,
    labels: tuple[str, ...],
    seed: int,
) -> dict[str, list[LabelledPicture]]:
    """Holds back `shares` of each class, at least one picture for each split; the rest is train."""
    splits: dict[str, list[LabelledPicture]] = {"train": [], **{split: [] for split in shares}}
    for class_id, label in enumerate(labels):
        members = [picture for picture in pictures if picture.class_id == class_id]
        if len(members) <= len(shares):
            raise DataError(
                f"{folder / label} has {len(members)} readable pictures, expected at least {len(shares) + 1}: "
                f"one each for {', '.join(splits)}",
                "add pictures of this class",
            )
        order = np.random.default_rng([seed, class_id]).permutation(len(members))
        start = 0
        for split, share in shares.items():
            count = max(1, round(share * len(members)))
            splits[split] += [members[i] for i in sorted(order[start : start + count])]
            start += count
        splits["train"] += [members[i] for i in sorted(order[start:])]
    return splits


def _fingerprint(
    folder: Path, labels: tuple[str, ...], splits: dict[str, list[LabelledPicture]], digests: dict[Path, str]
) -> str:
    digest = hashlib.sha256()
    for split, pictures in splits.items():
        for picture in pictures:
            name = picture.path.relative_to(folder).as_posix()
            digest.update(f"{split}\0{labels[picture.class_id]}\0{name}\0{digests[picture.path]}\n".encode())
    return digest.hexdigest()
