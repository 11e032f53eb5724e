"""A loop as small as can be, and real; the page served beside it; clients."""

import http.client
import json
import threading
from collections import deque
from contextlib import ExitStack
from dataclasses import dataclass
from time import monotonic, sleep
from uuid import uuid4

import numpy as np
import pytest

from edge_runtime.capture.frame import Frame
from edge_runtime.classifier import Classifier
from edge_runtime.deciding.observation import Event, Observation
from edge_runtime.live.status import BoardStatus, CameraStatus, DeviceStatus, ModelStatus, Status

pytest.importorskip("starlette")
pytest.importorskip("uvicorn")


class SmallLoop:
    """Classifies `image` again and again in a thread; whatever is public may be changed meanwhile."""

    def __init__(self, model, image: np.ndarray, hz: float = 20):
        self.classifier = Classifier(model, threads=1)
        self.labels = self.classifier.labels
        self.image = image
        self.hz = hz
        self.camera_error = ""
        self.board = BoardStatus(51.5, False)
        self.device = DeviceStatus("cpu", "cpu", "")
        self.sinks = ()
        self.follow = None
        self.refused = ""
        self.classified = 0
        self._changed = threading.Condition()
        self._newest: Observation | None = None
        self._events: deque[Event] = deque(maxlen=100)
        self._began_s = monotonic()
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> "SmallLoop":
        self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._stopped.set()
        self._thread.join()

    def newest(self) -> Observation | None:
        return self._newest

    def wait_newer(self, frame_number: int, timeout_s: float) -> Observation | None:
        def is_newer() -> bool:
            return self._newest is not None and self._newest.frame.number != frame_number

        with self._changed:
            return self._newest if self._changed.wait_for(is_newer, timeout_s) else None

    def recent_events(self, limit: int) -> list[Event]:
        return list(self._events)[: -limit - 1 : -1]

    def status(self) -> Status:
        model, interpreter = self.classifier.model_file, self.classifier.interpreter
        newest, since_s = self._newest, monotonic() - self._began_s
        return Status(
            healthy=not self.camera_error and newest is not None,
            since_s=since_s,
            state=newest.state if newest else "unknown",
            classified=self.classified,
            skipped=0,
            fps=self.classified / since_s,
            age_ms=newest.age_ms if newest else None,
            invoke_ms=newest.invoke_ms if newest else None,
            model=ModelStatus(
                name=model.manifest.name,
                version=model.manifest.version,
                path=str(model.path),
                labels=self.labels,
                interpreter=f"{interpreter.library} {interpreter.version}",
                reloads=0,
                refused=self.refused,
            ),
            camera=CameraStatus("0", not self.camera_error, self.camera_error, self.classified, 0, 0),
            device=self.device,
            board=self.board,
            sinks=self.sinks,
            follow=self.follow,
        )

    def frames_a_second(self, seconds: float) -> float:
        """Measured while the caller waits."""
        before, began = self.classified, monotonic()
        sleep(seconds)
        return (self.classified - before) / (monotonic() - began)

    def _run(self) -> None:
        while not self._stopped.wait(1 / self.hz):
            if not self.camera_error:
                self._take(Frame(self.image, "0", self.classified))

    def _take(self, frame: Frame) -> None:
        began = monotonic()
        predictions = self.classifier.classify(frame.image)
        scores = np.zeros(len(self.labels), np.float32)
        for prediction in predictions:
            scores[prediction.class_id] = prediction.score
        best = predictions[0]
        events = self._changes(best.label, best.score, frame)
        elapsed_ms = (monotonic() - began) * 1000
        observation = Observation(
            frame, best.label, predictions, scores, best.label, events, elapsed_ms, elapsed_ms
        )
        with self._changed:
            self.classified += 1
            self._newest = observation
            self._events.extend(events)
            self._changed.notify_all()

    def _changes(self, label: str, score: float, frame: Frame) -> tuple[Event, ...]:
        before = self._newest.state if self._newest else None
        if label == before:
            return ()
        kinds = [("left", before)] if before else []
        return tuple(
            Event(uuid4().hex, kind, what, score, frame.time, frame.source, frame.number)
            for kind, what in (*kinds, ("entered", label))
        )


@dataclass(frozen=True)
class Response:
    status: int
    headers: http.client.HTTPMessage
    body: bytes


class Client:
    """Sends requests to a server, each on a connection of its own unless `keep` is given."""

    def __init__(self, server):
        self.address = ("127.0.0.1", int(server.url.rstrip("/").rpartition(":")[2]))

    def __call__(self, path: str, method="GET", body=None, keep=None, **headers: str) -> Response:
        connection = keep or self.connect()
        names = {name.replace("_", "-"): value for name, value in headers.items()}
        connection.request(method, path, body, names)
        answer = connection.getresponse()
        response = Response(answer.status, answer.headers, answer.read())
        if not keep:
            connection.close()
        return response

    def connect(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection(*self.address, timeout=20)

    def stream(self, path: str, **headers: str):
        """The open response of a stream; close it."""
        connection = self.connect()
        connection.request("GET", path, headers=headers)
        return connection.getresponse()

    def save(self, name: str) -> Response:
        return self(
            "/api/save", "POST", json.dumps({"class": name}), Origin=f"http://127.0.0.1:{self.address[1]}"
        )


def eventually(holds, seconds: float = 10.0):
    """Waits until a condition holds, and returns what it gave."""
    end = monotonic() + seconds
    while not (value := holds()):
        assert monotonic() < end, "did not come true in time"
        sleep(0.02)
    return value


@pytest.fixture
def loop(tiny, coloured):
    """Twenty red frames a second of 320 x 240; the first is classified."""
    with SmallLoop(tiny, coloured("red", (240, 320))) as running:
        eventually(running.newest)
        yield running


@pytest.fixture(scope="session")
def steady_loop(tiny, coloured):
    """The same, for tests that change nothing about it."""
    with SmallLoop(tiny, coloured("red", (240, 320))) as running:
        eventually(running.newest)
        yield running


@pytest.fixture(scope="session")
def serving():
    """Serves the page beside a loop, at any free port of loopback unless settings say otherwise."""
    from edge_runtime.web.server import WebServer
    from edge_runtime.web.settings import WebSettings

    return lambda loop, **settings: WebServer(loop, WebSettings(**{"address": "127.0.0.1:0", **settings}))


@pytest.fixture
def serve(loop, serving):
    with ExitStack() as stack:
        yield lambda **settings: stack.enter_context(serving(loop, **settings))


@pytest.fixture
def client(serve, tmp_path):
    """A client of a server that everybody on this machine may ask, and that saves to tmp_path/saved."""
    return Client(serve(pictures=tmp_path / "saved"))


@pytest.fixture(scope="session")
def client_of():
    return Client


@pytest.fixture(scope="session")
def small_loop():
    return SmallLoop


@pytest.fixture(name="eventually")
def _eventually():
    return eventually
