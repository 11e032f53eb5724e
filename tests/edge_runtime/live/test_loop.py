import threading
import time
import tracemalloc

import numpy as np
import pytest

from edge_runtime.deciding.region import RegionError
from edge_runtime.errors import SourceError
from edge_runtime.live import loop


@pytest.fixture
def soon_lost(monkeypatch):
    monkeypatch.setattr(loop, "LOST_AFTER_S", 1.0)
    monkeypatch.setattr(loop, "TURN_S", 0.05)


def test_every_picture_is_looked_at_in_order(running, coloured):
    labels = ["blue", "green", "red", "red", "blue"]
    run = running([coloured(label) for label in labels]).run()
    assert run.sinks.numbers == [0, 1, 2, 3, 4]
    assert [o.answer for o in run.sinks.observations] == labels
    assert run.sinks.events == [
        *(
            "entered blue",
            "left blue",
            "entered green",
            "left green",
            "entered red",
            "left red",
            "entered blue",
        ),
    ]
    assert run.sinks.entered and run.sinks.left
    status = run.live.status()
    assert (status.classified, status.skipped, status.state) == (5, 0, "blue")
    assert (status.camera.source, status.camera.ok, status.camera.captured) == ("door", True, 5)
    assert status.age_ms >= status.invoke_ms > 0 and status.fps > 0


def test_the_run_ends_after_max_frames(running, coloured):
    run = running((coloured("red") for _ in range(1000)), max_frames=7).run()
    assert run.sinks.numbers == list(range(7))


@pytest.mark.parametrize(
    "bad",
    [
        np.zeros((0, 64, 3), np.uint8),
        np.zeros((48, 0, 3), np.uint8),
        np.zeros((48, 64), np.uint8),
        np.zeros((48, 64, 1), np.uint8),
        np.zeros((48, 64, 4), np.uint8),
        np.zeros((48, 64, 3), np.float32),
        np.zeros((), np.uint8),
        None,
    ],
    ids=["no rows", "no columns", "grey", "one channel", "RGBA", "float", "no shape", "None"],
)
@pytest.mark.parametrize("roi", [None, "0.25,0.25,0.5,0.5"])
def test_a_frame_that_is_no_rgb_picture_is_counted_and_left_out(running, coloured, bad, roi):
    run = running([bad, coloured("red"), bad, bad, coloured("blue")], roi=roi).run()
    assert run.sinks.numbers == [1, 4]
    assert run.live.status().skipped == 3
    assert [line.partition(":")[0] for line in run.lines] == [
        f"skipped frame {number} of pictures" for number in (0, 2, 3)
    ]


@pytest.mark.parametrize("shape", [(1, 8000, 3), (8000, 1, 3), (1, 1, 3), (3000, 4000, 3)])
def test_odd_shapes_are_classified(running, shape):
    run = running([np.full(shape, (0, 255, 0), np.uint8)]).run()
    assert [o.answer for o in run.sinks.observations] == ["green"]


def test_the_model_and_the_sinks_see_the_region(running, coloured):
    image = coloured("red")
    image[10:20, 30:50] = (0, 0, 255)
    run = running([image], roi="30,10,20,10").run()
    (observation,) = run.sinks.observations
    assert observation.answer == "blue" and observation.frame.image.shape == (10, 20, 3)


def test_a_region_outside_the_first_frame_ends_the_run(running, coloured):
    with pytest.raises(RegionError, match="60,0,20,20 is not within a frame of 64 x 48 px"):
        running([coloured("red")], roi="60,0,20,20").run()


def test_a_later_frame_without_the_region_is_counted_and_left_out(running, coloured):
    run = running([coloured("red"), coloured("red", (10, 10)), coloured("blue")], roi="30,10,20,10").run()
    assert run.sinks.numbers == [0, 2] and run.live.status().skipped == 1


def test_a_live_camera_is_followed_until_stop(running, camera, coloured, until):
    with running(camera) as run:
        until(lambda: len(run.sinks.observations) >= 5)
        camera.image = coloured("blue")
        until(lambda: run.sinks.events == ["entered red", "left red", "entered blue"])
        status = run.live.status()
        assert status.healthy and status.state == "blue" and status.board.temperature_c == 41.0
        stopped_s = time.monotonic()
        run.live.stop()
        assert run.join(10) and time.monotonic() - stopped_s < 5
    assert run.sinks.numbers == sorted(set(run.sinks.numbers))


def test_a_camera_shows_its_region(running, camera, coloured, until):
    image = coloured("red")
    image[10:20, 30:50] = (0, 0, 255)
    camera.image = image
    with running(camera, roi="30,10,20,10") as run:
        until(lambda: run.sinks.events == ["entered blue"])
    assert run.sinks.observations[0].frame.image.shape == (10, 20, 3)


def test_a_camera_without_the_region_ends_the_run(running, camera):
    with pytest.raises(RegionError, match="not within a frame of 64 x 48 px"):
        running(camera, roi="60,10,20,10").run()


def test_a_frame_prepared_for_another_model_is_prepared_again(running, camera, until):
    """As the one that the loop takes first after a new model with another input came."""
    with running(camera, roi="10,10,30,30", prepared_size=(5, 9)) as run:
        until(lambda: run.sinks.events == ["entered red"])
    assert run.sinks.observations[0].frame.image.shape == (30, 30, 3)


def test_a_lost_camera_takes_with_it_what_was_in_view(running, camera, coloured, until, soon_lost):
    with running(camera) as run:
        until(lambda: run.sinks.events == ["entered red"])
        camera.image = None
        until(lambda: run.sinks.events == ["entered red", "left red"])
        status = run.live.status()
        assert (status.state, status.healthy, status.camera.ok) == ("unknown", False, False)
        assert run.live.newest().state == "unknown"
        assert run.lines == ["camera door is lost: the cable is cut"]
        camera.image = coloured("green")
        until(lambda: run.sinks.events[2:] == ["entered green"])
        until(lambda: run.live.status().healthy)
        assert run.live.status().camera.reopened == 1
        assert run.lines[1:] == ["camera door gives frames again"]


def test_a_camera_that_gives_no_rgb_is_as_good_as_lost(running, camera, coloured, until, soon_lost):
    with running(camera) as run:
        until(lambda: run.sinks.events == ["entered red"])
        camera.image = coloured("red")[..., 0]
        until(lambda: run.sinks.events == ["entered red", "left red"])
        assert not run.live.status().healthy and run.live.status().skipped > 10
        assert len(run.lines) == 2, "not a line a frame"
        assert run.lines[1] == "camera door is lost: none of its frames is RGB"


def test_a_camera_that_is_not_there_at_first_is_an_error(running, camera):
    camera.image = None
    with pytest.raises(SourceError, match="the cable is cut"):
        running(camera).run()


def test_systemd_is_told(running, camera, coloured, until, soon_lost, systemd):
    address, messages = systemd
    environ = {"NOTIFY_SOCKET": address, "WATCHDOG_USEC": "150000"}
    with running(camera, environ=environ) as run:
        until(lambda: "READY=1" in messages() and "WATCHDOG=1" in messages())
        assert run.sinks.observations, "ready once the first frame was classified"
        camera.image = None
        until(lambda: run.live.status().state == "unknown")
        before = messages().count("WATCHDOG=1")
        until(lambda: messages().count("WATCHDOG=1") > before + 2)
        assert not run.live.status().healthy, "fed while the camera is lost: the loop is alive"
        run.live.stop()
        assert run.join(10)
    assert messages().count("READY=1") == 1 and messages()[-1] == "STOPPING=1"
    assert any(message.startswith("STATUS=") for message in messages())


def test_a_service_waits_for_its_camera(running, camera, coloured, until, soon_lost, systemd):
    address, messages = systemd
    camera.image = None
    with running(camera, environ={"NOTIFY_SOCKET": address}, patient=True) as run:
        until(lambda: "READY=1" in messages())
        assert not run.sinks.observations and not run.live.status().healthy
        camera.image = coloured("red")
        until(lambda: run.sinks.events == ["entered red"])
    assert messages().count("READY=1") == 1


def test_who_waits_gets_the_next_observation(running, camera, until):
    with running(camera) as run:
        until(lambda: run.live.newest() is not None)
        number = run.live.newest().frame.number
        newer = run.live.wait_newer(number, 60.0)
        assert newer.frame.number > number
        camera.image = None
        until(lambda: not run.live.status().camera.ok)
        number = run.live.newest().frame.number
        assert run.live.wait_newer(number, 0.05) is None
        assert run.live.wait_newer(number - 1, 0.0).frame.number == number, "at once"


def test_recent_events_are_newest_first(running, coloured):
    run = running([coloured(label) for label in ("blue", "red") * 100]).run()
    found = run.live.recent_events(3)
    assert [(event.kind, event.label, event.frame) for event in found] == [
        ("entered", "red", 199),
        ("left", "blue", 199),
        ("entered", "blue", 198),
    ]
    assert run.live.recent_events(0) == () and len(run.live.recent_events(1000)) == 100


def test_everything_may_be_asked_from_other_threads(running, camera, coloured, until):
    """What the page does: a status, events and frames for each of its clients, while the loop runs."""
    done, problems = threading.Event(), []

    def ask(live):
        while not done.is_set():
            try:
                live.status(), live.recent_events(24), live.newest()
                live.wait_newer(-1, 0.01)
            except BaseException as problem:
                problems.append(problem)
                raise

    with running(camera) as run:
        threads = [threading.Thread(target=ask, args=(run.live,)) for _ in range(4)]
        for thread in threads:
            thread.start()
        for label in ("blue", "red") * 5:
            camera.image = coloured(label)
            until(lambda label=label: run.live.status().state == label)
        done.set()
        for thread in threads:
            thread.join()
    assert not problems


@pytest.mark.soak
def test_memory_stays_flat(running, coloured):
    """20,000 frames, with changes and bad frames among them."""
    images = [coloured(label, (8, 8)) for label in ("red", "blue", "green")]

    def frames(count):
        for number in range(count):
            yield images[number // 10 % 3] if number % 100 else images[0][..., 0]

    run = running(frames(22_000), smooth="average:5")
    at = []
    tracemalloc.start()

    def taken(_):
        run.lines.clear()
        if run.live.status().classified in (10_000, 21_000):
            at.append(tracemalloc.get_traced_memory()[0])

    run.sinks.take = taken
    run.run()
    tracemalloc.stop()
    assert len(at) == 2 and at[1] - at[0] < 50_000, f"{at}: Python's own free lists are full by the first"
