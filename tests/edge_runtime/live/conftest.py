"""A loop around the tiny model, with cameras that do as they are told."""

import socket
import threading
import time
from collections.abc import Iterable, Iterator

import numpy as np
import pytest

from edge_runtime.capture.frame import Frame
from edge_runtime.capture.newest import NewestFrames
from edge_runtime.deciding.decider import Decider, DecidingSettings
from edge_runtime.deciding.region import parse_region
from edge_runtime.deciding.smoothing import parse_smoothing
from edge_runtime.errors import SourceError
from edge_runtime.live.loop import Live
from edge_runtime.live.model import load_model
from edge_runtime.live.preparing import Preparing
from edge_runtime.live.reload import RunningModel
from edge_runtime.live.status import BoardStatus
from edge_runtime.service.notify import Notifier


class Told:
    """A sink that remembers, in the place of all sinks."""

    def __init__(self):
        self.observations = []
        self.entered = self.left = False

    def __enter__(self):
        self.entered = True
        return self

    def __exit__(self, *exception):
        self.left = True

    def take(self, observation):
        self.observations.append(observation)

    def status(self):
        return ()

    def recent(self, limit):
        return []

    @property
    def numbers(self) -> list[int]:
        return [observation.frame.number for observation in self.observations]

    @property
    def events(self) -> list[str]:
        return [f"{event.kind} {event.label}" for o in self.observations for event in o.events]


class Pictures:
    """A source of given images, in order; not live."""

    live = False

    def __init__(self, images: Iterable[np.ndarray]):
        self._images = images

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        pass

    def __iter__(self) -> Iterator[Frame]:
        return (Frame(image, "pictures", number) for number, image in enumerate(self._images))


class Camera:
    """A live camera that gives `image` until it is None; then it is lost, and cannot be opened."""

    live = True

    def __init__(self, image: np.ndarray | None, fps: float = 50):
        self.image = image
        self._period_s = 1 / fps

    def __enter__(self):
        if self.image is None:
            raise SourceError("the cable is cut", "mend it")
        return self

    def __exit__(self, *exception):
        pass

    def __iter__(self) -> Iterator[Frame]:
        number = 0
        while (image := self.image) is not None:
            yield Frame(image, "camera", number)
            number += 1
            time.sleep(self._period_s)
        raise SourceError("the cable is cut", "mend it")


class Running:
    """A Live, and what it told."""

    def __init__(
        self,
        source,
        model_path,
        *,
        poll_s=0.05,
        smooth="none",
        roi=None,
        max_frames=None,
        patient=False,
        prepared_size=None,
        environ=None,
    ):
        self.sinks, self.lines, stop = Told(), [], threading.Event()
        region = parse_region(roi) if roi else None
        loaded = load_model(model_path, "cpu", threads=1)
        self.model = RunningModel(loaded, lambda: load_model(model_path, "cpu", 1), self.lines.append, poll_s)
        if source.live:
            size = prepared_size or loaded.classifier.input_size
            prepared = Preparing(source, region, lambda: size)
            source = NewestFrames("door", lambda: prepared, stop=stop, patient=patient)
        settings = DecidingSettings(parse_smoothing(smooth), hysteresis=0.1, min_interval_s=0.0)
        self.live = Live(
            source,
            self.model,
            Decider(loaded.labels, loaded.thresholds, settings),
            self.sinks,
            camera="door",
            stop=stop,
            report=self.lines.append,
            notifier=Notifier(environ or {}),
            board=lambda: BoardStatus(41.0, None),
            region=region,
            max_frames=max_frames,
        )
        self._thread = threading.Thread(target=self.live.run, daemon=True)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *exception):
        self.live.stop()
        self._thread.join(10)
        assert not self._thread.is_alive()

    def run(self) -> "Running":
        self.live.run()
        return self

    def join(self, timeout_s: float) -> bool:
        """Whether it ended by then."""
        self._thread.join(timeout_s)
        return not self._thread.is_alive()


@pytest.fixture
def running(tiny):
    """Makes a Running of a list of images or a camera, with the tiny model or another."""

    def make(seen, model_path=tiny, **settings) -> Running:
        return Running(seen if isinstance(seen, Camera) else Pictures(seen), model_path, **settings)

    return make


@pytest.fixture
def camera(coloured) -> Camera:
    """A camera that sees red."""
    return Camera(coloured("red"))


@pytest.fixture
def until():
    """Waits for a condition, a minute at most: this machine may be busy."""

    def wait(condition, timeout_s: float = 60.0) -> None:
        end_s = time.monotonic() + timeout_s
        while not condition():
            assert time.monotonic() < end_s, "it did not come true"
            time.sleep(0.01)

    return wait


@pytest.fixture
def systemd(tmp_path):
    """A socket that listens as systemd does: its address, and a function that gives the messages so far."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        address = str(tmp_path / "notify")
        listener.bind(address)
        listener.setblocking(False)
        said: list[str] = []

        def messages() -> list[str]:
            while True:
                try:
                    said.append(listener.recv(4096).decode())
                except BlockingIOError:
                    return said

        yield address, messages
