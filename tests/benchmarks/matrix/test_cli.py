import json
import os
import sys

import pytest
from click.testing import CliRunner

from benchmarks.matrix.interpreters import INTERPRETERS
from litelens.cli import main

QUICK = ("--threads", 1, "--rounds", 2, "--seconds", 0.02)


@pytest.fixture
def matrix():
    """Runs the command in this process."""

    def run(*arguments: object):
        return CliRunner().invoke(main, ["bench", "matrix", *map(str, arguments)])

    return run


def rows(stdout: str) -> list[list[str]]:
    """The words of the table's lines."""
    lines = stdout.splitlines()
    head = next(i for i, line in enumerate(lines) if line.lstrip().startswith("#"))
    return [line.split() for line in lines[head + 1 : lines.index("", head)]]


def test_models_in_all_interpreters(litelens, tiny, newer, colours, tmp_path):
    """Those that are installed; tflite-runtime is too old for the second model."""
    report, html = tmp_path / "m.json", tmp_path / "m.html"
    files = ("--data", colours, "--json", report, "--html", html)
    ended = litelens("bench", "matrix", tiny, newer, *files, *QUICK)
    assert ended.returncode == 0, ended.stderr
    found = json.loads(report.read_text())
    assert found["kind"] == "matrix" and found["machine"]["cores"] == os.cpu_count()
    installed = [one["name"] for one in found["interpreters"] if not one["install"]]
    assert [one["name"] for one in found["interpreters"]] == list(INTERPRETERS)
    cells = {(cell["model"], cell["interpreter"]): cell for cell in found["cells"]}
    assert len(cells) == len(rows(ended.stdout)) == 2 * len(installed)
    for name in installed:
        cell = cells["tiny.tflite", name]
        assert cell["latency"]["whole"]["p50_ms"] > 0 and not cell["problem"]
        assert (cell["accuracy"]["correct"], cell["accuracy"]["pictures"], cell["agreement"]) == (5, 6, 1)
        too_new = cells["newer.tflite", name]
        if name == "tflite_runtime":
            assert "Didn't find op for builtin opcode 'SOFTMAX' version '4'" in too_new["problem"]
            assert f"{too_new['number']} failed: " in ended.stdout
        else:
            assert too_new["latency"] and not too_new["accuracy"]
    assert "top-1" in html.read_text()


def test_more_threads_than_cores_are_measured_and_marked(matrix, tiny):
    threads = os.cpu_count() + 1
    few = ("--interpreter", "ai_edge_litert", "--rounds", 1, "--seconds", 0.01)
    ended = matrix(tiny, *few, "--threads", threads)
    assert ended.exit_code == 0 and rows(ended.stdout)[0][3] == f"{threads}!"


def test_what_is_not_installed_is_told_and_the_rest_goes_on(litelens, tiny, tmp_path):
    """A package that hides the real one is as if there were none."""
    (tmp_path / "tflite_runtime").mkdir()
    (tmp_path / "tflite_runtime" / "__init__.py").touch()
    hidden = os.environ | {"PYTHONPATH": os.pathsep.join([str(tmp_path), *filter(None, sys.path)])}
    both = ("--interpreter", "tflite_runtime", "--interpreter", "ai_edge_litert")
    ended = litelens("bench", "matrix", tiny, *both, *QUICK, env=hidden)
    assert ended.returncode == 0 and [row[2] for row in rows(ended.stdout)] == ["ai_edge_litert"]
    assert "tflite_runtime is not installed: pip install --upgrade tflite-runtime" in ended.stdout
    ended = litelens("bench", "matrix", tiny, *both[:2], *QUICK, env=hidden)
    assert ended.returncode == 1 and "error: not installed: tflite_runtime" in ended.stderr
    assert "hint: pip install --upgrade tflite-runtime" in ended.stderr


def test_a_model_that_nothing_can_load_is_an_error(matrix, damaged):
    ended = matrix(damaged, "--interpreter", "ai_edge_litert", *QUICK)
    assert (
        ended.exit_code == 1
        and "error: nothing could be measured: damaged.tflite, ai_edge_litert" in ended.stderr
    )


def test_pictures_of_other_classes_are_an_error(matrix, tiny, colours):
    (colours / "red").rename(colours / "purple")
    ended = matrix(tiny, "--data", colours, *QUICK)
    assert ended.exit_code == 1 and "error: tiny.tflite: " in ended.stderr
    assert "'blue', 'green', 'purple'" in ended.stderr and "'blue', 'green', 'red'" in ended.stderr


def test_pictures_without_any_labels_are_an_error(matrix, tiny_float, colours):
    ended = matrix(tiny_float, "--data", colours, *QUICK)
    assert ended.exit_code == 1 and "error: no accuracy can be measured: tiny_float.tflite" in ended.stderr


@pytest.mark.parametrize(
    "wrong",
    [
        ("--threads", "0"),
        ("--threads", "1,,2"),
        ("--threads", "two"),
        ("--threads", "65"),
        ("--rounds", "0"),
        ("--seconds", "0"),
        ("--seconds", "nan"),
        ("--interpreter", "onnx"),
    ],
    ids=" ".join,
)
def test_wrong_usage(matrix, tiny, wrong):
    ended = matrix(tiny, *wrong)
    assert ended.exit_code == 2 and "Error: Invalid value" in ended.stderr
