import numpy as np
import pytest

from edge_runtime.errors import RunFolderError, WriteError
from trainer.checkpoint import State, load, save
from trainer.trained import Epoch, Phase


def a_state(**changes) -> State:
    draw = np.random.default_rng(0)
    weights = [draw.normal(size=(3, 2)).astype(np.float32), np.float32(4)]
    history = [Epoch(1, 1, 0.5, 0.9, 0.4, 0.8, 1e-3, 2.5), Epoch(2, 1, 0.4, 0.9, 0.3, 0.8, 1e-4, 2.5)]
    settings = {
        "phase": 2,
        "weights": weights,
        "optimizer": [np.int64(7), weights[0]],
        "best": 0.8,
        "best_weights": weights[:1],
        "history": history,
        "phases": [Phase(1, 12, 1, False, 2.5)],
    }
    return State(**settings | changes)


@pytest.mark.parametrize(
    "changes", [{}, {"best": None, "optimizer": [], "history": [], "phases": []}], ids=["later", "at first"]
)
def test_a_state_reads_back_equal(tmp_path, changes):
    state = a_state(**changes)
    save(tmp_path / "state.npz", state)
    read = load(tmp_path / "state.npz")
    for name in ("phase", "best", "history", "phases", "epochs_done"):
        assert getattr(read, name) == getattr(state, name)
    for name in ("weights", "optimizer", "best_weights"):
        for before, after in zip(getattr(state, name), getattr(read, name), strict=True):
            np.testing.assert_array_equal(after, before)
            assert np.asarray(before).dtype == after.dtype


def test_only_epochs_of_the_phase_that_is_under_way_are_done():
    assert (a_state().epochs_done, a_state(phase=1).epochs_done, a_state(history=[]).epochs_done) == (1, 1, 0)


@pytest.mark.parametrize("keep", [0, 10, 500])
def test_a_state_that_was_cut_is_an_instruction(tmp_path, keep):
    path = tmp_path / "state.npz"
    save(path, a_state())
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(RunFolderError, match="is no state of a training") as caught:
        load(path)
    assert "rm -r" in caught.value.hint


def test_a_full_disk_keeps_the_state_before(tmpfs):
    path = tmpfs("size=100k") / "state.npz"
    save(path, a_state())
    with pytest.raises(WriteError, match="No space left"):
        save(path, a_state(weights=[np.zeros(100_000)]))
    assert load(path).epochs_done == 1 and [p.name for p in path.parent.iterdir()] == ["state.npz"]
