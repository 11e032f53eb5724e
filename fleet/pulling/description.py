"""What a hard example's JSON says: written on a device, and not trusted here."""

import json
from dataclasses import dataclass
from typing import Any

from edge_runtime.store.history import printable


@dataclass(frozen=True)
class Description:
    """What the model made of a frame."""

    label: str
    """The one with the best score, also where the answer was "unknown"."""
    scores: dict[str, float]
    """{label: score}."""
    model: str
    """Its name."""
    version: str


def read_description(content: bytes) -> Description | None:
    """Reads what edge_runtime.sinks.hard_examples wrote; None of what is nothing of the kind.

    Example:
        >>> text = b'{"scores": {"cat": 0.4, "dog": 0.3}, "model": {"name": "pets", "version": "1"}, "answer": "unknown"}'
        >>> read_description(text).label
        'cat'
    """
    try:
        told = json.loads(content)
    except (ValueError, RecursionError):
        return None
    scores, model = _table(told, "scores"), _table(told, "model")
    name, version = model.get("name"), model.get("version")
    if not is_scores(scores) or not isinstance(name, str) or not isinstance(version, str):
        return None
    best = max(scores, key=lambda label: scores[label])
    return Description(best, scores, printable(name), printable(version))


def _table(told: Any, key: str) -> dict[str, Any]:
    found = told.get(key) if isinstance(told, dict) else None
    return found if isinstance(found, dict) else {}


def is_scores(found: Any) -> bool:
    """Whether it is {label: score}, of at least one."""
    return isinstance(found, dict) and bool(found) and all(map(_is_score, found.values()))


def _is_score(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= 1
