"""A real export of the short training: three candidates, measured, judged, one written."""

import json
import shutil
import subprocess
import sys
import zipfile

import numpy as np
import pytest

from edge_runtime.classifier import Classifier
from edge_runtime.errors import GateMissed, RunFolderError, WriteError
from edge_runtime.interpreter import LIBRARIES
from edge_runtime.model_file import read_model_file

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def exported(trained_run, tmp_path_factory):
    """(what export() returned, the model file)."""
    from exporter.pipeline import export

    out = tmp_path_factory.mktemp("export") / "parts.tflite"
    # Thirty test pictures: one picture is 3.3 points, and this short training is not what the gate is tested on.
    return export(trained_run, out, qat_epochs=1, max_drop=20.0), out


def test_the_better_candidate_that_passed_is_in_the_file(exported):
    result, path = exported
    assert set(result.measurements) == {"float", "ptq", "qat"}
    accuracy = read_model_file(path).manifest.accuracy
    chosen = result.measurements[result.chosen]
    assert (
        accuracy.int8_top1 == chosen.top1 == max(result.measurements[name].top1 for name in result.verdicts)
    )
    assert accuracy.float_top1 == result.measurements["float"].top1
    assert (accuracy.split, accuracy.pictures) == ("test", 30)
    assert read_model_file(path).manifest.resize == "centre-crop"
    assert sorted(path.parent.iterdir()) == [path]


def test_int8_answers_as_float_does(exported):
    result, _ = exported
    for name in ("ptq", "qat"):
        # Untrained ranges or lost biases bring this near chance; a right conversion differs where float wavers.
        assert result.measurements[name].agreement(result.measurements["float"]) >= 0.8, name


def test_float_measured_by_the_device_is_float_measured_by_keras(exported, trained_run):
    result, _ = exported
    keras = json.loads((trained_run / "metrics.json").read_text())["splits"]["test"]["accuracy"]
    assert result.measurements["float"].top1 == pytest.approx(keras)


def test_the_model_is_int8_inside_with_bytes_outside(exported):
    _, path = exported
    interpreter = Classifier(path).interpreter
    assert (interpreter.input.dtype, interpreter.output.dtype) == (np.uint8, np.uint8)
    # A byte is the input's value: (byte - zero point) * scale covers [-1, 1].
    assert interpreter.input.scale == pytest.approx(2 / 255, rel=1e-5)
    assert interpreter.input.zero_point in (127, 128)
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    plain = Interpreter(
        str(path), experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
    )
    plain.allocate_tensors()
    kinds = {np.dtype(tensor["dtype"]).name for tensor in plain.get_tensor_details()}
    assert kinds <= {"int8", "uint8", "int32"}, kinds


CLASSIFY_WITH = """
import sys
from pathlib import Path
from edge_runtime.classifier import Classifier
from edge_runtime.pictures import read_picture

classifier = Classifier(sys.argv[1], library=sys.argv[2])
files = sorted(Path(sys.argv[3]).glob("*/*.jpg"))
right = sum(classifier.classify(read_picture(file))[0].label == file.parent.name for file in files)
print(classifier.selftest(), right, len(files))
"""


@pytest.mark.parametrize("library", LIBRARIES)
def test_every_interpreter_gives_the_reported_accuracy_and_passes_the_self_test(exported, parts, library):
    pytest.importorskip(library)
    _, path = exported
    # In a process of its own, as on a device: tflite_runtime cannot load models beside TensorFlow's own symbols.
    command = [sys.executable, "-c", CLASSIFY_WITH, path, library, parts / "test"]
    ended = subprocess.run(list(map(str, command)), capture_output=True, text=True, timeout=120)
    assert ended.returncode == 0, ended.stderr
    excess, right, count = map(int, ended.stdout.split())
    assert excess <= 0 and count == 30
    # Kernels differ between interpreters (per-channel rounding); LiteRT is the one that measured.
    slack = 0 if library == "ai_edge_litert" else 1
    assert abs(right - round(30 * read_model_file(path).manifest.accuracy.int8_top1)) <= slack


def test_the_command_gives_exactly_the_reported_accuracy(exported, parts, litelens):
    _, path = exported
    ended = litelens("classify", path, parts / "test", "--json", "--top-k", 1)
    lines = [json.loads(line) for line in ended.stdout.splitlines()]
    right = sum(line["predictions"][0]["label"] == line["source"].split("/")[-2] for line in lines)
    assert len(lines) == 30 and right / 30 == read_model_file(path).manifest.accuracy.int8_top1


def test_the_file_opens_with_zipfile_and_tells_no_path(exported, parts):
    _, path = exported
    with zipfile.ZipFile(path) as archive:
        assert set(archive.namelist()) == {"labels.txt", "litelens.json"}
    assert str(parts.parent).encode() not in path.read_bytes()


def test_if_no_candidate_passes_nothing_is_written(trained_run, tmp_path, litelens):
    out = tmp_path / "parts.tflite"
    # No int8 model is 60 points better than a float model that is far above 40 %.
    ended = litelens("export", trained_run, "--out", out, "--qat-epochs", 0, "--max-drop", -60, timeout=600)
    assert ended.returncode == GateMissed.exit_code == 3, ended.stderr
    assert "MISSED" in ended.stdout and "float" in ended.stdout
    assert "error: no int8 model is within" in ended.stderr and "hint: " in ended.stderr
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "name, says",
    [
        ("model.bin", "ends in .tflite"),
        ("folder.tflite", "is a directory"),
        ("absent/model.tflite", "cannot write in"),
    ],
)
def test_a_target_that_cannot_be_written_is_found_out_first(trained_run, tmp_path, name, says):
    from exporter.pipeline import export

    (tmp_path / "folder.tflite").mkdir()
    with pytest.raises(WriteError, match=says):
        export(trained_run, tmp_path / name, qat_epochs=0, max_drop=1.0)


def test_a_model_that_does_not_fit_its_labels_is_an_instruction(trained_run, tmp_path):
    from exporter.pipeline import export

    copy = shutil.copytree(trained_run, tmp_path / "copy")
    (copy / "labels.txt").write_text((copy / "labels.txt").read_text() + "seventh\n")
    with pytest.raises(RunFolderError, match="6 outputs .* 7 labels"):
        export(copy, tmp_path / "x.tflite", qat_epochs=0, max_drop=1.0)


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 cut short"])
def test_a_damaged_float_model_is_an_instruction(trained_run, tmp_path, content):
    from exporter.pipeline import export

    copy = shutil.copytree(trained_run, tmp_path / "copy")
    (copy / "model.keras").write_bytes(content)
    with pytest.raises(RunFolderError, match="cannot be loaded"):
        export(copy, tmp_path / "x.tflite", qat_epochs=0, max_drop=1.0)


def test_ctrl_c_leaves_the_earlier_file_untouched(interrupt, trained_run, tmp_path):
    out = tmp_path / "parts.tflite"
    out.write_bytes(b"the earlier model")
    code, said = interrupt("quantization-aware training", "export", trained_run, "--out", out)
    assert code not in (0, None) and "Traceback" not in said, said
    assert out.read_bytes() == b"the earlier model" and list(tmp_path.iterdir()) == [out]
