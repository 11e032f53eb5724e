"""How a running camera does: one snapshot, which the page, the metrics, the service and the logs show."""

from dataclasses import dataclass

from edge_runtime.sinks.sink import SinkStatus


@dataclass(frozen=True)
class ModelStatus:
    """Which model answers."""

    name: str
    version: str
    path: str
    labels: tuple[str, ...]
    interpreter: str
    """Library and version."""
    reloads: int
    """How often the file was replaced by a good one."""
    refused: str
    """Why the last new file was refused (the one before goes on), or ""."""


@dataclass(frozen=True)
class CameraStatus:
    """Where the frames come from."""

    source: str
    """As the user named it, without a password."""
    ok: bool
    """Whether frames come."""
    error: str
    """Why not, or ""."""
    captured: int
    """Frames that the camera gave."""
    dropped: int
    """Of these, those that a newer one replaced before they were looked at."""
    reopened: int
    """How often a lost camera was opened again."""


@dataclass(frozen=True)
class DeviceStatus:
    """What the model runs on."""

    wanted: str
    """As the user asked: "cpu", "edgetpu", "edgetpu:usb:0", "auto"."""
    used: str
    """"cpu" or the Edge TPU's name."""
    degraded: str
    """Why something slower than wanted is used, or ""."""


@dataclass(frozen=True)
class BoardStatus:
    """The machine, as far as it tells."""

    temperature_c: float | None
    throttled: bool | None
    """Whether the board runs slower because of heat or low voltage."""


@dataclass(frozen=True)
class FollowStatus:
    """How following a repository does."""

    ok: bool
    """Whether the last look went well; True before the first."""
    address: str
    channel: str
    offered: str
    """The version that the channel offered this device at the last look that went well, or ""."""
    said: str
    """What came of the last look, in a line for people; "" before the first."""
    refused: bool
    """Whether it ended with a refusal, of what the server sent as altered, old or not signed, or of a version that does
    not do here: somebody should look into it."""
    looked_s_ago: float | None
    """Since the last look that went well; None before it."""
    next_look_s: float
    """Until the next one."""


@dataclass(frozen=True)
class Status:
    """All of it."""

    healthy: bool
    """Whether a frame was classified within the last seconds and no part is in trouble."""
    since_s: float
    """Seconds since the loop began."""
    state: str
    """The label in view, or "unknown"."""
    classified: int
    skipped: int
    """Frames that were no RGB picture."""
    fps: float
    """Classified frames a second over the last seconds."""
    age_ms: float | None
    """Median age of the last frames when their answer was there; None before the first."""
    invoke_ms: float | None
    """Median over the last frames."""
    model: ModelStatus
    camera: CameraStatus
    device: DeviceStatus
    board: BoardStatus
    sinks: tuple[SinkStatus, ...]
    follow: FollowStatus | None = None
    """None: this device follows no repository."""
