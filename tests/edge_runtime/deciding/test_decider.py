import time

import numpy as np
import pytest

from edge_runtime.capture.frame import Frame
from edge_runtime.classifier import Prediction
from edge_runtime.deciding.decider import Decider, DecidingSettings
from edge_runtime.deciding.smoothing import parse_smoothing

LABELS = ("cat", "dog")


class Camera:
    """Gives frames at set seconds, and what a model would score on them."""

    def __init__(self, smooth: str, hysteresis: float = 0.1, min_interval_s: float = 0.0):
        settings = DecidingSettings(parse_smoothing(smooth), hysteresis, min_interval_s)
        self.decider = Decider(LABELS, (0.6, 0.6), settings)
        self.number = 0

    def see(self, cat: float, second: float | None = None, wall: float = 1_700_000_000.0, labels=LABELS):
        scores = np.array([cat, 1 - cat, *[0.0] * (len(labels) - 2)], np.float32)
        best = int(scores.argmax())
        second = self.number * 0.1 if second is None else second
        frame = Frame(np.zeros((1, 1, 3), np.uint8), "door", self.number, wall, 1000.0 + second)
        self.number += 1
        predictions = [Prediction(best, labels[best], float(scores[best]))]
        return self.decider.observe(frame, scores, predictions, labels[best], invoke_ms=3.0)


def told(observation) -> list[str]:
    return [f"{event.kind} {event.label}" for event in observation.events]


ENTERED_CAT, LEFT_CAT, CAT_TO_DOG = ["entered cat"], ["left cat"], ["left cat", "entered dog"]


@pytest.mark.parametrize(
    "smooth, seen",
    [
        # seen: (the cat's score, what is in view, events)
        ("none", [(0.9, "cat", ENTERED_CAT), (0.9, "cat", []), (0.1, "dog", CAT_TO_DOG)]),
        ("none", [(0.5, "unknown", []), (0.55, "unknown", []), (0.6, "cat", ENTERED_CAT), (0.55, "cat", [])]),
        ("none", [(0.9, "cat", ENTERED_CAT), (0.49, "unknown", LEFT_CAT), (0.55, "unknown", [])]),
        # means 0.9, 0.5, 0.37, 0.1
        (
            "average:3",
            [(0.9, "cat", ENTERED_CAT), (0.1, "cat", []), (0.1, "dog", CAT_TO_DOG), (0.1, "dog", [])],
        ),
        # one odd frame of three changes nothing
        ("average:3", [(0.9, "cat", ENTERED_CAT), (0.9, "cat", []), (0.1, "cat", []), (0.9, "cat", [])]),
        (
            "votes:2/3",
            [(0.9, "unknown", []), (0.9, "cat", ENTERED_CAT), (0.1, "cat", []), (0.1, "dog", CAT_TO_DOG)],
        ),
        (
            "votes:2/3",
            [(0.9, "unknown", []), (0.1, "unknown", []), (0.5, "unknown", []), (0.9, "unknown", [])],
        ),
        # in view, a frame's vote has the margin too
        (
            "votes:2/2",
            [(0.6, "unknown", []), (0.6, "cat", ENTERED_CAT), (0.55, "cat", []), (0.4, "unknown", LEFT_CAT)],
        ),
    ],
)
def test_what_is_in_view(smooth, seen):
    camera = Camera(smooth)
    for cat, state, events in seen:
        observation = camera.see(cat)
        assert (observation.state, told(observation)) == (state, events)
        assert camera.decider.state == state


def test_an_observation_tells_the_frame_alone_and_the_smoothed():
    camera = Camera("average:2")
    camera.see(1.0)
    before = time.monotonic()
    observation = camera.see(0.25, second=before - 1000.2)
    assert observation.answer == "dog" and observation.predictions[0].score == 0.75
    assert observation.scores.tolist() == [0.625, 0.375] and observation.scores.dtype == np.float32
    assert observation.invoke_ms == 3.0
    assert 200 <= observation.age_ms < 10_000, "a fifth of a second before, and the time this took"


def test_an_event_tells_when_where_and_how_sure():
    camera = Camera("none")
    camera.see(0.9)
    left, entered = camera.see(0.25, wall=1_700_000_009.5).events
    assert (left.kind, left.label, left.score) == ("left", "cat", 0.25)
    assert (entered.kind, entered.label, entered.score) == ("entered", "dog", 0.75)
    assert left.time == entered.time == 1_700_000_009.5
    assert left.source == "door" and left.frame == entered.frame == 1
    assert left.id != entered.id and all(len(e.id) == 32 and int(e.id, 16) for e in (left, entered))


def test_events_keep_their_interval_though_the_wall_clock_jumps_back():
    camera = Camera("none", min_interval_s=1.0)
    assert told(camera.see(0.9, second=0)) == ENTERED_CAT
    assert told(camera.see(0.1, second=0.9, wall=1_699_000_000.0)) == []
    assert told(camera.see(0.1, second=1.0, wall=1_699_000_000.1)) == CAT_TO_DOG
    assert told(camera.see(0.9, second=1.1, wall=1_800_000_000.0)) == []


def test_what_was_in_view_leaves_when_frames_stop():
    camera = Camera("average:3", min_interval_s=60.0)
    camera.see(0.9)
    last = camera.see(0.8)
    forgotten = camera.decider.forget()
    assert told(forgotten) == LEFT_CAT and forgotten.state == camera.decider.state == "unknown"
    assert forgotten.frame is last.frame and forgotten.answer == "cat" and forgotten.age_ms > last.age_ms
    assert abs(forgotten.events[0].time - time.time()) < 60, "when it was noticed"
    assert camera.decider.forget() is None, "once"


def test_frames_before_a_gap_are_forgotten():
    camera = Camera("average:3")
    for _ in range(3):
        camera.see(0.9)
    camera.decider.forget()
    observation = camera.see(0.1, second=time.monotonic() - 1000)
    assert told(observation) == ["entered dog"]
    assert observation.scores[0] == np.float32(0.1)


def test_nothing_in_view_leaves_no_trace():
    camera = Camera("none", min_interval_s=60.0)
    assert camera.decider.forget() is None
    camera.see(0.5)
    assert camera.decider.forget() is None
    assert told(camera.see(0.9)) == ENTERED_CAT, "no interval began"


def test_a_model_of_the_same_labels_goes_on():
    camera = Camera("average:2")
    camera.see(0.8)
    assert camera.decider.adopt(LABELS, (0.95, 0.6)) is None
    observation = camera.see(0.9)
    assert observation.scores[0] == np.float32((np.float32(0.8) + np.float32(0.9)) / 2)
    # 0.85 is the margin below the new threshold of the cat, and just not there any more:
    assert observation.state == "cat" and told(camera.see(0.7)) == LEFT_CAT


def test_a_model_of_other_labels_starts_anew():
    camera = Camera("average:2")
    camera.see(0.8)
    forgotten = camera.decider.adopt(("ant", "bee", "cat"), (0.0, 0.0, 0.0))
    assert told(forgotten) == LEFT_CAT
    observation = camera.see(0.9, second=time.monotonic() - 1000, labels=("ant", "bee", "cat"))
    assert told(observation) == ["entered ant"] and observation.scores.shape == (3,)
