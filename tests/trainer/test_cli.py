"""`litelens train` with input that it cannot use: no traceback, no run folder, an instruction."""

import pytest
from PIL import Image


@pytest.fixture
def folders(tmp_path):
    for name in ("good/cat", "good/dog", "one/cat", "unreadable/cat", "unreadable/dog"):
        (tmp_path / name).mkdir(parents=True)
        for number in range(4):
            Image.new("RGB", (40, 40), (number, len(name), 9)).save(tmp_path / name / f"{number}.png")
    for path in (tmp_path / "unreadable" / "dog").iterdir():
        path.write_bytes(b"no picture")
    (tmp_path / "empty").mkdir()
    (tmp_path / "typo.toml").write_text('data = "good"\nlerning_rate = 0.1\n')
    return tmp_path


@pytest.mark.parametrize(
    "arguments, exit_code, says",
    [
        (["--size", "96"], 1, "no pictures are named"),
        (["--data", "good", "--size", "8"], 1, "size is 8"),
        (
            ["--data", "good", "--weights", "starter", "--alpha", "1"],
            1,
            "starter weights are for mobilenet_v2 of alpha 0.35",
        ),
        (["--data", "good", "--config", "typo.toml"], 1, "did you mean 'learning_rate'?"),
        (["--data", "good", "--backbone", "vgg19"], 2, "'mobilenet_v2', 'mobilenet', 'xception'"),
        (["--data", "good", "--strict", "leakege"], 1, "did you mean 'leakage'?"),
        (["--data", "good", "--epochs", "5"], 2, "requires 2 arguments"),
        (["--data", "good", "--seed", "x"], 2, "not a valid integer"),
    ],
)
def test_settings_that_cannot_be_used(litelens, folders, arguments, exit_code, says):
    ended = litelens("train", "--out", "run", *arguments, cwd=folders)
    assert ended.returncode == exit_code, ended.stderr
    assert says in ended.stderr and "Traceback" not in ended.stderr
    assert not (folders / "run").exists()


@pytest.mark.slow  # TensorFlow is imported before the pictures are looked at
@pytest.mark.parametrize(
    "arguments, says",
    [
        (["--data", "absent"], "is not there"),
        (["--data", "empty"], "has no class folders"),
        (["--data", "one"], "1 class (cat)"),
        (["--data", "unreadable"], "dog has no readable picture"),
        (["--data", "good", "--weights", "absent.h5"], "absent.h5: no such file"),
        (["--data", "good", "--out", "typo.toml/run"], "typo.toml is a file"),
    ],
)
def test_pictures_and_weights_that_cannot_be_used(litelens_here, folders, arguments, says):
    ended = litelens_here("train", "--out", "run", *arguments, cwd=folders)
    assert ended.exit_code == 1, ended.stderr
    assert "error: " in ended.stderr and says in ended.stderr and "hint: " in ended.stderr
    assert not (folders / "run").exists()


@pytest.mark.slow
def test_ctrl_c_leaves_what_a_resume_needs_and_nothing_else(interrupt, parts, tmp_path):
    out = tmp_path / "runs" / "parts"
    settings = ("--backbone", "small_cnn", "--size", 24, "--epochs", 500, 0, "--patience", 0)
    # While TensorFlow traces, Ctrl-C may be dropped: it comes in the training, where Python hears it.
    code, said = interrupt("epoch 3/", "train", "--data", parts, "--out", out, *settings)
    assert code not in (0, None) and "Traceback" not in said, said
    assert not out.exists()
    unfinished = out.parent / ".parts.unfinished"
    left = {path.relative_to(tmp_path) for path in tmp_path.rglob("*") if path.is_file()}
    assert left and all((tmp_path / path).is_relative_to(unfinished) for path in left)
    assert (unfinished / "state.npz").exists() and not (unfinished / "cache").exists()
