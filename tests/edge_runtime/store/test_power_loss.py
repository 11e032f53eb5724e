"""What a power cut may leave behind, beyond what kill -9 does: changes that were not flushed are lost, or kept, one by one.

An operation's system calls are recorded with strace. A model of a disk replays them up to each point, and there takes
away what no fsync had promised: of a folder any of the names that were made, renamed or removed since its last fsync; of
a file all it was given since its own, or half of it, or all but its length. That is what POSIX allows and file systems were seen
to do (Pillai et al., "All File Systems Are Not Created Equal", OSDI 2014). Each disk that this gives is written out, and
the store on it has to work.
"""

import itertools
import os
import re
import shutil
import signal
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from edge_runtime.store.errors import StoreError
from edge_runtime.store.store import Store

RECORDED = (
    "openat,write,pwrite64,ftruncate,fsync,fdatasync,close,rename,renameat,renameat2,symlink,symlinkat,link,linkat,"
    "unlink,unlinkat,mkdir,mkdirat,rmdir,sendfile,copy_file_range,dup,dup2,dup3,fcntl,mmap,truncate"
)
_CALL = re.compile(r"^\d+ +(\w+)\((.*)\) += (-?\w+)", re.MULTILINE)
_TEXT = re.compile(r'"((?:\\x[0-9a-f]{2})*)"(\.\.\.)?')
MOST_PENDING = 6
"""Of so many unflushed names all subsets are tried, of more only some."""


@dataclass(eq=False)
class File:
    """Bytes, and those of them that were flushed."""

    content: bytes
    flushed: bytes

    def after_a_cut(self) -> set[bytes]:
        if self.content == self.flushed:
            return {self.content}
        half = (len(self.flushed) + len(self.content)) // 2
        zeros = bytes(max(0, len(self.content) - len(self.flushed)))
        return {self.flushed, self.content, self.content[:half], self.flushed[: len(self.content)] + zeros}


@dataclass(eq=False)
class Link:
    target: str


Entry = "File | Link | Folder"


@dataclass(eq=False)
class Folder:
    """Names, and how they changed since the last flush: (name, what it is from then on or None)."""

    names: dict[str, "File | Link | Folder"] = field(default_factory=dict)
    flushed: dict[str, "File | Link | Folder"] = field(default_factory=dict)
    pending: list[tuple[tuple[str, "File | Link | Folder | None"], ...]] = field(default_factory=list)

    def change(self, *changes: tuple[str, "File | Link | Folder | None"]) -> None:
        """Changes that a disk makes together, such as both names of a rename."""
        _apply(self.names, changes)
        self.pending.append(changes)

    def flush(self) -> None:
        self.flushed, self.pending = dict(self.names), []

    def after_a_cut(self) -> Iterator[dict]:
        """Every set of names that the disk may have."""
        count = len(self.pending)
        if count <= MOST_PENDING:
            chosen = itertools.product((True, False), repeat=count)
        else:
            chosen = [[n < cut for n in range(count)] for cut in range(count + 1)]
            chosen += [[n != out for n in range(count)] for out in range(count)]
            chosen += [[n == only for n in range(count)] for only in range(count)]
        for kept in chosen:
            names = dict(self.flushed)
            for changes, keep in zip(self.pending, kept, strict=True):
                if keep:
                    _apply(names, changes)
            yield names


def _apply(names: dict, changes: tuple) -> None:
    for name, entry in changes:
        if entry is None:
            names.pop(name, None)
        else:
            names[name] = entry


class Disk:
    """A folder and all below it, with what was flushed and what was not."""

    def __init__(self, root: Path):
        """Takes in what lies there, all of it flushed."""
        self._root = str(root)
        self.top = self._read(root)
        self._open: dict[int, tuple[File | Folder, int]] = {}

    def _read(self, folder: Path) -> Folder:
        names = {}
        for path in folder.iterdir():
            if path.is_symlink():
                names[path.name] = Link(os.readlink(path))
            elif path.is_dir():
                names[path.name] = self._read(path)
            else:
                names[path.name] = File(path.read_bytes(), path.read_bytes())
        return Folder(names, dict(names))

    def _find(self, path: str) -> tuple[Folder, str] | None:
        """The folder that a path is in, and its name there; None where it is elsewhere."""
        if path != self._root and not path.startswith(self._root + "/"):
            return None
        *above, name = path[len(self._root) :].strip("/").split("/")
        folder = self.top
        for part in above:
            folder = folder.names[part]
        return folder, name

    def do(self, call: str, words: list[str], texts: list[bytes], result: int) -> bool:
        """Replays a system call; whether it concerned this disk."""
        paths = [os.fsdecode(text) for text in texts]
        if call == "openat":
            return self._opened(paths[0], words, result)
        if call in ("write", "pwrite64", "ftruncate", "fsync", "fdatasync", "close"):
            return self._of_a_handle(call, words, texts, result)
        if call in ("dup", "dup2", "dup3", "fcntl", "mmap"):
            assert int(words[0] if call != "mmap" else words[4]) not in self._open, call
            return False
        found = [self._find(path) for path in paths[-2:]]
        if not any(found):
            return False
        folder, name = found[-1]
        if call in ("rename", "renameat", "renameat2"):
            (old_folder, old), entry = found[0], found[0][0].names[found[0][1]]
            assert old_folder is folder, "a rename from one folder to another"
            folder.change((old, None), (name, entry))
        elif call in ("symlink", "symlinkat"):
            folder.change((name, Link(paths[0])))
        elif call in ("unlink", "unlinkat", "rmdir"):
            folder.change((name, None))
        elif call in ("mkdir", "mkdirat"):
            folder.change((name, Folder()))
        else:
            raise AssertionError(f"{call} is not in the model")
        return True

    def _opened(self, path: str, words: list[str], handle: int) -> bool:
        if (found := self._find(path)) is None:
            return False
        folder, name = found
        entry = self.top if not name else folder.names.get(name)
        created = entry is None
        if created:
            assert "O_CREAT" in words[2], path
            entry = File(b"", b"")
            folder.change((name, entry))
        assert "O_TRUNC" not in words[2], path
        if not isinstance(entry, Link):
            self._open[handle] = (entry, -1 if "O_APPEND" in words[2] else 0)
        return created

    def _of_a_handle(self, call: str, words: list[str], texts: list[bytes], result: int) -> bool:
        handle = int(words[0])
        if handle not in self._open:
            return False
        entry, place = self._open[handle]
        if call == "close":
            del self._open[handle]
            return False
        if call in ("fsync", "fdatasync"):
            if isinstance(entry, Folder):
                entry.flush()
            else:
                entry.flushed = entry.content
        elif call == "ftruncate":
            entry.content = entry.content[: int(words[1])].ljust(int(words[1]), b"\0")
        else:
            assert len(texts[0]) >= result
            at = int(words[-1]) if call == "pwrite64" else len(entry.content) if place < 0 else place
            entry.content = (
                entry.content[:at].ljust(at, b"\0") + texts[0][:result] + entry.content[at + result :]
            )
            if call == "write" and place >= 0:
                self._open[handle] = (entry, place + result)
        return True

    def after_a_cut(self) -> Iterator[dict]:
        """Every content that the disk may have: names to bytes, to the text of a link in a tuple, or to a folder."""
        yield from _all_of(self.top)


def _all_of(folder: Folder) -> Iterator[dict]:
    for names in folder.after_a_cut():
        choices = []
        for entry in names.values():
            if isinstance(entry, File):
                choices.append(sorted(entry.after_a_cut()))
            elif isinstance(entry, Link):
                choices.append([(entry.target,)])
            else:
                choices.append(list(_all_of(entry)))
        for contents in itertools.product(*choices):
            yield dict(zip(names, contents, strict=True))


def write_out(content: dict, folder: Path) -> None:
    folder.mkdir()
    for name, entry in content.items():
        if isinstance(entry, dict):
            write_out(entry, folder / name)
        elif isinstance(entry, tuple):
            os.symlink(entry[0], folder / name)
        else:
            (folder / name).write_bytes(entry)


def recorded(seen: str) -> Iterator[tuple[str, list[str], list[bytes], int]]:
    """The system calls that succeeded: name, arguments, the texts among them, result."""
    assert "unfinished" not in seen, "one thread makes all calls"
    for call, arguments, result in _CALL.findall(seen):
        assert not any(cut for _, cut in _TEXT.findall(arguments)), "strace cut a text short"
        texts = [bytes.fromhex(text.replace("\\x", "")) for text, _ in _TEXT.findall(arguments)]
        if not result.startswith("-"):
            yield call, [word.strip() for word in _TEXT.sub("T", arguments).split(",")], texts, int(result, 0)


class Broken(AssertionError):
    """A power cut leaves a store that does not work."""


@pytest.fixture
def cut_everywhere(tracer, store, model, links, memory, clock):
    """Records operations, one after the other, and checks every disk that a power cut in the last may leave; how many."""

    def run(*operations: str, killed_at: tuple[str, int] | None = None) -> int:
        root, incoming = store.folder.parent, model("4")
        begun = memory / "begun"
        shutil.copytree(root, begun, symlinks=True)
        *earlier, operation = operations
        for name in earlier:
            assert tracer.run(name, store.folder, incoming)[0] == 0
        before = links(store)
        disk, told = Disk(root), store.history().events
        options = ["-xx", "-s", "10000000", "-e", f"trace={RECORDED}"]
        log = ""
        if killed_at:
            killing = f"inject={killed_at[0]}:signal=KILL:when={killed_at[1]}"
            status, log = tracer.run(operation, store.folder, incoming, *options, "-e", killing)
            assert status == signal.SIGKILL, log
        status, seen = tracer.run(operation, store.folder, incoming, *options)
        assert status == 0, seen
        after = links(store)
        checked: set[int] = set()
        _check_all(disk, checked, before, after, told)
        for call in [*recorded(log), *recorded(seen)]:
            if disk.do(*call):
                _check_all(disk, checked, before, after, told)
        assert list(disk.after_a_cut())[0].keys() == {"tiny"}
        return len(checked)

    def _check_all(disk: Disk, checked: set[int], before: tuple, after: tuple, told: tuple) -> None:
        for content in disk.after_a_cut():
            key = hash(repr(sorted(content.items())))
            if key not in checked:
                checked.add(key)
                _check(content, before, after, told)

    def _check(content: dict, before: tuple, after: tuple, told: tuple) -> None:
        root = memory / "after"
        shutil.rmtree(root, ignore_errors=True)
        write_out(content, root)
        found = Store(root / "tiny", clock)
        clock.uptime_s = 101.0
        try:
            current, previous = links(found)
            if current not in (before[0], after[0]):
                raise Broken(f"current is {current}")
            state = found.settle("after the cut")
        except (StoreError, OSError) as problem:
            raise Broken(str(problem)) from problem
        if (state.current, state.previous) not in (before, after) or links(found) != (
            state.current,
            state.previous,
        ):
            raise Broken(f"{state}, {links(found)}")
        if [version for version in found.versions() if version.problem]:
            raise Broken(f"{found.versions()}")
        history = found.history()
        if history.events[: len(told)] != told or history.damaged_lines > 1:
            raise Broken(f"{history}")
        if (state.current, state.previous) != before and not any(
            (event.from_version, event.to_version) == (before[0], after[0])
            for event in history.events[len(told) :]
        ):
            raise Broken(f"the history does not say so: {history}")
        if state.current == "3" or found.switch("3", by="after the cut"):
            found.rollback(by="after the cut")

    return run


@pytest.mark.parametrize("operation", ["switch", "rollback"])
def test_a_store_survives_a_power_cut(cut_everywhere, operation):
    print(cut_everywhere(operation), "disks")


@pytest.mark.slow
@pytest.mark.parametrize(
    "operations",
    [
        ("add",),
        ("install",),
        ("switch_on_trial",),
        ("rollback",),
        ("keep",),
        ("switch_on_trial", "confirm_trial"),
        ("switch_on_trial", "rollback_trial"),
        ("switch_on_trial", "started_trial"),
        ("switch_on_trial", "settle_late"),
        ("switch_on_trial", "started_trial", "started_trial", "started_trial", "started_once_too_often"),
    ],
    ids=" ".join,
)
def test_a_store_survives_a_power_cut_in_any_operation(cut_everywhere, operations):
    print(cut_everywhere(*operations), "disks")


@pytest.mark.slow
@pytest.mark.parametrize("n", range(2, 6))
@pytest.mark.parametrize("call", ["fsync", "rename"])
def test_a_store_survives_a_power_cut_after_a_kill(cut_everywhere, call, n):
    """What a killed process did is seen, and not flushed; the next one builds on it."""
    print(cut_everywhere("install", killed_at=(call, n)), "disks")


@pytest.mark.parametrize("what", ["", "_of_files", pytest.param("_of_folders", marks=pytest.mark.slow)])
def test_the_model_finds_what_is_not_flushed(cut_everywhere, what):
    with pytest.raises(Broken):
        cut_everywhere(f"without_fsync{what}")
