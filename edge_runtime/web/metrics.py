"""The state in Prometheus' text format 0.0.4 (prometheus.io/docs/instrumenting/exposition_formats)."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from edge_runtime.deciding.observation import Observation
from edge_runtime.decision import UNKNOWN
from edge_runtime.live.status import FollowStatus, Status
from edge_runtime.sinks.sink import SinkStatus
from edge_runtime.web.view import LiveView, age_s, health

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class Sample(NamedTuple):
    """One number; consecutive ones of one name are one family."""

    name: str
    """Counters end in _total."""
    help: str
    value: float
    labels: dict[str, str] = {}


def exposition(live: LiveView, clients: dict[str, int]) -> bytes:
    """The whole of /metrics.

    Args:
        live: The loop.
        clients: How many clients each stream has.
    """
    lines, family = [], None
    for name, help, value, labels in _samples(live, clients):
        if name != family:
            family = name
            kind = "counter" if name.endswith("_total") else "gauge"
            lines += [f"# HELP {name} {help}", f"# TYPE {name} {kind}"]
        pairs = ",".join(f'{key}="{_escaped(text)}"' for key, text in labels.items())
        lines.append(f"{name}{{{pairs}}} {float(value)!r}")
    return ("\n".join(lines) + "\n").encode(errors="replace")


def _samples(live: LiveView, clients: dict[str, int]) -> Iterator[Sample]:
    status, newest = live.status(), live.newest()
    level = health(status, newest).level
    for name in ("ok", "degraded", "lost"):
        yield Sample("litelens_health", "1 for how it does.", level == name, {"level": name})
    yield from _frames(status, newest)
    yield from _answers(status, newest, live.labels)
    yield from _machine(status)
    yield from _sinks(status.sinks)
    if status.follow:
        yield from _follow(status.follow)
    for stream, count in clients.items():
        yield Sample("litelens_web_clients", "Who looks at the page.", count, {"stream": stream})


def _frames(status: Status, newest: Observation | None) -> Iterator[Sample]:
    camera = status.camera
    yield Sample("litelens_uptime_seconds", "Since the loop began.", status.since_s)
    yield Sample("litelens_camera_ok", "Whether frames come.", camera.ok)
    yield Sample("litelens_camera_reopened_total", "Times a lost camera was opened.", camera.reopened)
    yield Sample("litelens_frames_captured_total", "Frames that the camera gave.", camera.captured)
    yield Sample("litelens_frames_dropped_total", "Frames that a newer one replaced.", camera.dropped)
    yield Sample("litelens_frames_classified_total", "Frames that were classified.", status.classified)
    yield Sample("litelens_frames_skipped_total", "Frames that were no RGB picture.", status.skipped)
    yield Sample("litelens_frames_per_second", "Classified, over the last seconds.", status.fps)
    if newest is not None:
        yield Sample("litelens_newest_frame_age_seconds", "Since the newest frame's capture.", age_s(newest))
    if status.age_ms is not None:
        help = "From capture to answer, median of the last frames."
        yield Sample("litelens_answer_age_seconds", help, status.age_ms / 1000)


def _answers(status: Status, newest: Observation | None, labels: tuple[str, ...]) -> Iterator[Sample]:
    model = status.model
    about = {"name": model.name, "version": model.version, "interpreter": model.interpreter}
    yield Sample("litelens_model_info", "The model that answers.", 1, about)
    yield Sample("litelens_model_reloads_total", "Times a new file took over.", model.reloads)
    yield Sample("litelens_model_refused", "Whether the last new file was refused.", bool(model.refused))
    if status.invoke_ms is not None:
        yield Sample("litelens_invoke_seconds", "Median of the last frames.", status.invoke_ms / 1000)
    for label in dict.fromkeys((*labels, UNKNOWN)):
        yield Sample("litelens_state", "1 for the label in view.", status.state == label, {"label": label})
    # Of another length for a moment, when another model takes over.
    if newest is not None and len(newest.scores) == len(labels):
        for label, score in zip(labels, newest.scores, strict=True):
            yield Sample("litelens_score", "Smoothed score, 0 to 1.", score, {"label": label})


def _machine(status: Status) -> Iterator[Sample]:
    device, board = status.device, status.board
    about = {"wanted": device.wanted, "used": device.used}
    yield Sample("litelens_device_degraded", "Whether it is slower than asked.", bool(device.degraded), about)
    if board.temperature_c is not None:
        yield Sample("litelens_board_temperature_celsius", "Of the processor.", board.temperature_c)
    if board.throttled is not None:
        yield Sample("litelens_board_throttled", "Whether heat or low voltage slows it.", board.throttled)
    if (memory := _resident_bytes()) is not None:
        yield Sample("process_resident_memory_bytes", "Of this process.", memory)


def _sinks(sinks: tuple[SinkStatus, ...]) -> Iterator[Sample]:
    named: dict[str, SinkStatus] = {}
    for number, sink in enumerate(sinks):
        # A second webhook is a series of its own: Prometheus refuses a page that has one twice.
        named[f"{sink.name}_{number}" if sink.name in named else sink.name] = sink
    for family, help, field in (
        ("litelens_sink_ok", "Whether its last delivery worked.", "ok"),
        ("litelens_sink_delivered_total", "Deliveries that arrived.", "delivered"),
        ("litelens_sink_waiting", "Events on disk that are to be delivered.", "waiting"),
        ("litelens_sink_dropped_total", "Frames that were not delivered.", "dropped"),
    ):
        for name, sink in named.items():
            yield Sample(family, help, getattr(sink, field), {"sink": name})


def _follow(follow: FollowStatus) -> Iterator[Sample]:
    about = {"channel": follow.channel, "version": follow.offered}
    yield Sample("litelens_follow_offered_info", "What the channel offered last.", 1, about)
    yield Sample("litelens_follow_ok", "Whether the last look for updates went well.", follow.ok)
    yield Sample("litelens_follow_refused", "Whether it ended with a refusal.", follow.refused)
    if follow.looked_s_ago is not None:
        yield Sample("litelens_follow_looked_seconds", "Since a look went well.", follow.looked_s_ago)


def _resident_bytes() -> int | None:
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
    except OSError:  # not Linux
        return None
    return pages * os.sysconf("SC_PAGE_SIZE")


def _escaped(value: str) -> str:
    return value.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
