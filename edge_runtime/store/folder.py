"""A model's folder as it lies on the disk: versions, links, state, history. No lock and no rule; see store.py for both."""

import errno
import hashlib
import os
import stat
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from edge_runtime.errors import ModelFileError
from edge_runtime.model_file import read_model_file
from edge_runtime.store import reserve
from edge_runtime.store.durable import remove, replace_file, replace_link, sync_folder
from edge_runtime.store.errors import StoreMissing
from edge_runtime.store.history import Event, append_events
from edge_runtime.store.names import CURRENT, PREVIOUS, check_name, file_name, is_safe, version_of
from edge_runtime.store.state import DamagedState, State

STATE = "state.json"


@dataclass(frozen=True)
class Version:
    """A version as it lies in the store."""

    version: str
    path: Path
    size_bytes: int
    sha256: str
    """Of the file, in hexadecimal; "" where it cannot be read."""
    problem: str
    """Why it cannot be used, or ""."""


class Folder:
    """STORE/NAME. Every method raises OSError where the disk does."""

    def __init__(self, path: Path):
        self.path = path
        self.name = path.name
        self.history = path / "history.jsonl"
        self._state = path / STATE
        self._reserve = path / ".reserve"

    def make(self) -> None:
        """Makes it, open to the same people as STORE.

        Raises:
            StoreMissing: If there is no STORE.
        """
        root = self.path.parent
        if not is_folder(root):
            raise no_store(root)
        temporary = root / f".{self.name}.new"
        try:
            if not is_folder(self.path):
                temporary.mkdir(exist_ok=True)
                temporary.chmod(stat.S_IMODE(root.stat().st_mode))
                os.rename(temporary, self.path)
        except OSError:
            if not is_folder(self.path):
                raise
            with suppress(OSError):  # another was first
                temporary.rmdir()
        sync_folder(root)

    def mode(self, most: int) -> int:
        """What a new file in it allows: what the folder does, as far as it makes sense for a file."""
        return 0o600 | (most & self.path.stat().st_mode)

    def file(self, version: str) -> Path:
        """Where a version lies, or would.

        Raises:
            VersionRefused: If there can be no such version.
        """
        return self.path / file_name(check_name("version", version))

    def files(self) -> tuple[str, ...]:
        """The versions whose files are there, oldest first as far as the clock was right."""
        found = [entry for entry in os.scandir(self.path) if version_of(entry.name) and entry.is_file()]
        found.sort(key=lambda entry: (entry.stat().st_mtime_ns, entry.name))
        return tuple(version_of(entry.name) for entry in found)

    def version(self, version: str) -> Version:
        """Reads and checks a version's file."""
        path = self.file(version)
        try:
            content = path.read_bytes()
        except FileNotFoundError:
            return Version(version, path, 0, "", "is not in the store")
        except OSError as problem:
            return Version(version, path, 0, "", f"cannot be read: {problem.strerror}")
        problem = ""
        try:
            manifest = read_model_file(path).manifest
            if (manifest.name, manifest.version) != (self.name, version):
                problem = f"{path} holds {manifest.name!r:.100} {manifest.version!r:.100}"
        except ModelFileError as error:
            problem = str(error)
        return Version(version, path, len(content), hashlib.sha256(content).hexdigest(), problem)

    def linked(self, name: str) -> str | None:
        """The version that a link leads to; None where it is no link of ours."""
        try:
            return version_of(os.readlink(self.path / name))
        except OSError:
            return None

    def follows(self, state: State) -> bool:
        """Whether the links say what the state says."""
        return (self.linked(CURRENT), self.linked(PREVIOUS)) == (state.current, state.previous)

    def read(self) -> tuple[State, str]:
        """The state, and what was wrong with its file or ""; where something was, it is what the links say.

        Raises:
            StoreError: If a newer litelens wrote it.
        """
        current, previous = self.linked(CURRENT), self.linked(PREVIOUS)
        by_links = State(current, previous if previous != current else None)
        try:
            return State.from_json(self._state.read_bytes()), ""
        except FileNotFoundError:
            return by_links, f"{STATE} was not there" if current else ""
        except DamagedState as problem:
            return by_links, f"{STATE} was damaged: {problem}"

    def write(self, state: State, *, in_reserve: bool = False) -> None:
        """Replaces the state; on a full disk, where that is asked for, in the room that was kept for it."""
        content, mode = state.to_json(), self.mode(0o644)
        try:
            replace_file(self._state, content, mode)
        except OSError as problem:
            if not (is_full(problem) and in_reserve and reserve.use(self._reserve)):
                raise
            replace_file(self._state, content, mode)

    def follow(self, state: State) -> State:
        """Has links and history say what the state says; returns the state with what the history still lacks."""
        links = [(PREVIOUS, state.previous), (CURRENT, state.current)]
        if self.linked(PREVIOUS) == state.current:
            links.reverse()  # so that the version that is gone back to is linked all the time
        for name, version in links:
            if self.linked(name) == version:
                continue
            if version:
                replace_link(self.path / name, file_name(version))
            else:
                remove(self.path / name)
        return replace(state, unwritten=() if self.note(*state.unwritten) else state.unwritten)

    def note(self, *events: Event) -> bool:
        """Appends events to the history, those it has already left out; whether the disk took them."""
        try:
            append_events(self.history, events, self.mode(0o666))
        except OSError:
            return False
        return True

    def keep_reserve(self) -> None:
        """Keeps room for one `write`, if there is any."""
        with suppress(OSError):
            reserve.keep(self._reserve, self.mode(0o644))


def no_store(root: Path) -> StoreMissing:
    """The error for a store that is not there."""
    return StoreMissing(f"there is no store {root}", f"make it: sudo install -d -m 2775 -g GROUP {root}")


def folder_of(model: Path) -> Path | None:
    """STORE/NAME, absolute, of a model file that was named STORE/NAME/current; None of any other file."""
    folder = Path(os.path.abspath(model)).parent  # not resolve(): current is a link
    ours = model.name == CURRENT and is_safe(folder.name) and os.path.isfile(folder / STATE)
    return folder if ours else None


def is_folder(path: Path) -> bool:
    """Whether there is such a folder; unlike os.path.isdir, not False where a folder above may not be entered.

    Raises:
        OSError: If that cannot be told.
    """
    try:
        return stat.S_ISDIR(os.stat(path).st_mode)
    except (FileNotFoundError, NotADirectoryError):
        return False


def is_full(problem: OSError) -> bool:
    """Whether the disk, or what its user may have of it, is used up."""
    return problem.errno in (errno.ENOSPC, errno.EDQUOT)
