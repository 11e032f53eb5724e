"""Frames that are kept for training, in a folder a class: what `litelens train --data` takes."""

import os
import secrets
import shutil
import stat
import threading
import unicodedata
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from edge_runtime.capture.frame import Frame
from edge_runtime.errors import WriteError
from edge_runtime.web.answers import Refusal
from edge_runtime.web.jpeg import LARGEST_SIDE_PX, encode
from edge_runtime.whole_file import write_whole

MOST_NAME_BYTES = 100
"""Of a class's name in UTF-8; file systems take 255."""
MOST_CLASSES = 1000
_QUALITY = 95
_SEPARATORS = "/\\"
_JOINERS = "\u200c\u200d"  # invisible, and part of Persian words and of emoji
_PICTURES = (".jpg", ".jpeg", ".png")


@dataclass(frozen=True)
class Saved:
    """A frame that was kept."""

    label: str
    """The class, as its folder is called."""
    file: str
    """Below the folder of all: "CLASS/NAME.jpg"."""
    count: int
    """Pictures of the class now."""


class ClassFolders:
    """The folder with a folder a class in it. Its methods may be called from any thread."""

    def __init__(self, folder: Path, keep_free_bytes: int):
        """Makes the folder where it is not there.

        Raises:
            WriteError: If it cannot be made, or not be written.
        """
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as problem:
            raise WriteError(
                f"cannot make the folder {folder}: {problem.strerror}", "name a folder that you may write"
            ) from problem
        if not os.access(folder, os.W_OK | os.X_OK):
            raise WriteError(f"the folder {folder} may not be written", f"chmod u+wx {folder}")
        self.folder = folder.resolve()
        self._keep_free_bytes = keep_free_bytes
        self._lock = threading.Lock()
        self._counted: dict[str, tuple[int, int]] = {}
        """Of each class folder, when it was changed, and the pictures that were in it then."""

    def save(self, name: str, frame: Frame, labels: Sequence[str]) -> Saved:
        """Writes the frame as a JPEG of its full size into the class's folder, which it makes where needed.

        Args:
            name: The class, as somebody typed it.
            frame: What to write.
            labels: The model's, which a new class must not differ from by capital letters alone.

        Raises:
            Refusal: If the name is no name for a folder or too near to another, or there is no room.
            WriteError: If the disk does not take it.
        """
        name = checked_name(name)
        if max(frame.image.shape[:2]) > LARGEST_SIDE_PX:
            size = f"{frame.image.shape[1]}x{frame.image.shape[0]}"
            raise Refusal(
                422, f"a JPEG has at most {LARGEST_SIDE_PX} pixels a side, the frame {size}", "crop it"
            )
        with self._lock:  # one at a time: the processor is the loop's
            name = self._folder_name(name, labels)
            jpeg = encode(frame.image, _QUALITY)
            self._check_room(len(jpeg))
            file = _file_name(frame)
            self._write(self.folder / name, file, jpeg)
            return Saved(name, f"{name}/{file}", self._count(self.folder / name))

    def counts(self) -> dict[str, int]:
        """How many pictures each class has, by name; kept up to date when files come or go by other ways."""
        with self._lock:
            return {name: self._count(self.folder / name) for name in sorted(self._names())}

    def _folder_name(self, name: str, labels: Sequence[str]) -> str:
        """The folder that is there for the class, or the name for a new one.

        Raises:
            Refusal: If a class is there whose name differs in capital letters alone, or there are too many.
        """
        present = self._names()
        for known in (*present, *labels):
            same = unicodedata.normalize("NFC", known)
            if same == name and known in present:
                return known  # as the disk has it: macOS writes accents apart
            if same != name and same.casefold() == name.casefold():
                raise Refusal(
                    409,
                    f"there is a class {known}, which differs from {name} in capital letters alone",
                    f"save to {known}",
                    existing=known,
                )
        if len(present) >= MOST_CLASSES:
            raise Refusal(
                409, f"{self.folder} has {len(present)} class folders, expected fewer", "remove some"
            )
        return name

    def _check_room(self, needed_bytes: int) -> None:
        free = shutil.disk_usage(self.folder).free
        if free - needed_bytes < self._keep_free_bytes:
            raise Refusal(
                507,
                f"the disk has {free // 2**20} MiB left, expected at least {self._keep_free_bytes // 2**20}",
                f"make room, or move pictures away from {self.folder}",
            )

    def _write(self, folder: Path, file: str, jpeg: bytes) -> None:
        try:
            folder.mkdir()
        except FileExistsError:
            if not stat.S_ISDIR(folder.lstat().st_mode):
                raise Refusal(
                    409, f"{folder} is there and is no folder", "take it away, or use another name"
                ) from None
        except OSError as problem:
            raise WriteError(
                f"cannot make the folder {folder}: {problem.strerror}", "check the disk and its permissions"
            ) from problem
        try:
            write_whole(folder / file, jpeg)
        except WriteError:
            # A class folder without a picture is an error to `litelens train`.
            with suppress(OSError):
                folder.rmdir()
            raise

    def _names(self) -> list[str]:
        """The class folders that are there; links and hidden ones are not followed, nor counted."""
        with os.scandir(self.folder) as entries:
            return [e.name for e in entries if e.is_dir(follow_symlinks=False) and not e.name.startswith(".")]

    def _count(self, folder: Path) -> int:
        """Lists the folder only when it has changed."""
        try:
            changed = folder.stat().st_mtime_ns
            known = self._counted.get(folder.name)
            if known and known[0] == changed:
                return known[1]
            files = os.listdir(folder)
        except OSError:  # removed or locked meanwhile
            return 0
        count = sum(file.lower().endswith(_PICTURES) and not file.startswith(".") for file in files)
        self._counted[folder.name] = (changed, count)
        return count


def checked_name(name: str) -> str:
    """A class's name as its folder will be called: composed (NFC), without space around it.

    Raises:
        Refusal: If no folder may be called so.
    """
    name = unicodedata.normalize("NFC", name).strip()
    for wrong, is_so in (
        ("is empty", not name),
        (f"has more than {MOST_NAME_BYTES} bytes", len(name.encode(errors="replace")) > MOST_NAME_BYTES),
        ("starts with a dot", name.startswith(".")),
        ("contains / or \\", any(c in name for c in _SEPARATORS)),
        ("contains a character that is not shown", any(_is_hidden(c) for c in name)),
    ):
        if is_so:
            raise Refusal(
                422, f"the class name {name[:MOST_NAME_BYTES]!r} {wrong}", "use letters, digits, - and _"
            )
    return name


def _is_hidden(character: str) -> bool:
    """Control characters, surrogates, direction marks, line separators."""
    category = unicodedata.category(character)
    return character not in _JOINERS and (category.startswith("C") or category in ("Zl", "Zp"))


def _file_name(frame: Frame) -> str:
    """Sorts by time of capture; the random end keeps two apart when the clock jumps back."""
    taken = datetime.fromtimestamp(frame.time, UTC)
    return f"{taken:%Y%m%d-%H%M%S}-{taken.microsecond // 1000:03}-{secrets.token_hex(4)}.jpg"
