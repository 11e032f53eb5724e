from dataclasses import replace

import pytest

from edge_runtime.live.status import (
    BoardStatus,
    CameraStatus,
    DeviceStatus,
    FollowStatus,
    ModelStatus,
    Status,
)
from edge_runtime.sinks.sink import SinkStatus
from edge_runtime.web.view import health

MODEL = ModelStatus("tiny", "1", "tiny.tflite", ("blue", "green", "red"), "ai_edge_litert 2", 0, "")
CAMERA = CameraStatus("rtsp://door", True, "", 100, 3, 0)
SINK = SinkStatus("mqtt", True, 5, 0, 0, "")
GOOD = Status(
    True, 60.0, "red", 97, 0, 10.0, 20.0, 5.0, MODEL, CAMERA, DeviceStatus("cpu", "cpu", ""),
    BoardStatus(50.0, False), (SINK,),
)  # fmt: skip
FOLLOW = FollowStatus(False, "http://models", "stable", "2", "no update: no route", False, 60.0, 3600.0)
BAD = replace(GOOD, healthy=False)
LOST_CAMERA = replace(CAMERA, ok=False, error="rtsp://door: no route to host")
DEAD_SINK = replace(SINK, ok=False, error="connection refused")


@pytest.mark.parametrize(
    "status, age_s, level, reason",
    [
        (GOOD, 0.1, "ok", ""),
        (replace(GOOD, board=BoardStatus(None, None)), 0.1, "ok", ""),
        (replace(BAD, camera=LOST_CAMERA), 8, "lost", "the camera gives no frames"),
        (BAD, None, "lost", "no frame was classified yet"),
        (BAD, 61, "lost", "no frame was classified for 61 seconds"),
        # A loop that is told to look at a frame a minute is well.
        (GOOD, 61, "ok", ""),
        (BAD, 0.1, "degraded", "the loop is in trouble"),
        (replace(BAD, sinks=(DEAD_SINK,)), 0.1, "degraded", "the sink mqtt does not deliver"),
        (replace(GOOD, model=replace(MODEL, refused="no zip")), 0.1, "degraded",
         "a new model file was refused, the one before goes on"),
        # A network that is away for an hour is no trouble of the camera's.
        (replace(GOOD, follow=FOLLOW), 0.1, "ok", ""),
        (replace(GOOD, follow=replace(FOLLOW, refused=True, said="http://models/x is refused")), 0.1, "degraded",
         "an update was refused, the model before goes on"),
        (replace(GOOD, device=DeviceStatus("auto", "cpu", "no Edge TPU")), 0.1, "degraded",
         "a slower device is used than was asked for"),
        (replace(GOOD, board=BoardStatus(85, True), sinks=(DEAD_SINK,)), 0.1, "degraded",
         "the sink mqtt does not deliver; the board is throttled by heat or low voltage"),
    ],
)  # fmt: skip
def test_health_is_a_word_and_a_reason(steady_loop, status, age_s, level, reason):
    observation = steady_loop.newest()
    aged = None
    if age_s is not None:
        frame = replace(observation.frame, captured_s=observation.frame.captured_s - age_s)
        aged = replace(observation, frame=frame)
    found = health(status, aged)
    assert (found.level, found.reason) == (level, reason)
    # /healthz is open: no address, no path.
    assert "rtsp" not in found.reason and "/" not in found.reason
