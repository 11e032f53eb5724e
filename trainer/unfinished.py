"""Where a training keeps what it has until it is whole: beside the run folder, under a hidden name."""

import fcntl
import os
import shutil
import tempfile
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import tomli_w

from edge_runtime.errors import ConfigError, DataError, RunFolderError, WriteError
from edge_runtime.whole_file import write_whole
from trainer import checkpoint
from trainer.config import TrainConfig, flag, to_toml

_FREE_TO_CHANGE = {"memory_gb", "tensorboard", "strict"}
"""Settings that say how a training is done, not what comes out."""


@dataclass(frozen=True)
class Unfinished:
    """The folder of a training that is under way."""

    folder: Path
    own: Path | None = None
    """Where a worker that is not the chief keeps its arrays."""

    @property
    def cache(self) -> Path:
        """For arrays that do not fit in memory."""
        return self.own or self.folder / "cache"

    @property
    def run(self) -> Path:
        """The run folder in the making."""
        return self.folder / "run"

    @property
    def tensorboard(self) -> Path:
        """Logs, which become part of the run folder."""
        return self.folder / "tensorboard"

    @property
    def config(self) -> Path:
        """The settings that the training began with."""
        return self.folder / "config.toml"

    @property
    def has_state(self) -> bool:
        """Whether an epoch has been finished."""
        return self._state.exists()

    def is_moved(self, out: Path) -> bool:
        """Whether the run folder is where it belongs."""
        return out.is_dir() and any(out.iterdir())

    @property
    def _state(self) -> Path:
        return self.folder / "state.npz"

    @property
    def _fingerprint(self) -> Path:
        return self.folder / "fingerprint"

    def remember(self, state: checkpoint.State) -> None:
        """Writes the state after an epoch."""
        checkpoint.save(self._state, state)

    def recall(self) -> checkpoint.State | None:
        """The state to go on from; None before the first epoch."""
        return checkpoint.load(self._state) if self.has_state else None

    def hold_to(self, fingerprint: str) -> None:
        """Remembers the data's fingerprint, and refuses to go on with other data.

        Raises:
            DataError: If pictures changed since the training began.
        """
        if not self.has_state:
            write_whole(self._fingerprint, fingerprint.encode())
        elif self._fingerprint.read_text() != fingerprint:
            raise DataError(
                "the pictures are not those that the training began with: names, contents or splits changed",
                f"bring them back, or start again: rm -r {self.folder}",
            )


def unfinished_of(out: Path) -> Path:
    """The folder of a training into `out`."""
    return out.absolute().parent / f".{out.absolute().name}.unfinished"


@contextmanager
def begin(out: Path, config: TrainConfig, resume: bool) -> Iterator[Unfinished]:
    """Takes the place of the run folder `out`, new or from where an interrupted training stood.

    On success the caller has moved `run` to `out`; then the rest is removed. After an error or an interruption what
    is needed to resume stays.

    Raises:
        RunFolderError: If something stands at `out`, an unfinished training is there and resume is not set, or
            another training is writing there now.
        ConfigError: If resume is set and settings differ from those it began with.
        WriteError: If the folder cannot be made.
    """
    _check_free(out)
    unfinished = Unfinished(unfinished_of(out))
    folder = unfinished.folder
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = (folder / "lock").open("w")
    except OSError as problem:
        raise WriteError(f"cannot write {folder}: {problem}", "choose another --out") from problem
    with lock:
        _take(lock, out)
        try:
            _prepare(unfinished, out, config, resume)
            yield unfinished
        finally:
            # Arrays are made again; without a state there is nothing to go on from.
            shutil.rmtree(unfinished.cache, ignore_errors=True)
            if not unfinished.has_state or unfinished.is_moved(out):
                shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def follow(out: Path) -> Iterator[Unfinished]:
    """What a worker that is not the chief needs: the chief's state, and a place of its own for arrays."""
    with tempfile.TemporaryDirectory(prefix="litelens-") as own:
        yield Unfinished(unfinished_of(out), Path(own))


def _prepare(unfinished: Unfinished, out: Path, config: TrainConfig, resume: bool) -> None:
    if not unfinished.has_state:
        _clear(unfinished.folder)
        write_whole(unfinished.config, tomli_w.dumps(to_toml(config)).encode())
    elif resume:
        _check_same(unfinished.config, config)
        shutil.rmtree(unfinished.run, ignore_errors=True)
    else:
        raise RunFolderError(
            f"an unfinished training into {out} is there",
            f"go on with it: the same command with --resume; or remove it: rm -r {unfinished.folder}",
        )


def _check_free(folder: Path) -> None:
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise RunFolderError(
            f"{folder} exists already, expected a new run folder",
            f"choose another --out, or remove it: rm -r {folder}",
        )
    above = next(parent for parent in folder.absolute().parents if parent.exists())
    if not above.is_dir() or not os.access(above, os.W_OK):
        raise WriteError(
            f"{folder} cannot be written: {above} is {'not writable' if above.is_dir() else 'a file'}",
            "choose another --out",
        )


def _take(lock, out: Path) -> None:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as problem:
        raise RunFolderError(
            f"another training is writing {out} now", "wait for it, or choose another --out"
        ) from problem


def _clear(folder: Path) -> None:
    for child in folder.iterdir():
        if child.name != "lock":
            shutil.rmtree(child) if child.is_dir() else child.unlink()


def _check_same(began_with: Path, config: TrainConfig) -> None:
    before = tomllib.loads(began_with.read_text(encoding="utf-8"))
    now = tomllib.loads(tomli_w.dumps(to_toml(config)))
    changed = [
        f"{name} was {before.get(name)!r} and is {now.get(name)!r}"
        for name in sorted(before.keys() | now.keys())
        if before.get(name) != now.get(name) and name not in _FREE_TO_CHANGE
    ]
    if changed:
        raise ConfigError(
            f"--resume with other settings: {'; '.join(changed)}",
            f"give the settings it began with (they are in {began_with}; first: {flag(changed[0].split()[0])}), "
            f"or start again: rm -r {began_with.parent}",
        )
