"""Class folders, in train/, validation/ and test/ or not split."""

from pathlib import Path

from edge_runtime.errors import DataError
from trainer.audit.findings import TOO_DEEP
from trainer.sources.listing import hidden, is_openable, quoted, visible, walk
from trainer.sources.source import SPLIT_NAMES, Remark, Source, SourceFile

MISNAMED_SPLITS = {
    "val": "validation",
    "valid": "validation",
    "dev": "validation",
    "training": "train",
    "testing": "test",
}
LAYOUT = "expected DIR/CLASS/picture.jpg, or DIR/train/CLASS/picture.jpg and DIR/validation/CLASS/picture.jpg"


def open_folders(spec: str, folder: Path) -> Source:
    """Takes the name of a file's folder for its class; links are followed.

    Folders train, validation and test are splits where nothing else is beside them: there may be a class train.

    Raises:
        DataError: If there are no class folders, a split is misnamed or lacks a class, or the pictures of a
            class lie deeper than its folder.
    """
    splits = _splits(spec, folder)
    classes = {split: _visible_folders(split_folder) for split, split_folder in splits.items()}
    _check_every_class(splits, classes)
    remarks = hidden(folder)
    for split_folder in splits.values():
        if split_folder != folder:
            remarks += hidden(split_folder)
    files: list[SourceFile] = []
    for split, class_folders in classes.items():
        for label, class_folder in class_folders.items():
            found = [path for path in visible(class_folder) if is_openable(path)]
            files += [SourceFile(path, label, split) for path in found]
            remarks += hidden(class_folder) + _too_deep(class_folder)
    files.sort(key=lambda file: file.path.relative_to(folder).parts)
    return Source(spec, folder, tuple(files), tuple(remarks))


def _splits(spec: str, folder: Path) -> dict[str, Path]:
    """{split: its folder}; the only split is "" where the data is not split."""
    children = _visible_folders(folder)
    if not children:
        raise DataError(f"{spec} has no class folders", LAYOUT)
    splits = set(children) & set(SPLIT_NAMES)
    misnamed = set(children) & set(MISNAMED_SPLITS)
    if "train" not in splits or splits | misnamed != set(children):
        if "validation" in splits or "val" in misnamed:
            raise DataError(
                f"{spec} has {', '.join(children)}, expected train beside validation and nothing but test with them",
                LAYOUT,
            )
        return {"": folder}
    for name in misnamed:
        raise DataError(
            f"{folder / name}: expected the name {MISNAMED_SPLITS[name]}",
            f"mv {quoted(folder / name)} {quoted(folder / MISNAMED_SPLITS[name])}",
        )
    if len(children) == 1:
        return {"": children["train"]}
    return {split: children[split] for split in SPLIT_NAMES if split in children}


def _visible_folders(folder: Path) -> dict[str, Path]:
    return {child.name: child for child in visible(folder) if child.is_dir()}


def _check_every_class(splits: dict[str, Path], classes: dict[str, dict[str, Path]]) -> None:
    labels = sorted({label for class_folders in classes.values() for label in class_folders})
    for split, split_folder in splits.items():
        if not labels:
            raise DataError(f"{split_folder} has no class folders", LAYOUT)
        for label in labels:
            class_folder = classes[split].get(label)
            if class_folder is None:
                raise DataError(
                    f"{split_folder / label} has no readable picture: there is no such folder",
                    "add pictures of this class, or remove its folder everywhere",
                )
            if not any(is_openable(path) for path in visible(class_folder)):
                _refuse_empty(split_folder, class_folder)


def _refuse_empty(above: Path, class_folder: Path) -> None:
    """Says what is there instead of pictures."""
    deeper = next(walk(class_folder), None)
    if deeper is None:
        raise DataError(
            f"{class_folder} has no readable picture: nothing is in it",
            "add pictures of this class, or remove its folder everywhere",
        )
    found = f"{class_folder} has no pictures of its own, its first lies deeper: {deeper}"
    if len(_visible_folders(above)) == 1 and len(_visible_folders(class_folder)) > 1:
        raise DataError(
            f"{found}; {LAYOUT}",
            f"name the folder that holds the class folders: --data {quoted(class_folder)}",
        )
    raise DataError(
        f"{found}; {LAYOUT}", f"mv {quoted(deeper.parent)}/* {quoted(class_folder)}/ for each folder in it"
    )


def _too_deep(class_folder: Path) -> list[Remark]:
    return [
        Remark(TOO_DEEP, path, f"{path} lies below {class_folder}, expected in it")
        for child in _visible_folders(class_folder).values()
        for path in walk(child)
    ]
