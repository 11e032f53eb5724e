"""Whether a device can take a model: a table of devices."""

import dataclasses
from pathlib import Path

import pytest

from edge_runtime.store.device import DeviceFacts
from fleet.flashing.answers import ModelThere, There, TrialThere
from fleet.flashing.checks import INSTALL, NOTHING, WATCH, next_step
from fleet.flashing.errors import CheckMissed
from fleet.flashing.flash import Flash
from fleet.targets import Target

TARGET = Target("garden", "pi@garden")
FLASH = Flash(Path("tiny.tflite"), "tiny", "2", "ab", 1_000, 60.0, None, "", "me", False)
FACTS = DeviceFacts("0.1.0", "aarch64", "3.11.2", "ai_edge_litert 2.0", "", 2, 10**9, "")
RUNS = ModelThere("1", None, None, True, "", (("1", "aa"),))
TRIAL = TrialThere("2", 99.0, 0, "me")


def there(**changes) -> There:
    """A device that is fit, but for what is changed of it or of its model."""
    facts = {name: changes.pop(name) for name in list(changes) if hasattr(FACTS, name) and name != "problem"}
    return There("0.1.0", dataclasses.replace(FACTS, **facts), dataclasses.replace(RUNS, **changes))


@pytest.mark.parametrize(
    "there, trial_s, step",
    [
        (there(), 60, INSTALL),
        (there(current=None, sha256=(), running=None), 60, INSTALL),
        (there(running=None), 60, INSTALL),
        (there(running=False), 0, INSTALL),
        (there(current="1", sha256=(("1", "aa"), ("2", "ab"))), 60, INSTALL),
        (there(sha256=(("1", "aa"), ("2", ""))), 60, INSTALL),  # the file there is damaged
        (there(machine="riscv64"), 60, INSTALL),  # somebody built an interpreter for it
        (there(current="2", sha256=(("2", "ab"),), free_bytes=0, running=False), 60, NOTHING),
        (there(current="2", sha256=(("2", "ab"),), trial=TRIAL), 60, WATCH),
        (there(current="2", sha256=(("2", "ab"),), trial=TRIAL), 0, NOTHING),
    ],
)
def test_what_is_left_to_do(there, trial_s, step):
    assert next_step(there, dataclasses.replace(FLASH, trial_s=trial_s), TARGET) == step


MISSED = {
    "too old": (
        There("0.0.1", None, ModelThere()),
        "litelens, 0.0.1, is older",
        "litelens provision pi@garden",
    ),
    "no interpreter": (
        there(interpreter=None, interpreter_problem="no module"),
        "can be loaded there: no module",
        "litelens provision pi@garden",
    ),
    "no such interpreter": (
        there(interpreter=None, interpreter_problem="no module", machine="armv6l"),
        "no TFLite interpreter is published for armv6l",
        "aarch64, armv7l and x86_64",
    ),
    "older schema": (
        there(schema_version=1),
        "reads model files of schema 1",
        "litelens provision pi@garden",
    ),
    "newer schema": (
        there(schema_version=9),
        "of schema 9, this one has schema 2",
        "update litelens on this",
    ),
    "full": (
        there(free_bytes=18_383),
        "18383 bytes are free at /srv/litelens/store, expected at least 18384",
        "free",
    ),
    "other bytes": (
        there(sha256=(("1", "aa"), ("2", "cd"))),
        "tiny 2 is there with other bytes",
        "export again",
    ),
    "busy": (
        there(trial=TrialThere("7", 33.3, 1, "anna")),
        "tiny 7 is on trial for anna, 33 s left",
        "litelens fleet rollback",
    ),
    "not run": (there(running=False), "so a trial cannot be passed", "--trial 0"),
    "not ours": (there(problem="/x is not writable by this user"), "not writable", "litelens provision"),
}


@pytest.mark.parametrize("there, message, hint", MISSED.values(), ids=MISSED)
def test_what_is_in_the_way(there, message, hint):
    with pytest.raises(CheckMissed) as missed:
        next_step(there, FLASH, TARGET)
    assert message in str(missed.value) and hint in missed.value.hint


def test_enough_is_enough():
    assert next_step(there(free_bytes=18_384), FLASH, TARGET) == INSTALL


def test_all_that_is_in_the_way_is_named_at_once():
    with pytest.raises(CheckMissed) as missed:
        next_step(there(free_bytes=1, interpreter=None, running=False), FLASH, TARGET)
    assert str(missed.value).count("; ") == 2 and missed.value.hint.count("; ") == 2
