"""How long a frame takes on this machine, stage by stage, through the code that runs on the device."""

import os
import platform
import resource
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edge_runtime import Classifier
from edge_runtime.board import board_model, kernel_text, temperature_c

FRAME_SIZE = (480, 640)
"""(height, width): what most cameras give unless asked for more."""
WARMUP_RUNS = 10
MIN_RUNS = 100
"""So that p99 rests on at least one run."""
MIN_SECONDS = 2.0
UNAVAILABLE = "unavailable"


@dataclass(frozen=True)
class Spread:
    """How a time was spread over the runs, in milliseconds."""

    p50_ms: float
    p90_ms: float
    p99_ms: float
    mean_ms: float
    std_ms: float

    @classmethod
    def of(cls, seconds: np.ndarray) -> "Spread":
        """Takes one duration a run, shape (runs,), in seconds."""
        times_ms = seconds * 1000
        p50, p90, p99 = (float(p) for p in np.percentile(times_ms, (50, 90, 99)))
        return cls(p50, p90, p99, float(times_ms.mean()), float(times_ms.std()))


@dataclass(frozen=True)
class Machine:
    """What the numbers were measured on."""

    cpu: str
    """A board's name where there is one ("Raspberry Pi 4 Model B Rev 1.4"), else the processor's."""
    architecture: str
    cores: int
    os: str
    python: str
    governor: str
    """The first core's frequency governor, or "unavailable"."""
    temperature_c: float | str
    """The CPU's, after the last run, or "unavailable"."""


@dataclass(frozen=True)
class LatencyReport:
    """One model on one machine with one thread count."""

    model: str
    """The model file's path."""
    model_name: str
    model_version: str
    model_size_bytes: int
    interpreter: str
    interpreter_version: str
    threads: int
    frame_height_px: int
    frame_width_px: int
    first_invoke_ms: float
    """Of a freshly loaded model, before the warm-up."""
    warmup_runs: int
    """Frames classified and not counted."""
    runs: int
    preprocess: Spread
    invoke: Spread
    postprocess: Spread
    whole: Spread
    """From frame to predictions."""
    peak_memory_bytes: int
    """The whole process's largest resident set, Python and libraries included."""
    machine: Machine


def measure_latency(path: Path, threads: int | None = None) -> LatencyReport:
    """Loads a model file and times it on a synthetic frame: at least 100 runs and 2 s, after a warm-up.

    Args:
        path: Written by ``litelens export``.
        threads: How many threads one invoke may use; None is the classifier's default.

    Raises:
        ModelFileError: If the file is damaged or foreign.
        InterpreterError: If there is no interpreter or it refuses the model.
    """
    classifier = Classifier(path, threads)
    frame = synthetic_frame()
    classifier.feed(frame)
    start = time.perf_counter()
    classifier.invoke()
    first_invoke = time.perf_counter() - start
    for _ in range(WARMUP_RUNS):
        classifier.classify(frame)
    times = _time_stages(classifier, frame)
    manifest = classifier.model_file.manifest
    return LatencyReport(
        model=str(path),
        model_name=manifest.name,
        model_version=manifest.version,
        model_size_bytes=classifier.model_file.size_bytes,
        interpreter=classifier.interpreter.library,
        interpreter_version=classifier.interpreter.version,
        threads=classifier.interpreter.threads,
        frame_height_px=FRAME_SIZE[0],
        frame_width_px=FRAME_SIZE[1],
        first_invoke_ms=first_invoke * 1000,
        warmup_runs=WARMUP_RUNS,
        runs=len(times),
        preprocess=Spread.of(times[:, 0]),
        invoke=Spread.of(times[:, 1]),
        postprocess=Spread.of(times[:, 2]),
        whole=Spread.of(times.sum(axis=1)),
        peak_memory_bytes=peak_memory_bytes(),
        machine=this_machine(),
    )


def synthetic_frame() -> np.ndarray:
    """Seeded noise, RGB, uint8, of FRAME_SIZE: the time of no stage depends on what is in the picture."""
    return np.random.default_rng(0).integers(0, 256, (*FRAME_SIZE, 3), dtype=np.uint8)


def _time_stages(classifier: Classifier, frame: np.ndarray) -> np.ndarray:
    """Seconds of preprocess, invoke and postprocess, shape (runs, 3)."""
    times = []
    end = time.perf_counter() + MIN_SECONDS
    while len(times) < MIN_RUNS or time.perf_counter() < end:
        start = time.perf_counter()
        classifier.feed(frame)
        preprocessed = time.perf_counter()
        output = classifier.invoke()
        invoked = time.perf_counter()
        classifier.postprocess(output)
        times.append((preprocessed - start, invoked - preprocessed, time.perf_counter() - invoked))
    return np.array(times)


def peak_memory_bytes(root: Path = Path("/")) -> int:
    """This process's largest resident set since it started."""
    # Not getrusage() on Linux: its ru_maxrss begins with that of the process that started this one.
    for line in kernel_text(root / "proc/self/status").splitlines():
        name, _, value = line.partition(":")
        if name == "VmHWM":
            return int(value.split()[0]) * 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    # getrusage(2): bytes on macOS, kilobytes elsewhere.
    return peak if sys.platform == "darwin" else peak * 1024


def this_machine(root: Path = Path("/")) -> Machine:
    """Describes the machine this runs on, now.

    Args:
        root: Where /proc and /sys are found.
    """
    return Machine(
        cpu=cpu_name(root),
        architecture=platform.machine(),
        cores=os.cpu_count() or 1,
        os=platform.platform(),
        python=platform.python_version(),
        governor=kernel_text(root / "sys/devices/system/cpu/cpu0/cpufreq/scaling_governor") or UNAVAILABLE,
        temperature_c=cpu_temperature_c(root),
    )


def cpu_name(root: Path = Path("/")) -> str:
    """A board's own name (from its device tree), else the processor's model name, else "unavailable"."""
    if board := board_model(root):
        return board
    for line in kernel_text(root / "proc/cpuinfo").splitlines():
        name, _, value = line.partition(":")
        if name.strip() == "model name":
            return value.strip()
    return platform.processor() or UNAVAILABLE


def cpu_temperature_c(root: Path = Path("/")) -> float | str:
    """The CPU's temperature in degrees Celsius, or "unavailable"."""
    temperature = temperature_c(root)
    return UNAVAILABLE if temperature is None else temperature
