"""JSON, one object a line: on standard output, or in a file that is rotated."""

import json
import os
import sys
from pathlib import Path
from typing import Protocol

from edge_runtime.deciding.observation import Observation
from edge_runtime.errors import WriteError
from edge_runtime.sinks.background import Handover, NotDelivered
from edge_runtime.sinks.settings import What

LINES_IN_MEMORY = 1000
"""Of a live camera, that a slow reader or a full disk may lag behind before the oldest are dropped."""


class Target(Protocol):
    """Where lines go."""

    name: str

    def write(self, line: bytes) -> None:
        """Writes a whole line or nothing. Raises OSError."""

    def close(self) -> None: ...


class JsonLines(Handover[dict]):
    """Writes a line for each observation, or for each event.

    Lines of a live camera are written by a thread, and those that the reader has no time for are dropped and counted.
    A file or a folder has time: there `take` writes itself, waits, and no line is left out.
    """

    def __init__(self, target: Target, what: What, live: bool):
        """Takes where to write, "all" or "events", and whether the frames come at their own rate."""
        super().__init__(target.name, keep=LINES_IN_MEMORY)
        self._target = target
        self._what = what
        self._live = live
        self._closed_pipe: BrokenPipeError | None = None

    def take(self, observation: Observation) -> None:
        """Keeps or writes the lines of an observation.

        Raises:
            BrokenPipeError: If nobody reads any more, as with ``| head``; also if it showed at an earlier line.
            WriteError: If frames are not live and the line cannot be written.
        """
        if self._closed_pipe:
            raise self._closed_pipe
        events_only = self._what == "events"
        for content in map(vars, observation.events) if events_only else (observation_content(observation),):
            if self._live:
                self.put(content)
            else:
                self._write_now(content)

    def deliver(self, item: dict) -> None:
        if self._closed_pipe:
            return
        try:
            self._target.write(_line(item))
        except BrokenPipeError as problem:  # to be raised where the program can end by it
            self._closed_pipe = problem
        except OSError as problem:
            raise NotDelivered(f"cannot write to {self.name}: {problem}") from problem

    def release(self) -> None:
        self._target.close()

    def _write_now(self, content: dict) -> None:
        try:
            self._target.write(_line(content))
        except BrokenPipeError:
            raise
        except OSError as problem:
            raise WriteError(
                f"cannot write to {self.name}: {problem}",
                "check the folder, its permissions and the free disk space",
            ) from problem
        self.delivered += 1


class StandardOutput:
    """Standard output, without Python's buffer: a thread that hangs in it would keep the program from ending."""

    name = "stdout"

    def __init__(self):
        sys.stdout.flush()
        self._file = sys.stdout.fileno()

    def write(self, line: bytes) -> None:
        """Writes at once. Up to 4 KiB a pipe takes whole or not at all."""
        while line:
            line = line[os.write(self._file, line) :]

    def close(self) -> None:
        """Leaves it open: it belongs to the program."""


class RotatingFile:
    """A file that is appended to, and renamed when it is large."""

    name = "log"

    def __init__(self, path: Path, rotate_bytes: int, keep: int):
        """Opens nothing yet."""
        self._path, self._rotate_bytes, self._keep = path, rotate_bytes, keep
        self._file: int | None = None
        self._size = 0

    def write(self, line: bytes) -> None:
        """Appends a line, as a whole or not at all, after renaming the file where it would become too large."""
        if self._file is None:
            self._open()
        if self._size and self._size + len(line) > self._rotate_bytes:
            self._rotate()
        written = 0
        try:
            while written < len(line):
                written += os.write(self._file, line[written:])
        except OSError:
            os.ftruncate(self._file, self._size)  # the disk was full in the midst of it
            raise
        self._size += written

    def close(self) -> None:
        """Ends it; a later `write` opens it again."""
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def _open(self) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o666)
        self._size = os.fstat(self._file).st_size
        # A run that was killed within a line; what follows is to stand on lines of its own.
        if self._size and os.pread(self._file, 1, self._size - 1) != b"\n":
            self._size += os.write(self._file, b"\n")

    def _rotate(self) -> None:
        self.close()
        for number in range(self._keep, 0, -1):
            older = self._numbered(number - 1)
            if older.exists():
                os.replace(older, self._numbered(number))
        if not self._keep:
            self._path.unlink(missing_ok=True)
        self._open()

    def _numbered(self, number: int) -> Path:
        return self._path.with_name(f"{self._path.name}.{number}") if number else self._path


def strict_json(content: dict) -> str:
    """JSON for other programs' readers: what is no Unicode, in the name of a file, is a "?" in it.

    Python writes such bytes as halves of surrogate pairs, which it reads itself; Home Assistant's reader, among
    others, refuses the whole text.
    """
    return json.dumps(content, ensure_ascii=False).encode("utf-8", "replace").decode()


def observation_content(observation: Observation) -> dict:
    """An observation as JSON has it, without the picture: text is made of it in the sink's thread."""
    return {
        "source": observation.frame.source,
        "frame": observation.frame.number,
        "time": observation.frame.time,
        "answer": observation.answer,
        "predictions": [vars(prediction) for prediction in observation.predictions],
        "state": observation.state,
        "events": [vars(event) for event in observation.events],
        "age_ms": round(observation.age_ms, 1),
        "invoke_ms": round(observation.invoke_ms, 2),
    }


def _line(content: dict) -> bytes:
    return json.dumps(content).encode() + b"\n"
