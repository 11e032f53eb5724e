import json
import shutil

import pytest

from benchmarks.matrix.candidates import find_candidates
from benchmarks.matrix.tflite_file import Normalisation
from edge_runtime.errors import ModelFileError, RunFolderError, SourceError


def test_a_model_file_keeps_its_manifest(tiny):
    (candidate,) = find_candidates([tiny])
    assert candidate.name == "tiny.tflite" and candidate.labelled and not candidate.without_meaning
    assert candidate.model_file.manifest and candidate.model_file.labels == ("blue", "green", "red")
    assert (candidate.input_height_px, candidate.input_width_px, candidate.input_dtype) == (8, 8, "uint8")
    assert candidate.weights_dtype == "int8"
    assert candidate.model_file.size_bytes == tiny.stat().st_size and len(candidate.sha256) == 64


def test_a_foreign_model_gets_numbers_for_labels(tiny_float):
    (candidate,) = find_candidates([tiny_float])
    assert not candidate.labelled and candidate.model_file.labels == ("0", "1", "2")
    assert candidate.model_file.manifest is None and "labels are unknown" in candidate.without_meaning


def test_a_run_stands_for_its_candidates(run_folder):
    (candidate,) = find_candidates([run_folder])
    assert candidate.name == "colours/float" and candidate.model_file.labels == ("blue", "green", "red")
    assert candidate.normalisation == Normalisation((0.0,), (1.0,)) and not candidate.without_meaning


def test_floats_without_a_normalisation_have_no_meaning(run_folder, tiny_float, tmp_path):
    (candidate,) = find_candidates([run_folder])
    labelled = shutil.copy(tiny_float, tmp_path / "labelled.tflite")
    import zipfile

    with zipfile.ZipFile(labelled, "a") as archive:
        archive.writestr("labels.txt", "blue\ngreen\nred\n")
    (candidate,) = find_candidates([labelled])
    assert candidate.labelled and "nothing tells its normalisation" in candidate.without_meaning


def test_two_candidates_of_a_kind_are_told_apart(run_folder):
    models = run_folder / "candidates"
    for suffix in (".tflite", ".json"):
        old = models / f"float-0123456789abcdef{suffix}"
        shutil.copy(old, models / f"float-fedcba9876543210{suffix}")
    names = [candidate.name for candidate in find_candidates([run_folder])]
    assert names == ["colours/float-0123456789abcdef", "colours/float-fedcba9876543210"]


def test_names_differ(tiny, tmp_path):
    other = tmp_path / "other" / "tiny.tflite"
    other.parent.mkdir()
    shutil.copy(tiny, other)
    names = [candidate.name for candidate in find_candidates([tiny, other, tiny])]
    assert names == ["data/tiny.tflite", "other/tiny.tflite", "data/tiny.tflite#2"]


@pytest.mark.parametrize(
    "alter, error, said",
    [
        (lambda run: (run / "candidates").rename(run / "gone"), RunFolderError, "holds no candidates"),
        (lambda run: next(run.glob("*/*.json")).unlink(), RunFolderError, "does not tell what float-"),
        (
            lambda run: next(run.glob("*/*.json")).write_text("[]"),
            RunFolderError,
            "does not tell what float-",
        ),
        (lambda run: next(run.glob("*/*.json")).write_text("{"), RunFolderError, "does not tell what float-"),
        (lambda run: (run / "labels.txt").write_bytes(b"\xff"), RunFolderError, "cannot read"),
        (lambda run: append(next(run.glob("*/*.tflite"))), ModelFileError, "is damaged: it has sha256"),
    ],
)
def test_a_run_that_was_altered_is_an_error(run_folder, alter, error, said):
    alter(run_folder)
    with pytest.raises(error, match=said):
        find_candidates([run_folder])


def append(path) -> None:
    path.write_bytes(path.read_bytes() + b"more")


@pytest.mark.parametrize(
    "content, said",
    [
        (b"", "no TFLite model"),
        (b"a text file", "no TFLite model"),
        (b"\x1c\0\0\0TFL3" + bytes(100), "is no whole TFLite model"),
        (b"\xff\xff\xff\xffTFL3litelens.json", "cut short"),
    ],
)
def test_a_file_that_is_no_model_is_an_error(tmp_path, content, said):
    path = tmp_path / "model.tflite"
    path.write_bytes(content)
    with pytest.raises(ModelFileError, match=said):
        find_candidates([path])


def test_a_path_that_is_not_there_is_an_error(tmp_path):
    with pytest.raises(SourceError, match="is not there"):
        find_candidates([tmp_path / "absent.tflite"])


def test_a_model_that_takes_no_picture_is_an_error(tiny_float, tmp_path):
    content = bytearray(tiny_float.read_bytes())
    at = content.index(bytes([4, 0, 0, 0, 1, 0, 0, 0, 8, 0, 0, 0, 8, 0, 0, 0, 3, 0, 0, 0]))
    content[at + 16] = 4
    path = tmp_path / "four.tflite"
    path.write_bytes(content)
    with pytest.raises(
        ModelFileError, match=r"takes float32 of shape \(1, 8, 8, 4\), expected \(1, height, width, 3\)"
    ):
        find_candidates([path])


def test_facts_of_another_shape_are_an_error(run_folder):
    facts = next(run_folder.glob("*/*.json"))
    stored = json.loads(facts.read_text())
    stored["inputs"]["normalisation"] = {"mean": "dark", "std": 1}
    facts.write_text(json.dumps(stored))
    with pytest.raises(RunFolderError, match="does not tell"):
        find_candidates([run_folder])
