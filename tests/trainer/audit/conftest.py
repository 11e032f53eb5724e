"""Pictures with something to see in them, saved as a data set would have them."""

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image


@pytest.fixture(scope="session")
def scene():
    """Makes a picture of its own for each seed: soft blobs, as unlike another as two photographs."""

    def make(seed: int, size: tuple[int, int] = (120, 160)) -> Image.Image:
        coarse = np.random.default_rng(seed).integers(0, 256, (12, 16, 3), dtype=np.uint8)
        return Image.fromarray(coarse).resize(size[::-1], Image.Resampling.BICUBIC)

    return make


@pytest.fixture
def save(tmp_path):
    """Saves a picture, or bytes, below tmp_path; returns its path."""

    def write(name: str, content: Image.Image | bytes, **options) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, Image.Image):
            file = io.BytesIO()
            content.save(
                file, options.pop("format", None) or Image.registered_extensions()[path.suffix], **options
            )
            content = file.getvalue()
        path.write_bytes(content)
        return path

    return write
