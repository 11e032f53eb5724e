"""Environments of peers that are this one under another name, so that real programs run without any being made."""

import sys
from pathlib import Path

import pytest


@pytest.fixture
def environment(tmp_path):
    """Makes an environment in tmp_path / "environments" whose python runs this one, or a shell command."""

    def make(name: str, command: str = f'exec "{sys.executable}" "$@"') -> Path:
        python = tmp_path / "environments" / name / "bin" / "python"
        python.parent.mkdir(parents=True)
        # A script: a link to a virtual environment's python does not find its packages.
        python.write_text(f"#!/bin/sh\n{command}\n")
        python.chmod(0o755)
        return python

    return make
