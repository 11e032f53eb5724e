"""Names of models and versions as names of files: they come from files that others made."""

import re
from pathlib import Path

from edge_runtime.store.errors import VersionRefused

CURRENT, PREVIOUS = "current", "previous"
SUFFIX = ".tflite"
# Begins with a letter or digit, so it is neither "..", hidden, nor an option; ASCII, so that every terminal, ssh and file
# system means the same file by it.
_SAFE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,99}", re.ASCII)


def is_safe(name: str) -> bool:
    """Whether a model or a version may be called so in a store."""
    # Beside NAME.tflite, NAME_edgetpu.tflite is what `litelens run` gives to an Edge TPU: no version of its own.
    return bool(_SAFE.fullmatch(name)) and name not in (CURRENT, PREVIOUS) and not name.endswith("_edgetpu")


def check_name(what: str, name: str) -> str:
    """The name, if it is safe.

    Raises:
        VersionRefused: If it is not; `what` is "model" or "version".
    """
    if not is_safe(name):
        raise VersionRefused(
            f"the {what} {name!r:.120} is no name of a file in a store: expected 1 to 100 ASCII letters, digits and "
            f"._+-, beginning with a letter or digit, not {CURRENT}, {PREVIOUS} or ..._edgetpu",
            "export it under another name: litelens export runs/NAME --out NAME.tflite",
        )
    return name


def file_name(version: str) -> str:
    """Of a version's file, in its model's folder."""
    return version + SUFFIX


def version_of(file: str | Path) -> str | None:
    """The version that a file of this name holds; None where it is no version's file."""
    name = Path(file).name
    version = name.removesuffix(SUFFIX)
    return version if name.endswith(SUFFIX) and is_safe(version) else None
