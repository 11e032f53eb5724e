"""What a training leaves, before it is written down."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from trainer.evaluation.measured import Measured

if TYPE_CHECKING:
    from trainer.batches import Rows
    from trainer.legacy_keras import tf


@dataclass(frozen=True)
class Epoch:
    """One line of history.csv."""

    phase: int
    epoch: int
    """From 1, in its phase."""
    loss: float
    accuracy: float
    val_loss: float
    val_accuracy: float
    learning_rate: float
    """At the end of the epoch."""
    seconds: float


@dataclass(frozen=True)
class Phase:
    """One of the two phases, as it was run."""

    number: int
    parameters: int
    """How many numbers the phase may change."""
    epochs: int
    """How many it ran."""
    stopped_early: bool
    seconds: float
    """Its epochs, without the features."""


@dataclass(frozen=True)
class Trained:
    """What a training run found."""

    model: "tf.keras.Model"
    history: list[Epoch]
    phases: list[Phase]
    measured: list[Measured]
    """Of validation and, where there is one, test."""
    probabilities: dict[str, np.ndarray]
    """{split: float32 of shape (pictures, classes)}, of the splits in `measured`, in the order of the data set."""
    pictures: "dict[str, Rows]"
    """{split: uint8 of shape (pictures, height, width, 3)}, as the model sees them; may lie on disk."""
    preprocessing: str
    """What the backbone does with RGB bytes, for people."""
    seconds: dict[str, float]
    """Wall time of read, features, phase_1, phase_2 and measure."""
    notes: list[str]
    """Sentences for people: what went to disk, what stopped early."""
