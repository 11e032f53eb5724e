"""A cache folder of its own for each test, and tiny pictures."""

import io
from pathlib import Path

import pytest
from PIL import Image


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch) -> Path:
    """Where this test's sources are unpacked."""
    folder = tmp_path / "cache"
    monkeypatch.setenv("LITELENS_CACHE", str(folder))
    return folder


@pytest.fixture(scope="session")
def encoded():
    """Makes the bytes of a picture of one colour; no two numbers give the same."""

    def make(number: int = 0, kind: str = "PNG") -> bytes:
        buffer = io.BytesIO()
        colour = (number % 256, number // 256 % 256, 77)
        Image.new("RGB", (12, 10), colour).save(buffer, kind)
        return buffer.getvalue()

    return make


@pytest.fixture(scope="session")
def build(encoded):
    """Makes a picture under each name below a folder."""

    def make(folder: Path, *names: str) -> Path:
        for number, name in enumerate(names):
            _write(folder / name, encoded(number))
        return folder

    return make


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


@pytest.fixture(scope="session")
def listed():
    """(name below the source's folder, label, split) of every file of a source."""

    def make(source) -> list[tuple[str, str, str]]:
        return [(f.path.relative_to(source.folder).as_posix(), f.label, f.split) for f in source.files]

    return make
