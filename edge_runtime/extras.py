"""Optional libraries: their absence is an instruction, not a traceback."""

from collections.abc import Iterator
from contextlib import contextmanager

from edge_runtime.errors import MissingExtraError


@contextmanager
def extra(name: str, needed_for: str) -> Iterator[None]:
    """Wraps the imports of an extra of litelens: "train", "camera", "web", ...

    Raises:
        MissingExtraError: If a library is not installed or cannot be loaded.
    """
    try:
        yield
    except ImportError as problem:  # also a library whose own system library is absent
        raise MissingExtraError(
            f"{needed_for} needs {problem.name}, which cannot be imported: {problem}",
            f"pip install 'litelens[{name}]'",
        ) from problem
