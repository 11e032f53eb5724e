"""Settings from tables, as a TOML file has them: each value is checked by its field's type."""

import dataclasses
import difflib
from pathlib import Path
from typing import Any, TypeVar, get_args, get_type_hints

from edge_runtime.errors import ConfigError

Settings = TypeVar("Settings")


def settings_of(kind: type[Settings], values: dict[str, Any], within: str = "") -> Settings:
    """Reads a dataclass of settings from a table, and those it holds from the tables below.

    Args:
        kind: Its fields are texts, numbers, paths, tuples of texts, and dataclasses like it.
        values: By the fields' names.
        within: Where the table stands, for messages: "web." of ``[web]``.

    Raises:
        ConfigError: If a setting is unknown, missing, or of another type than its field.
    """
    hints = get_type_hints(kind)
    known = list(hints)
    given = {}
    for name, value in values.items():
        if name not in known:
            nearest = difflib.get_close_matches(name, known, 1)
            hint = f"did you mean {nearest[0]!r}?" if nearest else f"settings are {', '.join(known)}"
            raise ConfigError(f"unknown setting {within}{name}", hint)
        given[name] = _value(hints[name], value, within + name)
    for needed in dataclasses.fields(kind):
        if needed.default is dataclasses.MISSING and needed.name not in given:
            raise ConfigError(
                f"{within}{needed.name} is missing", f"set {needed.name} in [{within.rstrip('.')}]"
            )
    return kind(**given)


def _value(hint: Any, value: Any, name: str) -> Any:
    """The value as its field wants it: tables as settings, lists as tuples, whole numbers as such or as floats."""
    part = next((kind for kind in get_args(hint) if dataclasses.is_dataclass(kind)), None)
    if part and isinstance(value, dict):
        return settings_of(part, value, f"{name}.")
    hint = next((kind for kind in (float, int) if kind in get_args(hint)), hint)  # of float | None
    wanted = {tuple[str, ...]: list, float: (int, float), int: int}.get(hint, dict if part else str)
    right = isinstance(value, wanted) and not isinstance(value, bool)
    if not right or wanted is list and not all(isinstance(item, str) for item in value):
        names = {list: "a list of texts", dict: "a table", str: "a text", int: "a whole number"}
        expected = names.get(wanted, "a number")
        # Not the value itself where it may be an address with a password.
        raise ConfigError(f"{name} is a {type(value).__name__}, expected {expected}", f"correct {name}")
    if Path in get_args(hint):
        return Path(value) if value else None
    return tuple(value) if wanted is list else value
