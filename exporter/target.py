"""Where an export writes; known before TensorFlow is imported."""

import tempfile
from pathlib import Path

from edge_runtime.errors import WriteError


def report_path(out: Path) -> Path:
    """Where the report of a model file stands."""
    return out.with_suffix(".report.html")


def check_target(out: Path) -> None:
    """Finds out before the export what would stop the writing after it.

    Raises:
        WriteError: If `out` is no name of a .tflite file that can be written.
    """
    if out.is_dir():
        raise WriteError(
            f"--out {out} is a directory, expected a file", f"name a file in it: {out / 'model.tflite'}"
        )
    if out.suffix != ".tflite":
        raise WriteError(
            f"--out {out}: expected a name that ends in .tflite", f"--out {out.with_suffix('.tflite')}"
        )
    try:
        # Made and dropped now: an export takes minutes, and would find out only at its end.
        tempfile.TemporaryFile(dir=out.parent).close()
    except OSError as problem:
        raise WriteError(
            f"cannot write in {out.parent}: {problem}", "create the folder or choose another --out"
        ) from problem
