"""What a frame said, and what changed with it: the values that flow from the loop to the sinks and the page."""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from edge_runtime.capture.frame import Frame
from edge_runtime.classifier import Prediction


@dataclass(frozen=True)
class Event:
    """Something came into view, or went out of it."""

    id: str
    """32 hexadecimal digits, different for every event: receivers tell a repeated delivery by it."""
    kind: Literal["entered", "left"]
    label: str
    score: float
    """0 to 1: the smoothed score of the label when it happened."""
    time: float
    """Wall clock, seconds since 1970: of the frame it was seen on or, where frames stopped, when that was noticed."""
    source: str
    """The camera, as the user named it."""
    frame: int
    """The frame's sequence number."""


@dataclass(frozen=True, eq=False)
class Observation:
    """One classified frame; the last one is told twice where the camera is lost, the second time with nothing in view."""

    frame: Frame
    answer: str
    """Of this frame alone: its best label, or "unknown" below the label's threshold."""
    predictions: list[Prediction]
    """Of this frame alone, best first."""
    scores: np.ndarray
    """Smoothed over frames: shape (classes,), float32, in the order of the model's labels."""
    state: str
    """What is in view after smoothing and hysteresis: a label, or "unknown"."""
    events: tuple[Event, ...]
    """What changed with this frame, in order: a label is left before another is entered."""
    age_ms: float
    """From the frame's capture to the end of its classification."""
    invoke_ms: float
