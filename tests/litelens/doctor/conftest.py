"""Machines to examine: an environment whose Python lacks something, a folder in the place of /, a program that says so."""

import subprocess
import sys
from pathlib import Path

import pytest

from litelens.doctor.check import Check, Machine
from litelens.doctor.software import Python

ROOT = Path(__file__).parents[3]
HERE = Path(sys.prefix, "lib", f"python3.{sys.version_info.minor}", "site-packages")


@pytest.fixture(scope="module")
def bare_environment(tmp_path_factory) -> Path:
    """A virtual environment with nothing installed."""
    folder = tmp_path_factory.mktemp("environment") / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
    return folder


@pytest.fixture
def environment(bare_environment, monkeypatch):
    """Makes a machine whose Python sees stand-ins for some modules, and this environment's after them, or nothing else."""
    monkeypatch.delenv("PYTHONPATH", raising=False)
    site = bare_environment / "lib" / HERE.parent.name / "site-packages"
    written = []

    def make(modules: dict[str, str] | None = None, others: bool = True) -> Machine:
        files = {f"{module.replace('.', '/')}.py": code for module, code in (modules or {}).items()}
        files["others.pth"] = f"{ROOT}\n{HERE}\n" if others else f"{ROOT}\n"
        for name, content in files.items():
            written.append(site / name)
            (site / name).parent.mkdir(parents=True, exist_ok=True)
            (site / name).write_text(content)
        return Machine(python=str(bare_environment / "bin" / "python"))

    yield make
    for path in written:
        path.unlink(missing_ok=True)


@pytest.fixture
def machine(tmp_path):
    """Makes a machine whose files are these, below a folder of its own; a value of None is an empty folder."""

    def make(files: dict[str, str | None] | None = None, **fields) -> Machine:
        for name, content in (files or {}).items():
            path = tmp_path / "root" / name
            if content is None:
                path.mkdir(parents=True, exist_ok=True)
            else:
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(content)
        (tmp_path / "root").mkdir(exist_ok=True)
        return Machine(root=tmp_path / "root", **{"path": "/absent", **fields})

    return make


@pytest.fixture
def program(tmp_path):
    """A program of this name, which does what a shell's script says; returns its folder."""

    def write(name: str, script: str) -> str:
        path = tmp_path / "bin" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)
        return str(path.parent)

    return write


@pytest.fixture(scope="session")
def sound() -> Python:
    """A Raspberry Pi's."""
    return Python(
        version="3.11.2", machine="aarch64", bits=64, prefix="/home/pi/env", base_prefix="/usr", extras=["camera"],
        libraries={"numpy": "1.26.4", "ai_edge_litert": "2.3.0"},
        broken={"tflite_runtime": "ModuleNotFoundError: No module named 'tflite_runtime'"},
    )  # fmt: skip


@pytest.fixture(scope="session")
def assert_is():
    """Asserts what a check has found, and that it names a remedy where there is something to mend."""

    def compare(found: Check, verdict: str, says: str, fix: str = "") -> None:
        assert found.verdict == verdict and says in found.found, found
        assert fix in found.fix and bool(found.fix) == (verdict != "ok"), found

    return compare
