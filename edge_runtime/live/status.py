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
