"""From each frame's scores to what is in view, and to events when that changes."""

import uuid
from dataclasses import dataclass, replace
from time import monotonic, time

import numpy as np

from edge_runtime.capture.frame import Frame
from edge_runtime.classifier import Prediction
from edge_runtime.deciding.observation import Event, Observation
from edge_runtime.deciding.presence import Hysteresis, Presence
from edge_runtime.deciding.smoothing import MovingAverage, Smoothing, Votes
from edge_runtime.decision import UNKNOWN


@dataclass(frozen=True)
class DecidingSettings:
    """How frames over time become what is in view."""

    smoothing: Smoothing
    hysteresis: float
    """0 to 1: how far below its threshold, and below the best label, a label in view may fall before it leaves."""
    min_interval_s: float
    """What is in view changes at most once in so many seconds."""


class Decider:
    """Remembers the last frames of one camera and what was in view.

    Events keep their order: a label that entered leaves before another enters, also where frames stop or the
    model is replaced.
    """

    def __init__(self, labels: tuple[str, ...], thresholds: tuple[float, ...], settings: DecidingSettings):
        """Starts with nothing in view.

        Args:
            labels: The model's.
            thresholds: One a label, 0 to 1.
            settings: How frames are judged.
        """
        self.state = UNKNOWN
        """What is in view: a label, or "unknown"; may be read from any thread."""
        self._settings = settings
        self._presence = Presence(settings.min_interval_s)
        self._last: Observation | None = None
        self._begin(labels, thresholds)

    def observe(
        self, frame: Frame, scores: np.ndarray, predictions: list[Prediction], answer: str, invoke_ms: float
    ) -> Observation:
        """Judges a frame that was just classified.

        Args:
            frame: The frame, or the part of it that the model saw.
            scores: Of all labels, tempered: shape (classes,), float32.
            predictions: The best of them, best first.
            answer: The frame's own answer.
            invoke_ms: How long the model took.
        """
        smoothed = self._average.add(scores)
        if self._settings.smoothing.votes:
            self._votes.add(self._hysteresis.choose(scores, self._presence.in_view))
            chosen = self._votes.winner(self._settings.smoothing.votes, self._presence.in_view)
        else:
            chosen = self._hysteresis.choose(smoothed, self._presence.in_view)
        left, entered = self._presence.update(chosen, frame.captured_s)
        in_view = self._presence.in_view
        self.state = UNKNOWN if in_view is None else self._labels[in_view]
        changes = (("left", left), ("entered", entered))
        self._last = Observation(
            frame,
            answer,
            predictions,
            smoothed,
            self.state,
            tuple(
                self._event(*change, smoothed, frame, frame.time)
                for change in changes
                if change[1] is not None
            ),
            (monotonic() - frame.captured_s) * 1e3,
            invoke_ms,
        )
        return self._last

    def forget(self) -> Observation | None:
        """Takes out of view what was in view, because no frame tells any more whether it still is.

        Called when the camera is lost, and before the labels change.

        Returns:
            The last observation again, with the state "unknown" and the event that a label left; None if none
            was in view.
        """
        last, self._last = self._last, None
        self._begin(self._labels, self._thresholds)
        if self._presence.in_view is None:
            return None
        left, _ = self._presence.replace(None, monotonic())
        self.state = UNKNOWN
        event = self._event("left", left, last.scores, last.frame, time())
        return replace(
            last, state=UNKNOWN, events=(event,), age_ms=(monotonic() - last.frame.captured_s) * 1e3
        )

    def adopt(self, labels: tuple[str, ...], thresholds: tuple[float, ...]) -> Observation | None:
        """Goes on with another model's labels and thresholds.

        Returns:
            None where the labels are the same: then all that is remembered stays. Else what `forget` gives.
        """
        if labels == self._labels:
            self._thresholds = thresholds
            self._hysteresis = Hysteresis(np.array(thresholds), self._settings.hysteresis)
            return None
        forgotten = self.forget()
        self._begin(labels, thresholds)
        return forgotten

    def _begin(self, labels: tuple[str, ...], thresholds: tuple[float, ...]) -> None:
        self._labels, self._thresholds = labels, thresholds
        self._hysteresis = Hysteresis(np.array(thresholds), self._settings.hysteresis)
        self._average = MovingAverage(self._settings.smoothing.frames, len(labels))
        self._votes = Votes(self._settings.smoothing.frames)

    def _event(self, kind: str, class_id: int, scores: np.ndarray, frame: Frame, at: float) -> Event:
        label = self._labels[class_id]
        return Event(uuid.uuid4().hex, kind, label, float(scores[class_id]), at, frame.source, frame.number)
