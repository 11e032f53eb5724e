"""TensorFlow with Keras 2 behind ``tf.keras``, which tensorflow-model-optimization needs: import ``tf`` from here.

The switch is read when TensorFlow is imported, so it has to be set before, in one place.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager

os.environ["TF_USE_LEGACY_KERAS"] = "1"
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")


@contextmanager
def _silent_stderr() -> Iterator[None]:
    """Drops what C++ writes to stderr; Python's exceptions are not touched."""
    kept = os.dup(2)
    nothing = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nothing, 2)
    os.close(nothing)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)


# Six lines on CUDA and oneDNN come before TF_CPP_MIN_LOG_LEVEL is looked at.
with _silent_stderr():
    import tensorflow as tf

__all__ = ["tf"]
