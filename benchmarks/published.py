"""Numbers of boards that others published: benchmarks/published.toml."""

import tomllib
from dataclasses import dataclass, fields
from datetime import date
from pathlib import Path

from edge_runtime.errors import LitelensError

PUBLISHED = Path(__file__).parent / "published.toml"


class PublishedError(LitelensError):
    """A published number lacks what makes it one."""


@dataclass(frozen=True)
class Number:
    """One number of a source."""

    model: str
    """As the source calls it."""
    input_px: str
    """Height and width."""
    dtype: str
    """Of the model's arithmetic; "not told" where the source does not say."""
    hardware: str
    ms: float
    """With the source's own digits."""


@dataclass(frozen=True)
class Source:
    """One page or file and the numbers copied from it."""

    published_by: str
    title: str
    address: str
    """https://..."""
    seen: date
    """When somebody last read the numbers there."""
    measured: str
    """What exactly was timed and how; a clause that follows the source's name."""
    numbers: tuple[Number, ...]


def read_published(path: Path = PUBLISHED) -> tuple[Source, ...]:
    """All sources, in the file's order.

    Raises:
        PublishedError: If the file cannot be read, or an entry lacks a field, has an empty one or one too many.
    """
    try:
        content = tomllib.loads(path.read_text())
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as problem:
        raise PublishedError(f"cannot read {path}: {problem}", "restore it from the repository") from problem
    sources = content.pop("source", [])
    if content:
        raise PublishedError(f"{path}: unknown {', '.join(content)}", "expected [[source]] alone")
    return tuple(_source(entry, f"{path.name}: source {number}") for number, entry in enumerate(sources, 1))


def _source(entry: dict, where: str) -> Source:
    numbers = tuple(
        _entry(Number, values, f"{where}, number {number}")
        for number, values in enumerate(entry.pop("number", []), 1)
    )
    source = _entry(Source, entry | {"numbers": numbers}, where)
    if not all(number.ms > 0 for number in numbers):
        raise PublishedError(
            f"{where}: a number of ms is not above 0", "a published number is whole or left out"
        )
    if not source.address.startswith("https://"):
        raise PublishedError(
            f"{where}: address is {source.address!r}", "expected one that begins with https://"
        )
    return source


def _entry(kind: type, values: dict, where: str):
    """One dataclass of a TOML table that has exactly its fields, none of them empty."""
    expected = {field.name: field.type for field in fields(kind)}
    for name in expected.keys() | values.keys():
        if name not in expected:
            raise PublishedError(f"{where}: unknown field {name}", f"expected {', '.join(expected)}")
        value = values.get(name)
        if not value:
            raise PublishedError(f"{where}: no {name}", "a published number is whole or left out")
        wanted = {float: float | int, str: str, date: date}.get(expected[name], tuple)
        if not isinstance(value, wanted):
            raise PublishedError(f"{where}: {name} is {value!r}", f"expected a {expected[name].__name__}")
    return kind(**values)
