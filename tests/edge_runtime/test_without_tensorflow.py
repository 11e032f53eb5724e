"""A device has neither TensorFlow nor the rooms that use it; the runtime must not notice."""

import json
import subprocess
import sys

import pytest

BLOCKED = """
import sys
from importlib.abc import MetaPathFinder

ABSENT = ("tensorflow", "keras", "tf_keras", "tensorflow_model_optimization", "flatbuffers", "trainer", "exporter")


class Absent(MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ABSENT:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)


sys.meta_path.insert(0, Absent())
"""
CLASSIFY = BLOCKED + "from litelens.cli import main\nmain(sys.argv[1:])"


@pytest.mark.parametrize(
    "arguments",
    [("classify", "{tiny}", "{pictures}", "--json"), ("run", "{tiny}", "--camera", "{pictures}")],
    ids=lambda arguments: arguments[0],
)
def test_classifies_without_tensorflow(arguments, tiny, pictures):
    command = [argument.format(tiny=tiny, pictures=pictures) for argument in arguments]
    ended = subprocess.run([sys.executable, "-c", CLASSIFY, *command], capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr
    found = [json.loads(line)["predictions"][0]["label"] for line in ended.stdout.splitlines()]
    assert found == ["blue", "red", "green"]


@pytest.mark.parametrize(
    "arguments",
    [
        ("info", "{tiny}"),
        ("verify", "{tiny}"),
        ("bench", "{tiny}", "--quick", "--threads", "1"),
        ("selftest", "{tiny}"),
        ("doctor",),
        ("--help",),
    ],
)
def test_the_other_verbs_of_a_device_do_too(arguments, tiny):
    command = [argument.format(tiny=tiny) for argument in arguments]
    ended = subprocess.run([sys.executable, "-c", CLASSIFY, *command], capture_output=True, text=True)
    assert ended.returncode == 0 and ended.stdout, ended.stderr


def test_the_block_blocks():
    command = [sys.executable, "-c", BLOCKED + "import tensorflow"]
    ended = subprocess.run(command, capture_output=True, text=True)
    assert "No module named 'tensorflow'" in ended.stderr
