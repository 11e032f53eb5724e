"""Who may write a run folder, and what an interrupted training leaves beside it."""

import numpy as np
import pytest

from edge_runtime.errors import ConfigError, DataError, RunFolderError, WriteError
from trainer.checkpoint import State
from trainer.config import TrainConfig
from trainer.unfinished import begin, unfinished_of

CONFIG = TrainConfig(data="pictures", seed=3)
STATE = State(1, [np.zeros(2)], [], None, [np.zeros(2)], [], [])


@pytest.fixture
def out(tmp_path):
    return tmp_path / "runs" / "parts"


@pytest.fixture
def interrupted(out):
    """A training that ended by an error after its first epoch."""
    with pytest.raises(KeyboardInterrupt), begin(out, CONFIG, resume=False) as work:
        work.hold_to("data of the first day")
        work.remember(STATE)
        work.cache.mkdir()
        raise KeyboardInterrupt
    return out


def test_a_finished_training_leaves_the_run_folder_alone(out):
    with begin(out, CONFIG, resume=False) as work:
        work.remember(STATE)
        work.run.mkdir()
        (work.run / "model.keras").write_bytes(b"m")
        work.run.rename(out)
    assert [path.name for path in out.parent.iterdir()] == ["parts"]


def test_without_an_epoch_done_nothing_is_left(out):
    with pytest.raises(KeyboardInterrupt), begin(out, CONFIG, resume=False):
        raise KeyboardInterrupt
    assert not list(out.parent.iterdir())


def test_what_a_kill_left_before_the_first_epoch_is_in_nobodys_way(out):
    folder = unfinished_of(out)
    (folder / "cache").mkdir(parents=True)
    (folder / "lock").touch()
    with begin(out, CONFIG, resume=True) as work:
        assert work.recall() is None and not work.cache.exists()


def test_after_an_epoch_the_state_is_kept_and_the_arrays_are_not(interrupted):
    left = {path.name for path in unfinished_of(interrupted).iterdir()}
    assert left == {"lock", "config.toml", "fingerprint", "state.npz"}
    with begin(interrupted, CONFIG, resume=True) as work:
        np.testing.assert_array_equal(work.recall().weights, STATE.weights)


def test_without_resume_an_interrupted_training_is_not_overwritten(interrupted):
    with pytest.raises(RunFolderError, match="unfinished training") as caught, begin(interrupted, CONFIG, resume=False):
        pass
    assert "--resume" in caught.value.hint and unfinished_of(interrupted).exists()


@pytest.mark.parametrize(
    "change, says",
    [
        ({"size": 96}, "size was 160 and is 96"),
        ({"data": "others"}, "data was 'pictures' and is 'others'"),
        ({"epochs": (9, 1)}, r"epochs was \[20, 3\] and is \[9, 1\]"),
    ],
)
def test_resume_with_other_settings_is_refused(interrupted, change, says):
    settings = {"data": "pictures", "seed": 3} | change
    with pytest.raises(ConfigError, match=says) as caught, begin(interrupted, TrainConfig(**settings), resume=True):
        pass
    assert str(unfinished_of(interrupted)) in caught.value.hint and unfinished_of(interrupted).exists()


def test_what_does_not_change_the_result_may_change(interrupted):
    with begin(interrupted, TrainConfig(data="pictures", seed=3, memory_gb=1.0), resume=True) as work:
        assert work.has_state


def test_resume_with_other_pictures_is_refused(interrupted):
    with begin(interrupted, CONFIG, resume=True) as work:
        work.hold_to("data of the first day")
        with pytest.raises(DataError, match="not those that the training began with"):
            work.hold_to("data of the second day")


def test_two_trainings_into_one_folder(out):
    with begin(out, CONFIG, resume=False) as work:
        work.remember(STATE)
        work.cache.mkdir()
        for resume in (False, True):
            with pytest.raises(RunFolderError, match="another training is writing"), begin(out, CONFIG, resume):
                pass
        assert work.cache.exists() and work.has_state


@pytest.mark.parametrize("name, error", [("file", RunFolderError), ("full", RunFolderError), ("file/run", WriteError)])
def test_a_place_that_is_taken(tmp_path, name, error):
    (tmp_path / "file").touch()
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "model.keras").touch()
    with pytest.raises(error), begin(tmp_path / name, CONFIG, resume=False):
        pass
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "full"]
