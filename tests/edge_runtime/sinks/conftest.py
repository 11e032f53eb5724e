"""Observations to tell sinks of, and a real broker."""

import contextlib
import shutil
import signal
import socket
import subprocess
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from edge_runtime.capture.frame import Frame
from edge_runtime.classifier import Prediction
from edge_runtime.deciding.observation import Event, Observation
from edge_runtime.live.status import ModelStatus

LABELS = ("blue", "green", "red")
HOSTILE = (
    "new\nline",
    'a "quoted" one',
    "../../etc/passwd",
    "+",
    "#",
    "+/#/$SYS",
    "Müller 猫 🐈",
    "x" * 1000,
    "{{ states('lock.door') }}",
    " ",
    "unknown",
    "nul\0",
    "\udcff",
)
"""Labels that no sink may stumble over."""


def as_unicode(label: str) -> str:
    """What other programs are told of a label."""
    return label.encode("utf-8", "replace").decode()


def wait_for(condition: Callable[[], object], seconds: float = 20.0) -> object:
    """What condition gives once that is true; fails after so many seconds, which a busy machine may need."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if found := condition():
            return found
        time.sleep(0.01)
    pytest.fail(f"not within {seconds} s")


def model_of(labels: tuple[str, ...] = LABELS, version: str = "1") -> ModelStatus:
    return ModelStatus("tiny", version, "tiny.tflite", labels, "ai_edge_litert 2.3.0", 0, "")


def event(label: str = "blue", number: int = 0, kind: str = "entered") -> Event:
    return Event(uuid.uuid4().hex, kind, label, 0.9, 1_700_000_000.0 + number, "door", number)


def observation(
    *events: Event,
    state: str = "blue",
    scores: tuple[float, ...] = (0.9, 0.08, 0.02),
    labels: tuple[str, ...] = LABELS,
    number: int = 0,
    time_s: float = 1_700_000_000.0,
    image: np.ndarray | None = None,
) -> Observation:
    """One of a model with these labels; without events a frame like the one before."""
    if image is None:
        image = np.zeros((48, 64, 3), np.uint8)
    best = sorted(range(len(scores)), key=lambda class_id: -scores[class_id])
    return Observation(
        frame=Frame(image, "door", number, time_s),
        answer=labels[best[0]],
        predictions=[Prediction(class_id, labels[class_id], scores[class_id]) for class_id in best],
        scores=np.array(scores, np.float32),
        state=state,
        events=events,
        age_ms=12.34,
        invoke_ms=5.678,
    )


def free_port() -> int:
    with contextlib.closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Broker:
    """A mosquitto on loopback, which can be killed and comes back with what it knew."""

    def __init__(self, folder: Path, program: str):
        self.folder, self.program, self.port = folder, program, free_port()
        self._process: subprocess.Popen | None = None
        self.configure("allow_anonymous true", f"listener {self.port} 127.0.0.1")

    def configure(self, *lines: str) -> None:
        keeps = (
            "persistence true",
            f"persistence_location {self.folder}/",
            "max_queued_messages 0",
            "user root",
        )
        (self.folder / "mosquitto.conf").write_text("\n".join((*keeps, *lines)) + "\n")

    def start(self) -> "Broker":
        command = [self.program, "-c", self.folder / "mosquitto.conf"]
        log = (self.folder / "mosquitto.log").open("ab")
        self._process = subprocess.Popen(command, stdout=log, stderr=log)
        wait_for(self._answers)
        return self

    def stop(self) -> None:
        """Ends it; it then writes what it knows to its folder."""
        if self._process:
            self._process.send_signal(signal.SIGTERM)
            self._process.wait(20)
            self._process = None

    def _answers(self) -> bool:
        assert self._process.poll() is None, (self.folder / "mosquitto.log").read_text()
        with contextlib.closing(socket.socket()) as client:
            return client.connect_ex(("127.0.0.1", self.port)) == 0


@pytest.fixture
def broker(tmp_path) -> Iterator[Broker]:
    """A broker that is not started yet."""
    program = shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin")
    if not program:
        pytest.skip("mosquitto is not installed: sudo apt-get install mosquitto")
    folder = tmp_path / "mosquitto"
    folder.mkdir()
    broker = Broker(folder, program)
    yield broker
    broker.stop()


@pytest.fixture
def full(tmpfs):
    """A disk of 4 MB with a function that fills it to the last byte and one that makes room again."""
    disk = tmpfs("size=4m")

    def fill() -> None:
        with (disk / "filling").open("wb", buffering=0) as file, contextlib.suppress(OSError):
            while True:
                file.write(bytes(4096))

    return disk, fill, (disk / "filling").unlink


@pytest.fixture(scope="session")
def certificate(tmp_path_factory) -> tuple[Path, Path]:
    """A certificate for localhost and 127.0.0.1 that signs itself, and its key."""
    if not shutil.which("openssl"):
        pytest.skip("openssl is not installed: sudo apt-get install openssl")
    folder = tmp_path_factory.mktemp("tls")
    command = (
        "openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost -keyout key.pem -out cert.pem"
    )
    names = ["-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"]
    subprocess.run([*command.split(), *names], cwd=folder, check=True, capture_output=True)
    return folder / "cert.pem", folder / "key.pem"
