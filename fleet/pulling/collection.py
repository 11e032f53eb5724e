"""DIR: the pictures that came, in a folder a class, as `litelens audit` and `train` read them."""

import fcntl
import os
import re
import threading
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path

from edge_runtime.errors import DataError, WriteError
from edge_runtime.web.answers import Refusal
from edge_runtime.web.saving import MOST_CLASSES, checked_name
from edge_runtime.whole_file import write_whole
from fleet.pulling.description import Description
from fleet.pulling.index import FILE_NAME, Index, Pulled
from fleet.pulling.listing import HARD_EXAMPLE, NO_DESCRIPTION, SAVED, Listed
from fleet.pulling.looks import Looks, look_of
from trainer.audit.findings import WRONG_EXTENSION, Inspection
from trainer.sources.folders import MISNAMED_SPLITS
from trainer.sources.source import SPLIT_NAMES

GUESS = "guess"
"""How the file of a hard example begins: its class is the model's guess."""
NO_PICTURE = "no usable JPEG"
NO_CLASS = "of a label that no folder may be called"
SAME = "the same as another"
ALIKE = "like another of its class"
_UNFINISHED = re.compile(rf"\.(?:{GUESS}|{SAVED})-.+\.jpg\.\w{{8}}")
"""What `write_whole` leaves of a file if it is killed."""


@dataclass(frozen=True)
class Brought:
    """A picture that has come, and is not in the folder yet."""

    device: str
    listed: Listed
    content: bytes
    inspection: Inspection
    description: Description | None
    """Of a hard example; None: it has none that can be used."""


class Collection:
    """The folder. Its methods may be called from any thread."""

    def __init__(self, folder: Path):
        """Reads what came before; made by `open_collection`."""
        self._folder = folder
        self._lock = threading.Lock()
        self._index = Index(folder)
        self._known: set[tuple[str, str, int]] = set()
        self._same: dict[tuple[str, str | None], str] = {}
        """{(sha256, class): file}, and under (sha256, None) the first of any class."""
        self._looks = Looks()
        self._places = _clean(folder)
        for line in self._index.lines:
            self._remember(line)

    def knows(self, device: str, listed: Listed) -> bool:
        """Whether a device's picture has come before, wherever it is now."""
        return (device, listed.there, listed.size_bytes) in self._known

    def place(self, brought: Brought) -> Pulled:
        """Puts a picture into its class's folder, unless it is there already, looks like another, or is none.

        The picture is written first, then its line in the index: what is killed between them is not brought twice, as its
        name is known.

        Raises:
            WriteError: If the disk does not take it.
        """
        with self._lock:
            pulled = self._judged(brought)
            if pulled.file and not (self._folder / pulled.file).exists():
                self._write(self._folder / pulled.file, brought.content)
            self._index.append(pulled)
            self._remember(pulled)
            return pulled

    def _judged(self, brought: Brought) -> Pulled:
        pulled = _told(brought)
        inspection = brought.inspection
        if not inspection.usable or any(f.kind == WRONG_EXTENSION for f in inspection.findings):
            return replace(pulled, left_out=NO_PICTURE)
        if pulled.label is None:
            return replace(pulled, left_out=NO_DESCRIPTION)
        try:
            label = self._class_name(pulled.label)
        except Refusal:
            return replace(pulled, left_out=NO_CLASS)
        # What people put into two classes comes into both: the audit then names the conflict, and a person decides.
        if same := self._same.get((pulled.sha256, label if pulled.kind == SAVED else None)):
            return replace(pulled, label=label, left_out=SAME, like=same)
        pulled = replace(pulled, label=label)
        # A frame that a person has labelled does not make way for the model's guess.
        groups = dict.fromkeys((_group(replace(pulled, kind=SAVED)), _group(pulled)))
        alike = (self._looks.alike(group, inspection) for group in groups)
        if like := next(filter(None, alike), None):
            return replace(pulled, left_out=ALIKE, like=like)
        name = _file_name(brought)
        file = self._places.get(name, f"{label}/{name}")
        return replace(pulled, file=file, look=look_of(inspection))

    def _class_name(self, label: str) -> str:
        """The folder that is there for a label, or the name for a new one.

        Raises:
            Refusal: If no folder may be called so, or there are too many.
        """
        name = checked_name(label)
        present = [child.name for child in self._folder.iterdir() if child.is_dir()]
        for known in present:
            # Some file systems hold names that differ in capitals for the same, and so do people.
            if unicodedata.normalize("NFC", known).casefold() == name.casefold():
                return known
        if name.casefold() == FILE_NAME or len(present) >= MOST_CLASSES:
            raise Refusal(409, f"there can be no class {name}", "remove some")
        return name

    def _write(self, file: Path, content: bytes) -> None:
        try:
            file.parent.mkdir(exist_ok=True)
        except OSError as problem:
            raise WriteError(
                f"cannot make the folder {file.parent}: {problem}", "check the disk and its permissions"
            ) from problem
        try:
            write_whole(file, content)
        except WriteError:
            # A class folder without a picture is an error to `litelens train`.
            with suppress(OSError):
                file.parent.rmdir()
            raise

    def _remember(self, pulled: Pulled) -> None:
        self._known.add((pulled.device, pulled.there, pulled.bytes))
        if pulled.file is not None:
            self._same.setdefault((pulled.sha256, pulled.label), pulled.file)
            self._same.setdefault((pulled.sha256, None), pulled.file)
            self._looks.add(_group(pulled), pulled.file, pulled.look)


@contextmanager
def open_collection(folder: Path) -> Iterator[Collection]:
    """Opens the folder for one process; made where it is not there.

    Raises:
        DataError: If it is split into train, validation and test, its index is damaged, or another pull writes into it.
        WriteError: If it cannot be made or read.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    except OSError as problem:
        raise WriteError(
            f"cannot make or open the folder {folder}: {problem.strerror}", "name a folder that you may write"
        ) from problem
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as problem:
            raise DataError(
                f"another litelens pull is writing into {folder}", "wait for it, or name another folder"
            ) from problem
        _check_not_split(folder)
        yield Collection(folder)
    finally:
        os.close(handle)


def _check_not_split(folder: Path) -> None:
    for name in (*SPLIT_NAMES, *MISNAMED_SPLITS):
        split = folder / name
        if split.is_dir() and any(child.is_dir() for child in split.iterdir()):
            raise DataError(
                f"{folder} is split: {split} has class folders in it, expected {folder}/CLASS/*.jpg",
                f"name a new folder, or a split: --to {split}",
            )


def _clean(folder: Path) -> dict[str, str]:
    """{name: CLASS/NAME} of the pictures that are there; what killed pulls left unfinished is removed.

    Raises:
        WriteError: If a folder cannot be read or cleaned.
    """
    places: dict[str, str] = {}
    try:
        for child in folder.iterdir():
            for name in sorted(os.listdir(child)) if child.is_dir() else ():
                if _UNFINISHED.fullmatch(name):
                    (child / name).unlink(missing_ok=True)
                places[name] = f"{child.name}/{name}"
    except OSError as problem:
        raise WriteError(
            f"cannot read the folder {folder}: {problem}", "check its permissions, or name another folder"
        ) from problem
    return places


def _told(brought: Brought) -> Pulled:
    """The line of a picture that is neither kept nor left out yet."""
    listed, description = brought.listed, brought.description
    return Pulled(
        file=None,
        left_out=None,
        like=None,
        sha256=brought.inspection.sha256,
        device=brought.device,
        there=listed.there,
        bytes=listed.size_bytes,
        when=listed.when.isoformat(timespec="milliseconds"),
        kind=listed.kind,
        why=listed.why or None,
        label=listed.label or (description.label if description else None),
        scores=description.scores if description else None,
        model=description.model if description else None,
        version=description.version if description else None,
        look="",
    )


def _group(pulled: Pulled) -> tuple[str, ...]:
    """Among which a picture is one too many if it looks like another.

    Of hard examples those that the model was as sure of, to a tenth. A small object changes the answer more than the look:
    with one of a tenth of the frame's width and height pasted in, 21 of 24 pictures still counted as the same.
    """
    sure = f"{max(pulled.scores.values()):.1f}" if pulled.kind == HARD_EXAMPLE else ""
    return pulled.kind, pulled.label, sure


def _file_name(brought: Brought) -> str:
    """Such as guess-garden-20260314T101530.123Z-1f0c9a3e.jpg; the end keeps two apart whose clocks or devices' names agree."""
    kind = SAVED if brought.listed.kind == SAVED else GUESS
    device = re.sub(r"[^A-Za-z0-9.]+", "-", brought.device).strip("-.")[:60]
    when = brought.listed.when
    time = f"{when:%Y%m%dT%H%M%S}.{when.microsecond // 1000:03}Z"
    return f"{kind}-{device}-{time}-{brought.inspection.sha256[:8]}.jpg"
