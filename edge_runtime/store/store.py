"""The versions of one model on a device, in a folder; a switch between them is one instant, a power cut included.

    STORE/NAME/VERSION.tflite   the versions
    STORE/NAME/current          a link to the one that answers: litelens run STORE/NAME/current
    STORE/NAME/previous         a link to the one that a rollback goes back to
    STORE/NAME/state.json       what is decided: both links, the trial (see state.py)
    STORE/NAME/history.jsonl    what happened (see history.py)

A change is made by replacing state.json; links and history follow. What a killed process or a power cut left undone in
between, the next one that changes anything does first, and so does the loop when it starts. `current` leads to a
whole version at every instant.
"""

import errno
import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO

from edge_runtime.errors import LitelensError, ModelFileError
from edge_runtime.model_file import read_model_file
from edge_runtime.store.durable import remove, sync_folder
from edge_runtime.store.errors import StoreBusy, StoreError, VersionRefused
from edge_runtime.store.folder import Folder, Version, is_folder, is_full, no_store
from edge_runtime.store.history import Event, History, read_history
from edge_runtime.store.incoming import Incoming, name_of, new_file, opened, sweep
from edge_runtime.store.lock import Lock, is_in_use
from edge_runtime.store.moment import Moment, now
from edge_runtime.store.names import check_name, is_safe
from edge_runtime.store.state import MOST_UNWRITTEN, STARTS, State

KEEP = 3
"""How many versions stay, unless told otherwise."""
WAIT_S = 10.0
"""For another's change: it is a few writes to an SD card."""
ADDED, REPAIRED, SWITCHED = "added", "repaired", "switched"
ROLLED_BACK, CONFIRMED, REMOVED = "rolled back", "confirmed", "removed"
REFUSED, TRIAL_FAILED = "refused", "on trial and failed"
ALREADY = "already"
"""It was so before the call, and nothing has changed."""
BY_RULE = "the store"
"""Who did what nobody asked for: ended a trial, mended what was left undone."""


@dataclass(frozen=True)
class Staged:
    """A file that was copied into the store and checked, and is no version yet."""

    path: Path
    version: str
    sha256: str


class Store:
    """One model's versions; from any process and thread. What a method raises besides what it says:

    StoreBusy: Somebody else goes on changing the store.
    StoreError: The disk is full, read-only, another user's; or the store is of a newer litelens.
    """

    def __init__(self, folder: Path, clock: Callable[[], Moment] = now):
        """Opens nothing yet.

        Args:
            folder: STORE/NAME; `add` makes NAME.
            clock: Tells the boot and the time since.

        Raises:
            VersionRefused: If NAME is no safe name.
        """
        self.folder = Path(os.path.abspath(folder))
        self.name = check_name("model", self.folder.name)
        self._clock = clock
        self._disk = Folder(self.folder)

    def state(self) -> State:
        """What is decided; takes no lock and changes nothing. The links may be behind it after a power cut."""
        with self._instructing():
            self._check_folder()
            return self._disk.read()[0]

    def versions(self) -> tuple[Version, ...]:
        """All of them in the order they came, each read and checked; takes no lock and changes nothing."""
        state = self.state()
        with self._instructing():
            return tuple(map(self._disk.version, state.with_files(self._disk.files()).added))

    def history(self) -> History:
        """What happened; takes no lock and changes nothing."""
        with self._instructing():
            self._check_folder()
            return read_history(self._disk.history)

    def last_event(self, version: str) -> Event | None:
        """What the history says of a version last; a rollback is of the version that was left."""
        for event in reversed(self.history().events):
            if version == (event.from_version if event.what == ROLLED_BACK else event.to_version):
                return event
        return None

    def failure(self, version: str) -> str:
        """Why a version was left here, if it was not switched to again since; else ""."""
        event = self.last_event(version)
        return told(event) if event and event.what in (ROLLED_BACK, TRIAL_FAILED) else ""

    def running(self) -> bool | None:
        """Whether a loop runs one of the versions; None: unknown, as where there is no version.

        It holds a lock on what it has loaded, from a second after it began.
        """
        with self._instructing():
            files = [self._disk.file(version) for version in self._disk.files()]
            if not files or not all(os.access(file, os.R_OK) for file in files):
                return None
            return any(map(is_in_use, files))

    def file(self, version: str) -> Path:
        """Where a version lies, or would.

        Raises:
            VersionRefused: If there can be no such version.
        """
        return self._disk.file(version)

    def moment(self) -> Moment:
        """Now, by the store's clock."""
        return self._clock()

    def add(
        self, source: Path | BinaryIO, sha256: str | None = None, *, by: str, why: str = ""
    ) -> tuple[str, str]:
        """Copies a model file into the store, whole or not at all; it does not answer yet.

        Args:
            source: The file, or a stream of its bytes.
            sha256: What the bytes must have, in hexadecimal.
            by: Who adds it, for the history.
            why: What for.

        Returns:
            The version; and ADDED, ALREADY (the same bytes are there) or REPAIRED (the file there was damaged).

        Raises:
            VersionRefused: If it is another model, has an unsafe name, another sha256, or is another file than the
                one that the store has under this version. The history says so.
            ModelFileError: If it is no model file, or cannot be read.
        """
        with self.staged(source, sha256, by=by) as staged:
            return staged.version, self.place(staged, by=by, why=why)

    @contextmanager
    def staged(self, source: Path | BinaryIO, sha256: str | None = None, *, by: str) -> Iterator[Staged]:
        """A copy of the file in the store's folder, checked; gone after the ``with`` block unless `place` took it.

        Raises:
            VersionRefused: As `add`, but for the version's other file.
            ModelFileError: As `add`.
        """
        name = name_of(source)
        with opened(source) as stream:
            incoming = self._incoming(by)
            try:
                try:
                    with self._instructing():
                        found = incoming.fill(stream, name)
                    if sha256 is not None and found != sha256.lower():
                        raise VersionRefused(
                            f"{name} has sha256 {found}, expected {sha256.lower():.64}", "copy the file again"
                        )
                    version = self._check_manifest(incoming.path, name)
                except (VersionRefused, ModelFileError) as problem:
                    self.refuse(problem, None, by)
                    raise
                yield Staged(incoming.path, version, found)
            finally:
                incoming.discard()

    def place(self, staged: Staged, *, by: str, why: str = "") -> str:
        """Makes a staged file a version.

        Returns:
            ADDED, ALREADY or REPAIRED.

        Raises:
            VersionRefused: If the store has other bytes under this version.
        """
        version, path = staged.version, self._disk.file(staged.version)
        with self._changing(f"add {version}", by) as state:
            there = self._disk.version(version) if path.exists() else None
            if there and there.sha256 == staged.sha256:
                return ALREADY
            if there and not there.problem:
                problem = (
                    f"{version} is in the store with sha256 {there.sha256}, the new file has {staged.sha256}"
                )
                self._disk.note(self._event(REFUSED, state.current, version, problem, by))
                raise VersionRefused(
                    f"{self.name} {problem}",
                    "one version is one file: export again, which makes a new version",
                )
            os.rename(staged.path, path)
            sync_folder(self.folder)
            did = REPAIRED if there else ADDED
            self._commit(state.with_files(self._disk.files()), self._event(did, None, version, why, by))
        return did

    def refuse(self, problem: LitelensError, version: str | None, by: str) -> None:
        """Notes in the history why a file was refused, if the disk takes it."""
        with suppress(StoreError), self._changing("note a refusal", by) as state:
            self._disk.note(self._event(REFUSED, state.current, version, str(problem), by))

    def switch(self, version: str, *, healthy_s: float | None = None, by: str, why: str = "") -> str:
        """Has another version answer from now on, and remembers the one that did.

        Args:
            version: One of the store's.
            healthy_s: Puts it on trial: the loop must be healthy with it for so long without a break, else the
                version before comes back. None: no trial.
            by: Who wants it, for the history.
            why: What for.

        Returns:
            SWITCHED, or ALREADY if it is the current one; a trial of it goes on.

        Raises:
            StoreBusy: If another version is on trial.
            StoreError: If the store has no such version, or it is damaged.
        """
        with self._changing(f"switch to {check_name('version', version)}", by) as state:
            if state.current == version:
                return ALREADY
            self._check_no_trial(state)
            self._check_version(version)
            new = state.switched(version, healthy_s, self._clock(), by)
            self._commit(new, self._event(SWITCHED, state.current, version, why, by))
        return SWITCHED

    def rollback(self, *, leaving: str | None = None, by: str, why: str = "") -> str:
        """Goes back to the previous version: of a trial nothing is left; without one, a second rollback undoes the first.

        Args:
            leaving: Only if this is the current version, so that a repeated call goes back once.
            by: Who wants it, for the history.
            why: What for.

        Returns:
            ROLLED_BACK, or ALREADY if another version than `leaving` is the current one.

        Raises:
            StoreError: If there is no previous version, or it is damaged.
        """
        with self._changing("roll back", by) as state:
            if leaving is not None and leaving != state.current:
                return ALREADY
            if state.previous is None:
                raise StoreError(
                    f"{self.name} has no version before {state.current or 'the first'}",
                    f"litelens store list {self.folder.parent} {self.name} shows what there is",
                )
            self._check_version(state.previous)
            event = self._event(ROLLED_BACK, state.current, state.previous, why, by)
            self._commit(state.rolled_back(), event)
        return ROLLED_BACK

    def confirm(self, version: str, *, by: str, why: str = "") -> str:
        """Ends the trial of a version: it stays.

        Returns:
            CONFIRMED, or ALREADY if it is the current version and not on trial.

        Raises:
            StoreError: If it is not the current version: its trial failed, or it never had one.
        """
        with self._changing("confirm", by) as state:
            if state.current != version:
                raise StoreError(
                    f"{self.name} {version!r:.100} is not on trial: it {told(self.last_event(version))}",
                    f"litelens store list {self.folder.parent} {self.name} shows what there is",
                )
            if state.trial is None:
                return ALREADY
            self._commit(state.confirmed(), self._event(CONFIRMED, version, version, why, by))
        return CONFIRMED

    def keep(self, count: int, *, by: str) -> tuple[str, ...]:
        """Removes all but the newest versions; never the current or the previous one, nor one that is in use.

        Returns:
            The versions that were removed.

        Raises:
            ValueError: If count is below 1.
        """
        if count < 1:
            raise ValueError(f"count is {count}, expected at least 1")
        with self._changing(f"keep {count} versions", by) as state:
            removed = [
                version
                for version in state.added[:-count]
                if version not in state.needed and not is_in_use(self._disk.file(version))
            ]
            for version in removed:
                remove(self._disk.file(version))
            if removed:
                why = f"the last {count} are kept"
                events = (self._event(REMOVED, None, version, why, by) for version in removed)
                self._commit(state.with_files(self._disk.files()), *events)
        return tuple(removed)

    def started(self, by: str) -> str:
        """Counts a start of the loop while a version is on trial, and goes back after too many.

        Called before the model is loaded, so that whatever that does to the process has been counted.

        Returns:
            What there is to say, in a line for people, or "".
        """
        with self._instructing():
            state, damage = self._disk.read()
            if not damage and not state.trial and self._disk.follows(state):
                return ""  # the usual start: nothing is locked, nothing written
        with self._changing("count a start", by) as after:
            trial = after.trial
            if trial and trial.starts < STARTS:
                trial = replace(trial, starts=trial.starts + 1)
                if self._write_trial(replace(after, trial=trial)).trial:
                    return f"{self.name} {trial.version} is on trial, start {trial.starts} of {STARTS}"
            elif trial:
                self._fail(after, f"started {STARTS} times without being healthy for {trial.healthy_s:g} s")
        if state.trial is None:
            return ""
        return f"{self.name} {state.trial.version} {told(self.last_event(state.trial.version))}"

    def settle(self, by: str, because: str = "") -> State:
        """Does what was left undone, and ends a trial whose time is over, `because` the loop is not healthy."""
        with self._changing("settle", by, because) as state:
            return state

    def check_new(self, staged: Staged, by: str) -> bool:
        """Whether a staged file is another than the current version's.

        Raises:
            StoreBusy: If it is, and a version is on trial.
        """
        with self._changing("look at a new version", by) as state:
            if state.current == staged.version and self._disk.version(staged.version).sha256 == staged.sha256:
                return False
            self._check_no_trial(state)
            return True

    @contextmanager
    def installing(self, by: str) -> Iterator[None]:
        """Keeps other installations away for the ``with`` block: two self-tests at once would slow each other down.

        Raises:
            StoreBusy: At once, if there is one.
        """
        with ExitStack() as stack:
            with self._instructing():
                self._disk.make()
                mode = self._disk.mode(0o666)
                stack.enter_context(Lock(self.folder / "installing", f"an installation, by {by}", 0.0, mode))
            yield

    @contextmanager
    def _changing(self, doing: str, by: str, because: str = "") -> Iterator[State]:
        """The lock, and the state with nothing left undone."""
        with self._instructing():
            self._check_folder()
            with self._locked(doing, by):
                yield self._settled(because)

    def _locked(self, doing: str, by: str) -> Lock:
        return Lock(self.folder / "lock", f"{doing}, by {by}", WAIT_S, self._disk.mode(0o666))

    def _incoming(self, by: str) -> Incoming:
        with self._instructing():
            self._disk.make()
            with self._locked("add a version", by):
                return new_file(self.folder, self._disk.mode(0o644))

    def _settled(self, because: str) -> State:
        """Finishes what was left undone: by a process that was killed, by a power cut, by hand."""
        sync_folder(self.folder)  # a dead process's changes are seen, and need not be on the disk yet
        sweep(self.folder)
        self._disk.keep_reserve()
        found, damage = self._disk.read()
        state = found.with_files(self._disk.files())
        repairs = self._repairs(found, state, damage)
        state = self._commit(state, *repairs) if repairs else self._disk.follow(state)
        trial, moment = state.trial, self._clock()
        if trial and trial.left_s(moment) <= 0:
            why = f"not healthy for {trial.healthy_s:g} s within {trial.limit_s:g} s"
            return self._fail(state, f"{why}: {because}" if because else why)
        if trial and trial.boot != moment.boot:
            return self._write_trial(replace(state, trial=trial.in_boot(moment)))
        return state

    def _repairs(self, found: State, state: State, damage: str) -> list[Event]:
        """What the history says of a state that had to be fitted to the files."""
        gone = [version for version in found.added if version not in state.added]
        new = [version for version in state.added if version not in found.added]
        events = [self._event(REMOVED, None, version, "its file is gone", BY_RULE) for version in gone]
        events += [self._event(ADDED, None, version, "its file was found", BY_RULE) for version in new]
        if damage or found.current != state.current or (found != state and not events):
            why = damage or "a file is gone"
            events.append(self._event(REPAIRED, found.current, state.current, why, BY_RULE))
        return events

    def _fail(self, state: State, why: str) -> State:
        """Ends a trial: the version before comes back, if there is one."""
        version, before = state.current, state.previous
        if before and not self._disk.version(before).problem:
            return self._commit(state.rolled_back(), self._event(ROLLED_BACK, version, before, why, BY_RULE))
        why = f"{why}; there is no sound version to go back to"
        return self._commit(state.confirmed(), self._event(TRIAL_FAILED, version, version, why, BY_RULE))

    def _write_trial(self, state: State) -> State:
        """Writes how a trial goes; ends it on a full disk, as long as there is room for that."""
        try:
            self._disk.write(state)
        except OSError as problem:
            if not is_full(problem):
                raise
            return self._fail(state, "the disk is full, so its starts cannot be counted")
        return state

    def _commit(self, state: State, *events: Event) -> State:
        """Decides: from the rename of state.json on, the new state is the one."""
        state = replace(state, unwritten=(*state.unwritten, *events)[-MOST_UNWRITTEN:])
        self._disk.write(state, in_reserve=True)
        return self._disk.follow(state)

    def _event(self, what: str, from_version: str | None, to_version: str | None, why: str, by: str) -> Event:
        return Event.at(self._clock(), what, from_version, to_version, why, by)

    def _check_no_trial(self, state: State) -> None:
        if state.trial:
            left_s = max(0, state.trial.left_s(self._clock()))
            raise StoreBusy(
                f"{self.name} {state.trial.version} is on trial for {state.trial.by}, {left_s:.0f} s left",
                "wait until it has ended, or end it: litelens store confirm, or rollback",
            )

    def _check_version(self, version: str) -> None:
        if problem := self._disk.version(version).problem:
            raise StoreError(
                f"{self.name} {version}: {problem}",
                f"litelens store add {self.folder.parent} {self.name} FILE.tflite adds it",
            )

    def _check_manifest(self, path: Path, name: str) -> str:
        """The version in a staged file."""
        try:
            manifest = read_model_file(path).manifest
        except ModelFileError as problem:
            raise ModelFileError(str(problem).replace(str(path), name), problem.hint) from problem
        if manifest.name != self.name:
            raise VersionRefused(
                f"{name} is the model {manifest.name!r:.120}, expected {self.name!r}",
                "name its own folder in the store, or another file",
            )
        return check_name("version", manifest.version)

    def _check_folder(self) -> None:
        if not is_folder(self.folder):
            raise StoreError(
                f"there is no {self.name} in the store {self.folder.parent}",
                f"litelens store add {self.folder.parent} {self.name} FILE.tflite makes it",
            )

    @contextmanager
    def _instructing(self) -> Iterator[None]:
        """Turns what the disk says into an instruction."""
        try:
            yield
        except OSError as problem:
            raise StoreError(f"the store {self.folder}: {problem}", self._hint(problem)) from problem

    def _hint(self, problem: OSError) -> str:
        if is_full(problem):
            return "free some disk space; the versions in the store are as they were"
        if problem.errno == errno.EROFS:
            return "mount the disk writable"
        if isinstance(problem, PermissionError):
            return f"only who may write into the folder can do that: ls -ld {self.folder}"
        return "look at the folder and the disk: litelens doctor"


def told(event: Event | None) -> str:
    """An event as the end of a sentence about its version."""
    if event is None:
        return "is not in the history"
    return f"was {event.what}: {event.why}" if event.why else f"was {event.what}"


def open_store(root: Path, name: str) -> Store:
    """The model of that name in a store.

    Raises:
        VersionRefused: If it is no safe name, such as one that leads out of the store.
    """
    return Store(root / check_name("model", name))


def stores(root: Path) -> tuple[Store, ...]:
    """The models of a store, by name.

    Raises:
        StoreMissing: If there is no such folder.
        StoreError: If it cannot be read.
    """
    try:
        names = sorted(entry.name for entry in os.scandir(root) if is_safe(entry.name) and entry.is_dir())
    except FileNotFoundError as problem:
        raise no_store(root) from problem
    except OSError as problem:
        raise StoreError(
            f"the store {root}: {problem.strerror}", f"it is a folder that you may read: ls -ld {root}"
        ) from problem
    return tuple(Store(root / name) for name in names)
