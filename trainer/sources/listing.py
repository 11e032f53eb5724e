"""Lists folders for the readers: links are followed, every machine sees one order, nothing is passed over in silence."""

import shlex
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from PIL import Image

from trainer.audit.findings import HIDDEN
from trainer.sources.source import Remark


def is_hidden(path: Path) -> bool:
    """Whether a file browser would not show it."""
    return path.name.startswith(".")


def visible(folder: Path) -> list[Path]:
    """What is in a folder, sorted by name, without hidden files and folders."""
    return sorted(child for child in folder.iterdir() if not is_hidden(child))


def hidden(folder: Path) -> list[Remark]:
    """The rest of it."""
    children = sorted(child for child in folder.iterdir() if is_hidden(child))
    return [
        Remark(HIDDEN, child, f"{child} is a hidden {'folder' if child.is_dir() else 'file'}")
        for child in children
    ]


def is_openable(path: Path) -> bool:
    """Whether it is a file, or a link to one that is gone; opening a pipe would wait for ever."""
    return path.is_file() or path.is_symlink() and not path.exists()


def quoted(path: Path) -> str:
    """A path as a shell takes it, for instructions."""
    return shlex.quote(str(path))


def walk(folder: Path, _above: tuple[Path, ...] = ()) -> Iterator[Path]:
    """Every visible file below a folder at any depth; a link back to a folder above is not followed again."""
    resolved = folder.resolve()
    if resolved in _above:
        return
    for child in visible(folder):
        if child.is_dir():
            yield from walk(child, (*_above, resolved))
        elif is_openable(child):
            yield child


def is_named_as_picture(path: Path) -> bool:
    """Whether Pillow knows the ending of the name; the bytes may be anything."""
    return path.suffix.lower() in _picture_suffixes()


@cache
def _picture_suffixes() -> frozenset[str]:
    return frozenset(Image.registered_extensions())
