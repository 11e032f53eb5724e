"""What a device must show before it goes to work: right answers, in time, from its own camera.

Model and camera are tried in a process of its own: one altered byte can crash the interpreter, a broken driver can
hang for ever, and either is to be told, not shared.
"""

import ctypes
import dataclasses
import json
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edge_runtime.capture.frame import Frame
from edge_runtime.capture.open_camera import open_camera
from edge_runtime.capture.redaction import redact
from edge_runtime.classifier import Classifier
from edge_runtime.errors import LitelensError, MissingExtraError, SelfTestFailed

FRAME_SIZE = (480, 640)
"""(height, width): what most cameras give unless asked for more."""
WARMUP_FRAMES = 10
MIN_FRAMES = 100
"""So that p99 rests on at least one frame."""
MIN_SECONDS, MAX_SECONDS = 0.5, 15.0
CAMERA_SECONDS = 10.0
TIMEOUT_S = 60
"""For all of it; a Pi Zero needs a few seconds to start Python and to load a model."""
BLACK_LEVEL = 16
"""Grey level, 0 to 255, that 99 of 100 pixels of a black picture do not reach: sensor noise stays below."""
UNIFORM_STD = 2.0
"""Grey levels: no real scene is so even; a camera that shows a filled buffer is."""

_PR_SET_PDEATHSIG = 1  # linux/prctl.h


class SelfTestUnfinished(LitelensError):
    """The self-test crashed or hung: nothing can be said of the device."""


class DeviceFailed(SelfTestFailed):
    """The device cannot do what was asked of it; the report says which part."""

    exit_code = 3


@dataclass(frozen=True)
class VectorsResult:
    """Whether the interpreter answers as the exporter's did."""

    passed: bool
    vectors: int
    largest_difference: int
    """In steps of the output."""
    tolerance: int


@dataclass(frozen=True)
class LatencyResult:
    """How long `Classifier.classify` takes, from frame to predictions."""

    passed: bool
    """Whether p99 is within max_ms; True without one."""
    p50_ms: float
    p99_ms: float
    max_ms: float | None
    """The budget."""
    frames: int
    frame_height_px: int
    frame_width_px: int
    threads: int


@dataclass(frozen=True)
class CameraResult:
    """Whether the camera gives pictures."""

    passed: bool
    """Whether a frame came; a dark night is no fault, so `picture` does not count."""
    source: str
    """As the user named it, without a password."""
    waited_ms: float
    """From opening the camera to the frame."""
    height_px: int
    width_px: int
    picture: str
    """"clear", "black" or "uniform"; "" without a frame."""
    answer: str
    """The label of the frame, or "unknown"."""
    score: float
    error: str
    """Why no frame came, or ""."""


@dataclass(frozen=True)
class Report:
    """Every part of the self-test."""

    passed: bool
    model: str
    """The model file's path."""
    name: str
    version: str
    interpreter: str
    """Library and version."""
    vectors: VectorsResult
    latency: LatencyResult
    camera: CameraResult | None
    """None where no camera was named."""


def selftest(
    model: Path, camera: str | None = None, max_latency_ms: float | None = None, threads: int | None = None
) -> Report:
    """Tries a model file, and a camera, on this machine; takes at most `TIMEOUT_S`.

    Args:
        model: Any file: what is no model is an error, not a crash.
        camera: What `open_camera` takes; None leaves the camera out.
        max_latency_ms: What 99 of 100 frames of 640x480 may take; None only measures.
        threads: How many threads one invoke may use; None is the classifier's default.

    Raises:
        ModelFileError: If the file is missing, damaged or foreign.
        InterpreterError: If there is no interpreter or it refuses the model.
        MissingExtraError: If the camera needs a library that is not installed.
        SelfTestUnfinished: If the interpreter or the camera's driver crashed or hung.
    """
    asked = json.dumps([os.fspath(model), camera, max_latency_ms, threads])
    # The same modules as here, whatever lies in the working directory.
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-P", "-m", "edge_runtime.selftest"]
    try:
        ended = subprocess.run(
            command, input=asked, capture_output=True, text=True, timeout=TIMEOUT_S, env=environment
        )
    except subprocess.TimeoutExpired as problem:
        raise SelfTestUnfinished(
            f"{model}: the self-test did not end within {TIMEOUT_S} s",
            "try it without --camera; if it ends then, the camera's driver hangs: unplug the camera, or restart the board",
        ) from problem
    if ended.returncode:
        raise SelfTestUnfinished(
            f"{model}: the self-test's process {_end(ended)}",
            "export the model again; litelens doctor looks at the rest",
        )
    told = json.loads(ended.stdout.splitlines()[-1])  # a driver may have printed before
    if "error" in told:
        raise _error(told)
    return _report(told)


def _end(ended: subprocess.CompletedProcess) -> str:
    """How a process failed, and the last thing that it said."""
    if ended.returncode < 0:
        return (
            f"was ended by {signal.Signals(-ended.returncode).name}: the interpreter cannot take this model"
        )
    last = (ended.stderr.strip().splitlines() or ["nothing"])[-1]
    return f"failed with exit code {ended.returncode}, saying: {last}"


def _error(told: dict) -> LitelensError:
    """The child's error, of the class that it had there."""
    kinds = {kind.__name__: kind for kind in _subclasses(LitelensError)}
    return kinds.get(told["error"], LitelensError)(told["message"], told["hint"])


def _subclasses(kind: type) -> Iterator[type]:
    for below in kind.__subclasses__():
        yield below
        yield from _subclasses(below)


def _report(told: dict) -> Report:
    camera = told["camera"] and CameraResult(**told["camera"])
    vectors, latency = VectorsResult(**told["vectors"]), LatencyResult(**told["latency"])
    return Report(**told | {"vectors": vectors, "latency": latency, "camera": camera})


def _here(model: str, camera: str | None, max_latency_ms: float | None, threads: int | None) -> Report:
    """The self-test in this process."""
    classifier = Classifier(model, threads)
    manifest = classifier.model_file.manifest
    test = classifier.selftest()
    vectors = VectorsResult(test.passed, len(manifest.selftest), test.largest_difference, test.tolerance)
    latency = _latency(classifier, max_latency_ms)
    seen = _camera(classifier, camera) if camera is not None else None
    return Report(
        passed=vectors.passed and latency.passed and (seen is None or seen.passed),
        model=model,
        name=manifest.name,
        version=manifest.version,
        interpreter=f"{classifier.interpreter.library} {classifier.interpreter.version}",
        vectors=vectors,
        latency=latency,
        camera=seen,
    )


def _latency(classifier: Classifier, max_ms: float | None) -> LatencyResult:
    # Seeded noise: the time of no stage depends on what is in the picture.
    frame = np.random.default_rng(0).integers(0, 256, (*FRAME_SIZE, 3), dtype=np.uint8)
    for _ in range(WARMUP_FRAMES):
        classifier.classify(frame)
    times_ms: list[float] = []
    began = time.perf_counter()
    while (took := time.perf_counter() - began) < MIN_SECONDS or (
        len(times_ms) < MIN_FRAMES and took < MAX_SECONDS
    ):
        start = time.perf_counter()
        classifier.classify(frame)
        times_ms.append((time.perf_counter() - start) * 1000)
    p50, p99 = (float(p) for p in np.percentile(times_ms, (50, 99)))
    return LatencyResult(
        passed=max_ms is None or p99 <= max_ms,
        p50_ms=p50,
        p99_ms=p99,
        max_ms=max_ms,
        frames=len(times_ms),
        frame_height_px=FRAME_SIZE[0],
        frame_width_px=FRAME_SIZE[1],
        threads=classifier.interpreter.threads,
    )


def _camera(classifier: Classifier, spec: str) -> CameraResult:
    began = time.monotonic()
    frame, error = _clearest_frame(spec)
    waited_ms = (time.monotonic() - began) * 1000
    if frame is None:
        return CameraResult(False, redact(spec), waited_ms, 0, 0, "", "", 0.0, error)
    predictions = classifier.classify(frame.image)
    height, width = frame.image.shape[:2]
    look, answer = picture(frame.image), classifier.answer(predictions)
    return CameraResult(
        True, redact(spec), waited_ms, height, width, look, answer, predictions[0].score, error=""
    )


def _clearest_frame(spec: str) -> tuple[Frame | None, str]:
    """The first clear frame within `CAMERA_SECONDS`, else the last one, else why there was none.

    A camera's first frames are dark until its exposure has settled.
    """
    taken: queue.Queue[Frame | str | MissingExtraError] = queue.Queue(maxsize=1)

    def take() -> None:
        try:
            with open_camera(spec, on_skipped=lambda problem: None) as source:
                for frame in source:
                    taken.put(frame)
            taken.put("the camera gave no more frames")
        except MissingExtraError as problem:
            taken.put(problem)
        except LitelensError as problem:
            taken.put(str(problem))

    # A driver may hang in read(); the process ends without waiting for this thread.
    threading.Thread(target=take, name="camera", daemon=True).start()
    frame, end = None, time.monotonic() + CAMERA_SECONDS
    while (left := end - time.monotonic()) > 0:
        try:
            found = taken.get(timeout=left)
        except queue.Empty:
            break
        if isinstance(found, MissingExtraError):
            raise found
        if isinstance(found, str):
            return frame, found
        frame = found
        if picture(frame.image) == "clear":
            break
    return frame, f"no frame came within {CAMERA_SECONDS:.0f} s"


def picture(image: np.ndarray) -> str:
    """ "black" (a lens cap, the night), "uniform" (one colour all over) or "clear"."""
    if np.percentile(image, 99) < BLACK_LEVEL:
        return "black"
    return "uniform" if image.std(axis=(0, 1)).max() < UNIFORM_STD else "clear"


def _main() -> None:
    # A loop that ends while a new version is tried leaves no process behind.
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    try:
        told = dataclasses.asdict(_here(*json.load(sys.stdin)))
    except LitelensError as problem:
        told = {"error": type(problem).__name__, "message": str(problem), "hint": problem.hint}
    print(json.dumps(told), flush=True)
    # Not sys.exit(): a camera's thread may hang in its driver.
    os._exit(0)


if __name__ == "__main__":
    _main()
