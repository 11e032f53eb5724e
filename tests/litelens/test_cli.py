import importlib
import subprocess
import sys

import click
import pytest

from litelens.cli import VERBS

HEAVY = ("tensorflow", "keras", "tf_keras", "tensorflow_model_optimization", "cv2", "matplotlib")
WHAT_WAS_IMPORTED = f"""
import sys
from litelens.cli import main
try:
    main(sys.argv[1:])
except SystemExit as ended:
    print(ended.code, [name for name in {HEAVY!r} if name in sys.modules])
"""


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_is_there(verb):
    module, command, line = VERBS[verb]
    found = getattr(importlib.import_module(module), command)
    assert isinstance(found, click.Command) and found.name == verb
    assert line.endswith(".")


@pytest.mark.parametrize("arguments", [(), *((verb,) for verb in VERBS)], ids=" ".join)
def test_help_is_light(arguments):
    command = [sys.executable, "-c", WHAT_WAS_IMPORTED, *arguments, "--help"]
    ended = subprocess.run(command, capture_output=True, text=True)
    *help_text, imported = ended.stdout.splitlines()
    assert imported == "0 []", ended.stderr
    assert help_text[0].startswith("Usage: ")


def test_help_lists_every_verb(litelens):
    text = litelens("--help").stdout
    for verb, (_, _, line) in VERBS.items():
        assert any(row.split()[:1] == [verb] for row in text.splitlines()), verb
        assert line.split()[0] in text


def test_version(litelens):
    ended = litelens("--version")
    assert (
        ended.returncode == 0
        and "litelens" in litelens("--help").stdout
        and ended.stdout.strip()[-1].isdigit()
    )


@pytest.mark.parametrize("arguments", [("fly",), ("--fly",), ("info",)])
def test_wrong_usage_exits_2(litelens, arguments):
    ended = litelens(*arguments)
    assert ended.returncode == 2 and "Traceback" not in ended.stderr


def test_an_expected_failure_exits_1_with_a_hint(litelens, tmp_path):
    ended = litelens("info", tmp_path / "absent.tflite")
    assert ended.returncode == 1 and ended.stdout == ""
    assert ended.stderr.splitlines()[0].startswith("error: ") and "absent.tflite" in ended.stderr
    assert ended.stderr.splitlines()[1].startswith("hint: ")


ABSENT = """
import sys
sys.modules[{module!r}] = None  # as if it were not installed: importing it raises ModuleNotFoundError
from litelens.cli import main
main(sys.argv[1:])
"""


@pytest.mark.parametrize(
    "arguments, module, extra",
    [
        (("train", "--data", ".", "--out", "run"), "tensorflow", "train"),
        (("train", "--data", ".", "--out", "run"), "tomli_w", "train"),
        (("export", "run", "--out", "x.tflite"), "tensorflow", "train"),
        (("export", "run", "--out", "x.tflite"), "flatbuffers", "train"),
        (("run", "{tiny}", "--camera", "{video}"), "cv2", "camera"),
        (("run", "{tiny}", "--camera", "0"), "cv2", "camera"),
    ],
)
def test_a_verb_without_its_extra_names_the_extra(arguments, module, extra, tiny, video, tmp_path):
    command = [argument.format(tiny=tiny, video=video) for argument in arguments]
    script = ABSENT.format(module=module)
    ended = subprocess.run(
        [sys.executable, "-c", script, *command], capture_output=True, text=True, cwd=tmp_path
    )
    assert ended.returncode == 1 and ended.stdout == ""
    assert f"{module}, which cannot be imported" in ended.stderr
    assert f"hint: pip install 'litelens[{extra}]'" in ended.stderr and "Traceback" not in ended.stderr
