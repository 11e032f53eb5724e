"""What everything that is told what the camera sees tells of itself."""

from dataclasses import dataclass


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
