"""What an export does with bad input, a full disk and a broken quantization: it says so and leaves all as it was."""

import contextlib
import json
import re
import shutil
from pathlib import Path

import pytest
from PIL import Image

from edge_runtime.errors import (
    ConfigError,
    DataError,
    GateMissed,
    LitelensError,
    PictureError,
    RunFolderError,
    WriteError,
)

pytestmark = pytest.mark.slow

EARLIER = b"the earlier model" * 200
SMALL = ("--candidates", "ptq", "--gate", "off")


@pytest.fixture(scope="module")
def cached_run(small_run_folder, tmp_path_factory, export_here) -> Path:
    """The small run with its candidates: copies of it are exported in a second."""
    folder = tmp_path_factory.mktemp("cached")
    run = shutil.copytree(small_run_folder, folder / "small")
    ended = export_here(run, folder / "x.tflite", *SMALL)
    assert ended.exception is None, ended.exception
    return run


@pytest.fixture
def run(cached_run, tmp_path) -> Path:
    """A copy to spoil."""
    return shutil.copytree(cached_run, tmp_path / "run")


@pytest.fixture
def target(tmp_path) -> Path:
    """A model file that was exported before, alone in its folder."""
    out = tmp_path / "out" / "parts.tflite"
    out.parent.mkdir()
    out.write_bytes(EARLIER)
    return out


def refusal(ended, target: Path) -> LitelensError:
    """The error of an export that failed as it should."""
    assert isinstance(ended.exception, LitelensError), ended.exception
    assert ended.exception.hint and ended.stdout == ""
    assert target.read_bytes() == EARLIER and list(target.parent.iterdir()) == [target]
    return ended.exception


def edit_splits(run: Path, edit) -> None:
    file = run / "splits.json"
    stored = json.loads(file.read_text())
    edit(stored["splits"])
    file.write_text(json.dumps(stored))


def test_what_is_spoiled_below_is_exported_as_it_is(run, target, export_here):
    assert export_here(run, target, *SMALL).exception is None
    assert target.read_bytes()[4:8] == b"TFL3"
    assert sorted(target.parent.iterdir()) == [target.with_suffix(".report.html"), target]


SIX = b"bolt\nempty_belt\ngear\nhex_nut\nspring\nwasher\n"


@pytest.mark.parametrize(
    "file, content, error, says",
    [
        (".", None, RunFolderError, "has no config.toml"),
        (".", b"a file", RunFolderError, "has no config.toml"),
        ("model.keras", None, RunFolderError, "has no model.keras"),
        ("model.keras", b"", RunFolderError, "cannot be loaded"),
        ("model.keras", b"PK\x03\x04 cut short", RunFolderError, "cannot be loaded"),
        ("config.toml", b"[tool.other]\n", ConfigError, "tool"),
        ("config.toml", b"\xff\xfe", ConfigError, "config.toml"),
        ("splits.json", b"{}", RunFolderError, "splits.json does not fit"),
        ("splits.json", b'{"splits": ', RunFolderError, "splits.json does not fit"),
        ("splits.json", b"\xff\xfe", RunFolderError, "splits.json does not fit"),
        ("labels.txt", b"\xff\xfe\n", RunFolderError, "labels.txt"),
        ("labels.txt", b"bolt\n", RunFolderError, "splits.json does not fit labels.txt"),
        ("labels.txt", SIX + b"seventh\n", RunFolderError, "6 outputs .* 7 labels"),
    ],
)
def test_a_run_folder_that_is_not_as_train_left_it_is_an_instruction(
    run, target, export_here, file, content, error, says
):
    if file == ".":
        shutil.rmtree(run)
    else:
        (run / file).unlink()
    if content is not None:
        (run / file).write_bytes(content)
    found = refusal(export_here(run, target, *SMALL), target)
    assert isinstance(found, error) and re.search(says, str(found)), repr(found)


@pytest.mark.parametrize(
    "split, files, error, says",
    [
        ("test", [], DataError, "the test split has no picture of 'gear'"),
        ("train", ["gone.jpg"], DataError, "1 pictures of .* are gone"),
        ("test", ["train/gear/broken.jpg"], PictureError, "broken.jpg"),
    ],
)
def test_pictures_that_cannot_judge_are_an_instruction(run, target, export_here, split, files, error, says):
    edit_splits(run, lambda splits: splits[split].update(gear=files))
    found = refusal(export_here(run, target, *SMALL), target)
    assert isinstance(found, error) and re.search(says, str(found)), repr(found)


def test_a_calibration_set_of_one_picture_is_refused(run, target, export_here):
    found = refusal(export_here(run, target, *SMALL, "--calibration", 1), target)
    assert isinstance(found, DataError) and "the calibration set has 1 picture, expected" in str(found)


def test_where_a_run_folder_cannot_keep_candidates_it_says_so(run, target, export_here):
    shutil.rmtree(run / "candidates")
    (run / "candidates").write_text("in the way")
    assert isinstance(refusal(export_here(run, target, *SMALL), target), WriteError)


def test_a_target_folder_that_cannot_be_written_is_found_out_first(tmpfs, tmp_path, export_here):
    target = tmpfs("size=200k") / "parts.tflite"
    target.write_bytes(EARLIER)
    tmpfs("remount,ro")
    # No run folder either: the target is looked at before it.
    found = refusal(export_here(tmp_path / "no-run", target), target)
    assert isinstance(found, WriteError) and "cannot write in" in str(found)


def test_a_disk_that_fills_while_writing_keeps_the_earlier_model(tmpfs, run, export_here):
    target = tmpfs("size=200k") / "parts.tflite"
    target.write_bytes(EARLIER)
    filler = target.with_name("filler")
    filler.write_bytes(bytes(160 * 1024))  # room for the model file, and not for its report
    ended = export_here(run, target, *SMALL)
    filler.unlink()
    found = refusal(ended, target)
    assert isinstance(found, WriteError) and "No space left" in str(found) and "disk space" in found.hint


def test_a_run_folder_on_a_full_disk_keeps_no_half_candidate(tmpfs, small_run_folder, target, export_here):
    run = shutil.copytree(small_run_folder, tmpfs("size=1m") / "run")
    with (run / "filler").open("wb", buffering=0) as filler, contextlib.suppress(OSError):
        while filler.write(bytes(4096)):
            pass
    found = refusal(export_here(run, target, *SMALL), target)
    assert isinstance(found, WriteError) and not list((run / "candidates").glob("*"))
    (run / "filler").unlink()
    assert export_here(run, target, *SMALL).exception is None


@pytest.fixture
def judged_on_more(trained_run, parts, tmp_path):
    """Makes a run of the short training that is judged on all but the validation pictures, which tell 5 points.

    Its calibration pictures are those given, of a name for each label.
    """

    def make(calibration) -> Path:
        data = shutil.copytree(parts, tmp_path / "data")
        run = shutil.copytree(trained_run, tmp_path / "run")
        config = run / "config.toml"
        config.write_text(config.read_text().replace(str(parts), str(data)))

        def edit(splits):
            for label, files in splits["train"].items():
                splits["test"][label] += files
                splits["train"][label] = calibration(data, label, files)

        edit_splits(run, edit)
        for cached in (run / "candidates").glob("ptq-*"):
            cached.unlink()  # of the same fingerprint
        return run

    return make


def black(data: Path, label: str, files: list[str]) -> list[str]:
    """A camera with its lens cap on."""
    names = [f"train/{label}/black{number}.jpg" for number in range(3)]
    for name in names:
        Image.new("RGB", (96, 96)).save(data / name)
    return names


BOUNDS = ("--candidates", "ptq", "--max-drop", 5, "--min-ratio", 0.9, "--max-class-drop", 90)


def test_ranges_from_ordinary_pictures_pass(judged_on_more, target, export_here):
    run = judged_on_more(lambda data, label, files: files)
    ended = export_here(run, target, *BOUNDS)
    assert ended.exception is None, ended.stdout
    assert target.read_bytes() != EARLIER


def test_ranges_from_black_pictures_are_caught_and_lead_to_an_early_linear_layer(
    judged_on_more, target, export_here
):
    run = judged_on_more(black)
    ended = export_here(run, target, *BOUNDS, "--json")
    assert isinstance(ended.exception, GateMissed) and ended.exception.exit_code == 3
    found = json.loads(ended.stdout)
    assert found["verdicts"]["ptq"]["outcome"] == "missed"
    assert target.read_bytes() == EARLIER
    layers, suspect = found["layers"]["ptq"]["layers"], found["layers"]["ptq"]["suspect"]
    # Black pictures leave the ReLU6 layers their range of 6, but not the linear ones, whose outputs a picture drives
    # far beyond what black gave: a projection or the sum behind it, in the first third of the network. All that
    # follows inherits its noise, so that the worst layer is the last.
    assert suspect["name"].endswith(("_project_BN", "_add")) and suspect["snr_db"] < 10
    assert suspect["index"] < len(layers) / 3
    assert min(layers, key=lambda layer: layer["snr_db"])["index"] > 2 * len(layers) / 3
    assert suspect["name"] in target.with_suffix(".report.html").read_text()
