"""A model trained and exported in this session, 100 pictures it never saw, and each client's own python."""

import json
import subprocess
from pathlib import Path

import numpy as np
import pytest

from edge_runtime import Classifier

HERE = Path(__file__).parent
ENVIRONMENTS = HERE.parents[1] / ".venv-clients"


@pytest.fixture(scope="session")
def model(trained_run, litelens, tmp_path_factory) -> Path:
    """The model file, as the command writes it; how accurate it is does not matter here."""
    out = tmp_path_factory.mktemp("clients") / "parts.tflite"
    ended = litelens("export", trained_run, "--out", out, "--candidates", "ptq", "--gate", "off", timeout=600)
    assert ended.returncode == 0, ended.stderr
    return out


@pytest.fixture(scope="session")
def classifier(model) -> Classifier:
    return Classifier(model)


@pytest.fixture(scope="session")
def frames() -> list[np.ndarray]:
    """100 rendered RGB pictures, classes in turn, from a seed that no training picture had."""
    from edge_runtime.rendering import CLASSES, render_picture

    return [render_picture(CLASSES[n % len(CLASSES)], np.random.default_rng([77, n])) for n in range(100)]


@pytest.fixture(scope="session")
def inputs(classifier, frames) -> np.ndarray:
    """The model's input for each frame: uint8 of shape (100, height, width, 3)."""
    return np.concatenate([classifier.preprocess(frame) for frame in frames])


@pytest.fixture(scope="session")
def outputs(classifier, inputs) -> np.ndarray:
    """The raw output for each input, through the device's code: int of shape (100, classes)."""
    return np.array([classifier.invoke(picture[np.newaxis]) for picture in inputs]).astype(int)


@pytest.fixture(scope="session")
def client():
    """Runs a script of this folder with the python of an environment of `make test-clients`; returns its JSON."""

    def run(environment: str, script: str, *arguments: object) -> object:
        python = ENVIRONMENTS / environment / "bin" / "python"
        assert python.exists(), f"{python} is not there: make test-clients"
        # -I: neither this folder nor the repository nor PYTHONPATH is on its path.
        command = [python, "-I", HERE / script, *map(str, arguments)]
        ended = subprocess.run(command, capture_output=True, text=True, timeout=120)
        assert ended.returncode == 0, ended.stderr
        return json.loads(ended.stdout)

    return run
