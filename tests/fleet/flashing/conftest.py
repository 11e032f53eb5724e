"""The verb in this process, and what it printed."""

import json
from dataclasses import dataclass

import pytest
from click.testing import CliRunner

from fleet.flashing.cli import flash


@dataclass(frozen=True)
class Ended:
    """A flash that has ended."""

    code: int
    stdout: str
    stderr: str

    @property
    def devices(self) -> list[dict]:
        """Of --json."""
        return json.loads(self.stdout)["devices"]


@pytest.fixture
def flash_here():
    """Runs `litelens flash` in this process; an error that ends it is raised."""

    def run(*arguments: object) -> Ended:
        result = CliRunner().invoke(flash, [*map(str, arguments)], standalone_mode=False)
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return Ended(result.exit_code, result.stdout, result.stderr)

    return run
