"""The state of a training after an epoch, written whole: what a killed run goes on from."""

import dataclasses
import io
import json
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edge_runtime.errors import RunFolderError
from edge_runtime.whole_file import write_whole
from trainer.trained import Epoch, Phase


@dataclass(frozen=True)
class State:
    """All that the next epoch depends on besides settings and pictures."""

    phase: int
    """The phase that is under way."""
    weights: list[np.ndarray]
    """Of the layers above the cached boundary, after the last epoch."""
    optimizer: list[np.ndarray]
    """Variables of the optimizer; empty before a phase's first epoch."""
    best: float | None
    """Validation accuracy of `best_weights`."""
    best_weights: list[np.ndarray]
    history: list[Epoch]
    phases: list[Phase]
    """Those that have ended."""

    @property
    def epochs_done(self) -> int:
        """Of the phase that is under way."""
        return sum(epoch.phase == self.phase for epoch in self.history)


_LISTS = ("weights", "optimizer", "best_weights")


def save(path: Path, state: State) -> None:
    """Writes a state.

    Raises:
        WriteError: If the disk is full; the state before is still there then.
    """
    arrays = {f"{name}/{i}": array for name in _LISTS for i, array in enumerate(getattr(state, name))}
    told = {
        "phase": state.phase,
        "best": state.best,
        "history": [dataclasses.asdict(epoch) for epoch in state.history],
        "phases": [dataclasses.asdict(phase) for phase in state.phases],
        "counts": {name: len(getattr(state, name)) for name in _LISTS},
    }
    content = io.BytesIO()
    np.savez(content, told=np.array(json.dumps(told)), **arrays)
    write_whole(path, content.getvalue())


def load(path: Path) -> State:
    """Reads a state back.

    Raises:
        RunFolderError: If it is not what `save` wrote.
    """
    try:
        with np.load(path, allow_pickle=False) as stored:
            told = json.loads(str(stored["told"]))
            lists = {name: [stored[f"{name}/{i}"] for i in range(told["counts"][name])] for name in _LISTS}
        return State(
            phase=told["phase"],
            best=told["best"],
            history=[Epoch(**epoch) for epoch in told["history"]],
            phases=[Phase(**phase) for phase in told["phases"]],
            **lists,
        )
    except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile) as problem:
        raise RunFolderError(
            f"{path} is no state of a training: {problem}",
            f"start again without --resume: rm -r {path.parent}",
        ) from problem
