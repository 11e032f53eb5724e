"""DIR/pulled.jsonl: every picture that ever came, so that none comes twice, wherever a person has put it since."""

import base64
import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path

from edge_runtime.errors import DataError, WriteError
from fleet.pulling.description import is_scores
from fleet.pulling.listing import HARD_EXAMPLE
from fleet.pulling.looks import LOOK_BYTES

FILE_NAME = "pulled.jsonl"


@dataclass(frozen=True)
class Pulled:
    """A line: a picture, kept or left out."""

    file: str | None
    """CLASS/NAME.jpg, where it was put; None: it was left out."""
    left_out: str | None
    """Why."""
    like: str | None
    """The file because of which it was left out: the same, or one that looks so."""
    sha256: str
    device: str
    """As the fleet file names it, or its address."""
    there: str
    """Its path below the device's state folder."""
    bytes: int
    when: str
    """Of capture, by the device's clock: ISO 8601, UTC."""
    kind: str
    """"saved" or "hard example"."""
    why: str | None
    """Of a hard example: "uncertain" or "changed"."""
    label: str | None
    """A saved frame's class, by a person; a hard example's best label, by the model. None: there is no telling."""
    scores: dict[str, float] | None
    """{label: score}, of a hard example; the device keeps none of saved frames."""
    model: str | None
    """The model's name that the scores are of."""
    version: str | None
    """Its version."""
    look: str
    """pHash and thumbnail, by which pictures that look the same are known; "" where none can be."""


class Index:
    """The file. One process at a time writes it."""

    def __init__(self, folder: Path):
        """Reads it, where it is there; the half line that a cut has left is dropped.

        Raises:
            DataError: If a line is none of ours.
            WriteError: If the file cannot be read or the half line not be dropped.
        """
        self._path = folder / FILE_NAME
        try:
            content = self._path.read_bytes() if self._path.exists() else b""
            whole, newline, _ = content.rpartition(b"\n")
            self._size = len(whole) + len(newline)
            if self._size < len(content):
                os.truncate(self._path, self._size)
        except OSError as problem:
            raise WriteError(
                f"cannot read {self._path}: {problem}", "check its permissions, or name another folder"
            ) from problem
        self.lines = [self._line(number, line) for number, line in enumerate(whole.splitlines(), start=1)]

    def append(self, pulled: Pulled) -> None:
        """Adds a line, whole and on the disk, or not at all.

        Raises:
            WriteError: If the disk does not take it.
        """
        line = json.dumps(asdict(pulled)).encode() + b"\n"
        try:
            with self._path.open("ab", buffering=0) as file:
                try:
                    if file.write(line) < len(line):
                        raise OSError("no room is left on the disk")
                    os.fsync(file.fileno())
                except OSError:
                    os.truncate(self._path, self._size)
                    raise
        except OSError as problem:
            raise WriteError(
                f"cannot write {self._path}: {problem}",
                "make room or check the permissions, and run the same command again",
            ) from problem
        self._size += len(line)
        self.lines.append(pulled)

    def _line(self, number: int, line: bytes) -> Pulled:
        try:
            pulled = Pulled(**json.loads(line))
            strings = (pulled.sha256, pulled.device, pulled.there, pulled.kind, pulled.look)
            if not all(isinstance(text, str) for text in strings) or not isinstance(pulled.bytes, int):
                raise ValueError("a value is no text")
            if pulled.file is not None and pulled.kind == HARD_EXAMPLE and not is_scores(pulled.scores):
                raise ValueError("scores are none")
            if pulled.look and len(base64.b64decode(pulled.look)) != LOOK_BYTES:
                raise ValueError("look is cut")
            return pulled
        except (ValueError, TypeError) as problem:
            raise DataError(
                f"{self._path}, line {number} is none of litelens: {problem}",
                "delete that line; its picture then may come again",
            ) from problem
