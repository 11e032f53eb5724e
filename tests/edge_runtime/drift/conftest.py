"""The tiny model with a reference."""

from pathlib import Path

import pytest

from edge_runtime.drift.histogram import Histogram
from edge_runtime.drift.reference import REFERENCE_NAME, Reference
from edge_runtime.model_file import pack, read_model_file


@pytest.fixture
def reference() -> Reference:
    """Ninety pictures of the tiny model's classes, most of them sure."""
    histogram = Histogram(("blue", "green", "red"))
    for number in range(90):
        histogram.count(number % 3, 0.97 if number % 9 else 0.6, unknown=not number % 9)
    return Reference("validation", histogram)


@pytest.fixture
def with_member(tiny, tmp_path):
    """Writes the tiny model with a text under REFERENCE_NAME; returns its path."""
    content, whole = tiny.read_bytes(), read_model_file(tiny)

    def write(text: str) -> Path:
        path = tmp_path / "with_member.tflite"
        model = content[: content.index(b"PK\x03\x04")]
        path.write_bytes(pack(model, whole.labels, whole.manifest, {REFERENCE_NAME: text}))
        return path

    return write
