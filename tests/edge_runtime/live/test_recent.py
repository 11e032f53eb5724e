import pytest

from edge_runtime.live import recent
from edge_runtime.live.recent import FRAMES, WINDOW_S, Recent


@pytest.fixture
def clock(monkeypatch):
    """A clock that stands still until it is moved."""

    class Clock:
        now_s = 1000.0

    monkeypatch.setattr(recent, "monotonic", lambda: Clock.now_s)
    return Clock


def test_nothing_is_told_before_the_first_frame(clock):
    frames = Recent()
    assert (frames.count, frames.age_ms, frames.invoke_ms, frames.fps) == (0, None, None, 0.0)


@pytest.mark.parametrize(
    "period_s, frames, fps",
    [
        (1.0, 20, 1.0),
        (0.5, 4, 2.0),  # younger than the window
        (0.1, 200, 10.0),
        (0.01, 200, 100.0),  # more in the window than are looked at
        (0.001, 5000, 1000.0),
    ],
)
def test_the_rate_is_that_of_the_last_seconds(clock, period_s, frames, fps):
    recent_frames = Recent()
    for _ in range(frames):
        clock.now_s += period_s
        recent_frames.add(1.0, 1.0)
    assert recent_frames.fps == pytest.approx(fps, rel=0.05)


def test_the_rate_falls_to_nothing_when_frames_stop(clock):
    frames = Recent()
    for _ in range(50):
        clock.now_s += 0.1
        frames.add(1.0, 1.0)
    clock.now_s += WINDOW_S / 2
    assert frames.fps == pytest.approx(5.0, rel=0.05)
    clock.now_s += WINDOW_S
    assert frames.fps == 0.0


def test_ages_and_durations_are_medians_of_the_last_frames(clock):
    frames = Recent()
    for _ in range(10 * FRAMES):
        frames.add(900.0, 90.0)
    for _ in range(FRAMES // 2 + 1):
        frames.add(30.0, 3.0)
    assert (frames.age_ms, frames.invoke_ms, frames.count) == (30.0, 3.0, 10 * FRAMES + FRAMES // 2 + 1)
