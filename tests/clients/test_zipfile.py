"""The file opens as a zip: with Python's standard library alone, and with unzip."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from edge_runtime.drift.reference import REFERENCE_NAME
from edge_runtime.model_file import LABELS_NAME, MANIFEST_NAME

pytestmark = pytest.mark.clients

SCRIPT = Path(__file__).parent / "zipfile_client.py"


def test_a_python_with_nothing_installed_reads_labels_and_manifest(model, classifier):
    # Not this environment's python, and -I -S: no packages of any kind on the path.
    command = [sys._base_executable, "-I", "-S", SCRIPT, model]
    found = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    assert found["damaged"] is None
    assert list(found["files"]) == [LABELS_NAME, MANIFEST_NAME, REFERENCE_NAME]
    assert found["files"][LABELS_NAME].splitlines() == list(classifier.labels)
    assert json.loads(found["files"][MANIFEST_NAME])["name"] == model.stem


@pytest.mark.skipif(shutil.which("unzip") is None, reason="unzip is not installed")
def test_unzip_reads_them_too(model, classifier):
    def unzip(*arguments: str) -> str:
        # Exit code 1 is unzip's warning of bytes before the zip: the model itself.
        ended = subprocess.run(["unzip", *arguments], capture_output=True, text=True)
        assert ended.returncode in (0, 1), ended.stderr
        return ended.stdout

    listed = unzip("-l", str(model))
    assert LABELS_NAME in listed and MANIFEST_NAME in listed
    assert unzip("-p", str(model), LABELS_NAME).splitlines() == list(classifier.labels)
