"""What the page needs of the running loop, and how well the loop does."""

from collections.abc import Sequence
from dataclasses import dataclass
from time import monotonic
from typing import Literal, Protocol

from edge_runtime.deciding.observation import Event, Observation
from edge_runtime.live.status import Status

STALE_AFTER_S = 5.0
"""A newest frame that is older means that the camera is lost, or the loop hangs."""


class LiveView(Protocol):
    """The running loop, as the page sees it. Every method may be called from any thread."""

    labels: tuple[str, ...]
    """The model's, in the order of `Observation.scores`; another tuple after a reload."""

    def newest(self) -> Observation | None:
        """The newest observation; None before the first."""

    def wait_newer(self, frame_number: int, timeout_s: float) -> Observation | None:
        """Blocks until the newest observation is of another frame than that; None if none came in time."""

    def status(self) -> Status: ...

    def recent_events(self, limit: int) -> Sequence[Event]:
        """The last events, newest first, at most `limit`. Asked for twice a second, and more often by scripts."""


@dataclass(frozen=True)
class Health:
    """How well it does, in a word and a sentence."""

    level: Literal["ok", "degraded", "lost"]
    """"degraded": it answers, and something is not as asked; "lost": it does not answer."""
    reason: str
    """Why it is not "ok", or "". Names no address and no path: /healthz tells it to everyone."""


def age_s(observation: Observation) -> float:
    """Seconds since the frame was captured."""
    return monotonic() - observation.frame.captured_s


def health(status: Status, newest: Observation | None) -> Health:
    """Judges the status, and the age of the newest frame."""
    if not status.camera.ok:
        return Health("lost", "the camera gives no frames")
    if newest is None:
        return Health("lost", "no frame was classified yet")
    if not status.healthy and age_s(newest) > STALE_AFTER_S:
        return Health("lost", f"no frame was classified for {age_s(newest):.0f} seconds")
    troubles = [f"the sink {sink.name} does not deliver" for sink in status.sinks if not sink.ok]
    if status.device.degraded:
        troubles.insert(0, "a slower device is used than was asked for")
    if status.model.refused:
        troubles.insert(0, "a new model file was refused, the one before goes on")
    if status.follow and status.follow.refused:
        troubles.append("an update was refused, the model before goes on")
    if status.board.throttled:
        troubles.append("the board is throttled by heat or low voltage")
    if not status.healthy and not troubles:
        troubles.append("the loop is in trouble")
    return Health("degraded", "; ".join(troubles)) if troubles else Health("ok", "")
