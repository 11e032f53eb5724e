"""The tiny model with another manifest."""

import dataclasses
from pathlib import Path

import hypothesis
import pytest

from edge_runtime.decision import DecisionRule
from edge_runtime.model_file import pack, read_model_file

# On a busy machine any example may wait longer than hypothesis' 200 ms; how long it takes is no property here.
hypothesis.settings.register_profile("no deadline", deadline=None)
hypothesis.settings.load_profile("no deadline")


@pytest.fixture
def repacked(tiny, tmp_path):
    """Writes the tiny model with other fields in its manifest, or other bytes of model; returns its path."""
    content = tiny.read_bytes()
    own = content[: content.index(b"PK\x03\x04")]

    def write(model: bytes = own, **fields) -> Path:
        whole = read_model_file(tiny)
        path = tmp_path / "repacked.tflite"
        path.write_bytes(pack(model, whole.labels, dataclasses.replace(whole.manifest, **fields)))
        return path

    return write


@pytest.fixture(scope="session")
def rule():
    """Makes a decision rule for the tiny model's three classes."""

    def make(temperature: float = 1.0, thresholds: tuple[float, ...] = (0.0, 0.0, 0.0)) -> DecisionRule:
        return DecisionRule(temperature, thresholds, precision=0.9, split="validation", pictures=30)

    return make
