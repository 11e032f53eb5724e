"""The model that answers."""

import os
from dataclasses import dataclass
from pathlib import Path

from edge_runtime.classifier import Classifier
from edge_runtime.device import choose_device, compiled_beside
from edge_runtime.live.status import DeviceStatus

Signature = tuple[tuple[int, ...] | None, ...]
"""What tells one state of files from another; None where one is not there."""


@dataclass(frozen=True)
class LoadedModel:
    """A model file in an interpreter."""

    path: Path
    """As the user named it; what is loaded may be the _edgetpu file beside it."""
    signature: Signature
    """Of its files, taken before they were read."""
    classifier: Classifier
    device: DeviceStatus

    @property
    def labels(self) -> tuple[str, ...]:
        return self.classifier.labels

    @property
    def thresholds(self) -> tuple[float, ...]:
        """One a label: the score that brings it into view."""
        return self.classifier.model_file.manifest.decision.thresholds


def load_model(
    path: Path, device: str, threads: int | None, state: Path | None = None, *, in_use: bool = False
) -> LoadedModel:
    """Loads a model file onto a device.

    Args:
        path: NAME.tflite; an Edge TPU is given NAME_edgetpu.tflite beside it.
        device: What edge_runtime.device.choose_device takes, as are `state` and `in_use`.
        threads: How many one inference may use; None: the cores, at most 4.
        state: A folder in which it is remembered that an Edge TPU crashed.
        in_use: Whether this process runs on the Edge TPU already.

    Raises:
        ModelFileError: If the file is missing, damaged or foreign.
        DeviceError: If there is no such device.
        InterpreterError: If the interpreter refuses the model.
    """
    before = signature(path)
    chosen = choose_device(device, path, state, in_use=in_use)
    classifier = Classifier(chosen.model, threads, delegate=chosen.delegate)
    return LoadedModel(path, before, classifier, chosen.status)


def signature(path: Path) -> Signature:
    """Another one after the file, or the one for the Edge TPU beside it, was written, replaced or linked elsewhere."""
    return tuple(_identity(file) for file in (path, compiled_beside(path)))


def _identity(path: Path) -> tuple[int, ...] | None:
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns
