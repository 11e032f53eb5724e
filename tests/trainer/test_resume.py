"""A training that is killed goes on where it stood."""

import csv
import json
import re
import signal

import pytest

pytestmark = pytest.mark.slow

SETTINGS = (
    *("--backbone", "small_cnn", "--size", "24", "--epochs", "6", "0", "--learning-rate", "0.003"),
    *("--patience", "0", "--deterministic"),
)


@pytest.fixture
def kill_when(interrupt):
    """Starts the command and kills it once its stderr says `when`."""

    def run(when: str, *arguments: object) -> None:
        code, said = interrupt(when, *arguments, by=signal.SIGKILL)
        assert code == -signal.SIGKILL, said

    return run


def rows(run) -> list[dict]:
    with (run / "history.csv").open(newline="") as file:
        return [{k: v for k, v in row.items() if k != "seconds"} for row in csv.DictReader(file)]


def test_killed_and_resumed_it_ends_as_it_would_have(litelens, kill_when, parts, tmp_path, capsys):
    command = ("train", "--data", parts, *SETTINGS)
    uninterrupted = litelens(*command, "--out", tmp_path / "whole")
    assert uninterrupted.returncode == 0, uninterrupted.stderr

    out = tmp_path / "killed"
    kill_when("90 train", *command, "--out", out)  # before the first epoch
    kill_when("epoch 3/6", *command, "--out", out, "--resume")
    assert not out.exists()
    resumed = litelens(*command, "--out", out, "--resume")
    assert resumed.returncode == 0, resumed.stderr
    done = int(re.search(r"resumed after epoch (\d+) of phase 1", resumed.stderr)[1])
    assert 1 <= done <= 3
    whole, killed = rows(tmp_path / "whole"), rows(out)
    with capsys.disabled():
        print()
        for name, epochs in (("uninterrupted", whole), (f"killed, resumed after {done}", killed)):
            print(f"{name:25} epoch {epochs[-1]['epoch']}: {epochs[-1]}")
    assert len(whole) == len(killed) == 6
    assert whole[:done] == killed[:done]  # --deterministic: two processes, the same to the last digit
    # Order and augmentation go on as they would have; only dropout draws anew.
    for before, after in zip(whole[done:], killed[done:], strict=True):
        assert float(after["val_accuracy"]) == pytest.approx(float(before["val_accuracy"]), abs=0.2)
        assert float(after["loss"]) == pytest.approx(float(before["loss"]), abs=0.3)
    told = {name: json.loads((tmp_path / name / "metrics.json").read_text())["notes"] for name in ("whole", "killed")}
    assert [any("resumed" in note for note in told[name]) for name in ("whole", "killed")] == [False, True]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["killed", "whole"]
