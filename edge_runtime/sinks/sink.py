"""The contract of everything that is told what the camera sees."""

from dataclasses import dataclass
from typing import Protocol

from edge_runtime.deciding.observation import Observation


@dataclass(frozen=True)
class SinkStatus:
    """How a sink does, for the page, the metrics and the logs."""

    name: str
    """As the user named it: "mqtt", "webhook", ...; no password or token in it."""
    ok: bool
    """Whether its last delivery worked; True before the first."""
    delivered: int
    """Events (or, for a sink of frames, observations) that arrived."""
    waiting: int
    """Events on disk that are still to be delivered."""
    dropped: int
    """Frames that came faster than they could be handed on; events are never dropped while the disk has room."""
    error: str
    """Why the last delivery failed, or ""."""


class Sink(Protocol):
    """Told of every observation, in a ``with`` block that ends its threads and hands over what it can in a second."""

    def __enter__(self) -> "Sink": ...

    def __exit__(self, *exception: object) -> None: ...

    def take(self, observation: Observation) -> None:
        """Keeps what it wants of an observation and returns at once: the work is done in a thread of the sink's own."""

    def status(self) -> SinkStatus: ...
