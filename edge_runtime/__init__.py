"""Classifies camera frames on small devices: NumPy, Pillow, click and an interpreter, never TensorFlow."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from edge_runtime.classifier import Classifier, Prediction

__all__ = ["Classifier", "Prediction"]


def __getattr__(name: str):
    """Imports the classifier when it is asked for: `litelens doctor` must run where NumPy does not."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from edge_runtime import classifier

    return getattr(classifier, name)
