"""Wheels of a litelens that is not this one: newer, or broken."""

import base64
import hashlib
import shutil
import zipfile
from pathlib import Path

import pytest


def altered(wheel: Path, target: Path, appended: dict[str, str]) -> Path:
    """A copy of a wheel with texts appended to files of it, and its RECORD fitted (PEP 376)."""
    with zipfile.ZipFile(wheel) as old, zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as new:
        contents = {name: old.read(name) for name in old.namelist()}
        for name, text in appended.items():
            contents[name] += text.encode()
        record = next(name for name in contents if name.endswith(".dist-info/RECORD"))
        lines = []
        for line in contents[record].decode().splitlines():
            name = line.rpartition(",sha256=")[0]
            if name in appended:
                digest = base64.urlsafe_b64encode(hashlib.sha256(contents[name]).digest()).rstrip(b"=")
                line = f"{name},sha256={digest.decode()},{len(contents[name])}"
            lines.append(line)
        contents[record] = ("\n".join(lines) + "\n").encode()
        for name, content in contents.items():
            new.writestr(name, content)
    return target


@pytest.fixture
def another_litelens(wheels_cache, tmp_path):
    """Makes a LITELENS_CACHE whose litelens has a text appended to one of its files."""
    made = []

    def make(file: str, text: str) -> Path:
        cache = tmp_path / f"cache{len(made)}"
        made.append(cache)
        shutil.copytree(wheels_cache, cache)
        for wheel in (cache / "wheels").glob("litelens-*/litelens-*.whl"):
            altered(wheel, tmp_path / "altered.whl", {file: text})
            shutil.move(tmp_path / "altered.whl", wheel)
        return cache

    return make
