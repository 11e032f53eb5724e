"""A card as a JSON file: the contract's fields in the contract's order, and nothing else."""

import dataclasses
import json
import math
import os
import reprlib
import types
import typing
from pathlib import Path

from benchmarks.card.contract import SCHEMA, Card
from edge_runtime.errors import LitelensError
from edge_runtime.whole_file import write_whole

DIGITS = 6
"""Significant digits of a number: a microsecond in ten seconds."""
MEASURE_AGAIN = "measure again: litelens bench NAME.tflite --json CARD.json"


class CardError(LitelensError):
    """A card cannot be read, or holds too little to be compared."""


def write_card(path: Path, card: Card) -> None:
    """Writes a card, whole or not at all. Numbers are rounded to DIGITS significant digits.

    Raises:
        ValueError: If a number is not finite.
        WriteError: If path cannot be written.
    """
    write_whole(path, (_text(card, "") + "\n").encode())


def read_card(path: Path) -> Card:
    """Reads what `write_card` wrote.

    Raises:
        CardError: If there is no such file, it is no JSON or no card, was made by a newer litelens, or differs from
            the contract: a key is missing, unknown or there twice, a value has another type, a number is not finite.
    """
    try:
        fields = json.loads(_content(path), object_pairs_hook=_once_each)
    except (ValueError, RecursionError) as problem:  # also a number of 5,000 digits, 1,000 brackets
        raise CardError(f"{path} is damaged, or no JSON: {problem}", MEASURE_AGAIN) from problem
    if not isinstance(fields, dict) or "schema" not in fields:
        raise CardError(f"{path} is no card: expected an object with a schema", MEASURE_AGAIN)
    schema = fields["schema"]
    if type(schema) is int and schema > SCHEMA:
        raise CardError(
            f"{path} was made by a newer litelens (schema {schema}, this one reads {SCHEMA})",
            "upgrade this one: pip install --upgrade litelens",
        )
    if type(schema) is not int or schema != SCHEMA:
        raise CardError(
            f"{path} has schema {reprlib.repr(schema)}, this litelens reads {SCHEMA}", MEASURE_AGAIN
        )
    try:
        return _built(Card, fields, "")
    except _Contradiction as problem:
        raise CardError(f"{path} is no card of schema {SCHEMA}: {problem}", MEASURE_AGAIN) from problem


def optional(kind: object) -> object | None:
    """What a field of the contract holds beside None, or None where it always holds something."""
    if not isinstance(kind, types.UnionType):
        return None
    (other,) = (one for one in typing.get_args(kind) if one is not types.NoneType)
    return other


def element(kind: object) -> object | None:
    """Of what a field of the contract is a tuple, or None where it is none."""
    return typing.get_args(kind)[0] if typing.get_origin(kind) is tuple else None


class _Contradiction(Exception):
    """A value is not what the contract says of its place."""


def _content(path: Path) -> str:
    if os.path.isdir(path) or not os.path.exists(path):
        raise CardError(
            f"{path} is {'a directory' if os.path.isdir(path) else 'not there'}, expected a card",
            MEASURE_AGAIN,
        )
    try:
        return path.read_bytes().decode()
    except OSError as problem:
        raise CardError(
            f"cannot read {path}: {problem.strerror}", "check the file's permissions"
        ) from problem


def _once_each(pairs: list[tuple[str, object]]) -> dict:
    """An object whose keys are there once each: Python would silently take the last."""
    fields = dict(pairs)
    if len(fields) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"the key {reprlib.repr(twice)} is there twice")
    return fields


def _built(kind: type, fields: object, where: str):
    """A dataclass of the contract, from a dict that must hold its keys, all of them and no others."""
    here = where or "the card"
    if not isinstance(fields, dict):
        raise _Contradiction(f"{here} is {reprlib.repr(fields)}, expected an object")
    kinds = typing.get_type_hints(kind)
    if missing := [name for name in kinds if name not in fields]:
        raise _Contradiction(f"{here} lacks {', '.join(missing)}")
    if unknown := [name for name in fields if name not in kinds]:
        raise _Contradiction(f"{here} has the unknown key {', '.join(map(reprlib.repr, unknown))}")
    prefix = f"{where}." if where else ""
    return kind(**{name: _value(kinds[name], fields[name], f"{prefix}{name}") for name in kinds})


def _value(kind: object, value: object, where: str):
    if other := optional(kind):
        return None if value is None else _value(other, value, where)
    if one := element(kind):
        if not isinstance(value, list):
            raise _Contradiction(f"{where} is {reprlib.repr(value)}, expected a list")
        return tuple(_value(one, item, f"{where}[{index}]") for index, item in enumerate(value))
    if dataclasses.is_dataclass(kind):
        return _built(kind, value, where)
    # true is no number, and 1 is a float too: JSON does not tell them apart.
    if kind is float and type(value) in (int, float):
        return _finite(value, where)
    if type(value) is not kind:
        raise _Contradiction(f"{where} is {reprlib.repr(value)}, expected {kind.__name__}")
    return value


def _finite(value: int | float, where: str) -> float:
    """Python reads NaN, Infinity and 1e999 as JSON, and whole numbers beyond all floats."""
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise _Contradiction(f"{where} is {reprlib.repr(value)}, expected a finite number")
    return number


def _text(value: object, indent: str) -> str:
    """JSON with a line a key, and lists of plain values, such as 200 times, in one line."""
    inner = indent + " "
    if dataclasses.is_dataclass(value):
        lines = (
            f'{inner}"{field.name}": {_text(getattr(value, field.name), inner)}'
            for field in dataclasses.fields(value)
        )
        return "{\n" + ",\n".join(lines) + f"\n{indent}}}"
    if isinstance(value, tuple):
        items = [_text(item, inner) for item in value]
        if any(dataclasses.is_dataclass(item) for item in value):
            return "[\n" + ",\n".join(inner + item for item in items) + f"\n{indent}]"
        return f"[{', '.join(items)}]"
    if isinstance(value, float):
        value = float(f"{value:.{DIGITS}g}")
    return json.dumps(value, allow_nan=False)
