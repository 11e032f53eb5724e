"""Reads what litelens on another machine answered, with the care that another machine's words need."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from edge_runtime.store.history import printable
from fleet.errors import AnswerUnreadable
from fleet.runtime import Runtime

Value = TypeVar("Value")
_SHOWN = 60
"""Characters of a wrong value that a message shows."""


def take(table: Any, key: str, kind: type[Value]) -> Value:
    """A value of an answer, texts made harmless for a terminal.

    Args:
        table: The answer, or what stood in it for a table.
        key: Of the value.
        kind: What it must be; a truth is no number.

    Raises:
        ValueError: If it is absent or of another kind.
    """
    if not isinstance(table, dict) or key not in table:
        raise ValueError(f"{key} is missing")
    value = table[key]
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        raise ValueError(f"{key} is {printable(repr(value))[:_SHOWN]}")
    return printable(value) if isinstance(value, str) else value


@contextmanager
def reading(runtime: Runtime) -> Iterator[None]:
    """Turns a ValueError of the ``with`` block, which reads an answer, into an instruction.

    Raises:
        AnswerUnreadable: The instruction.
    """
    try:
        yield
    except ValueError as problem:
        address = runtime.connection.address
        raise AnswerUnreadable(
            f"litelens {runtime.version} on {address} gives an answer that cannot be read: {printable(str(problem))}",
            f"the same version there and here can: litelens provision {address}",
        ) from problem
