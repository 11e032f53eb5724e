"""What every result but a card begins with: its kind, where and when it was measured, by which command, beside what else.

benchmarks/results/MACHINE/ keeps such files; `benchmarks.results_page` makes docs/benchmarks.md of them and of cards.
"""

import json
import shlex
import sys
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime
from pathlib import Path
from typing import get_type_hints

from benchmarks.card.contract import Machine
from benchmarks.measuring.machine import this_machine
from benchmarks.measuring.others import CpuTime
from edge_runtime.board import ROOT, governor, temperature_c
from edge_runtime.errors import LitelensError
from edge_runtime.whole_file import write_whole

SCHEMA = 1


class ResultError(LitelensError):
    """A kept result cannot be read, is of another version, or is in another machine's folder."""


@dataclass(frozen=True)
class Beginning:
    """When a command began, and what the processor had done until then."""

    created: str
    """UTC, ISO 8601."""
    cpu_time: CpuTime


@dataclass(frozen=True)
class Result:
    """One file, read back."""

    kind: str
    """The command's name: "training_time", "matrix" ..."""
    created: str
    """UTC, ISO 8601, when the command began."""
    command: str
    machine: Machine
    governor: str | None
    temperature_c: float | None
    """After the last run."""
    others_share: float | None
    """Of all cores' time, what other programs took while the command ran; None where the kernel does not tell."""
    measured: dict
    """What the command found: the rest of the file."""


def begin(root: Path = ROOT) -> Beginning:
    """To be called before anything is measured."""
    return Beginning(datetime.now(UTC).isoformat(timespec="seconds"), CpuTime.now(root))


def write_result(path: Path, kind: str, began: Beginning, measured: dict, root: Path = ROOT) -> None:
    """Writes what a command found as JSON, after the fields of `Result`.

    Raises:
        WriteError: If path cannot be written.
    """
    head = {
        "schema": SCHEMA,
        "kind": kind,
        "created": began.created,
        "command": command_line(),
        "machine": asdict(this_machine(root)),
        "governor": governor(root),
        "temperature_c": temperature_c(root),
        "others_share": began.cpu_time.others_share(CpuTime.now(root)),
    }
    write_whole(path, (json.dumps(head | measured, indent=1) + "\n").encode())


def read_result(content: dict, path: Path) -> Result:
    """The result that a file's JSON holds.

    Raises:
        ResultError: If it is of another schema, or its head lacks something or holds something else.
    """
    again = f"measure again: {content.get('command')}"
    if (schema := content.get("schema")) != SCHEMA:
        raise ResultError(f"{path}: schema {schema!r}, this litelens reads {SCHEMA}", again)
    try:
        machine = Machine(**_typed(Machine, content.get("machine")))
        measured = {name: content[name] for name in content if name not in ("schema", *_HEAD)}
        return Result(**_typed(Result, content | {"machine": machine, "measured": measured}))
    except TypeError as problem:
        raise ResultError(f"{path}: {problem}", again) from problem


_HEAD = [field.name for field in fields(Result) if field.name != "measured"]


def _typed(kind: type, values: object) -> dict:
    """What a dataclass is made of, out of a dict that may hold more."""
    if not isinstance(values, dict):
        raise TypeError(f"{kind.__name__.lower()} is {values!r}, expected an object")
    hints = get_type_hints(kind)
    for name, hint in hints.items():
        if name not in values:
            raise TypeError(f"no {name}")
        if not isinstance(values[name], hint):
            raise TypeError(f"{name} is {values[name]!r}, expected {hint}")
    return {name: values[name] for name in hints}


def command_line() -> str:
    """How this process was called, without the folders of this machine and without where the result goes."""
    spec = sys.modules["__main__"].__spec__
    program = f"python -m {spec.name}" if spec and spec.name.startswith("benchmarks.") else "litelens"
    words = [Path(word).name if word.startswith("/") else word for word in sys.argv[1:]]
    if "--json" in words:
        at = words.index("--json")
        del words[at : at + 2]
    return f"{program} {shlex.join(words)}"
