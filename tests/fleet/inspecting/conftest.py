"""The verb in this process, and what it printed."""

from dataclasses import dataclass

import pytest
from click.testing import CliRunner

from edge_runtime.errors import LitelensError
from fleet.inspecting.cli import fleet


@dataclass(frozen=True)
class Ended:
    """A command that has ended."""

    error: LitelensError | None
    stdout: str
    stderr: str


@pytest.fixture
def fleet_here():
    """Runs `litelens fleet` in this process."""

    def run(*arguments: object) -> Ended:
        result = CliRunner().invoke(fleet, [*map(str, arguments)], standalone_mode=False)
        if result.exception is not None and not isinstance(result.exception, LitelensError):
            raise result.exception
        return Ended(result.exception, result.stdout, result.stderr)

    return run


@pytest.fixture
def answering():
    """A program that is a litelens which prints the same, whatever it is asked."""

    def script(answer: str) -> str:
        return f"#!/bin/sh\n[ $1 = --version ] && exec echo litelens, version 9\ncat <<'END'\n{answer}\nEND\n"

    return script
