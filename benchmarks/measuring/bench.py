"""`litelens bench NAME.tflite`, from top to bottom: one model, this machine, one card."""

import importlib
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from importlib import metadata
from itertools import repeat
from pathlib import Path

import numpy as np

from benchmarks.card.contract import SCHEMA, Card, Memory, Noise, Setting
from benchmarks.measuring import energy
from benchmarks.measuring.cold_start import measure_cold_start
from benchmarks.measuring.frame import synthetic_frame
from benchmarks.measuring.machine import this_machine
from benchmarks.measuring.memory import peak_bytes, resident_bytes
from benchmarks.measuring.model_facts import describe_model, read_facts
from benchmarks.measuring.noise import judge
from benchmarks.measuring.others import CpuTime
from benchmarks.measuring.pictures import find_pictures, frames, measure_accuracy
from benchmarks.measuring.sensors import Sensors, Watch
from benchmarks.measuring.thread_counts import counts_to_try, sweep
from benchmarks.measuring.windows import START, histogram, record, stages, summarise, sustained, whole_s
from edge_runtime.classifier import Classifier
from edge_runtime.device import ChosenDevice, choose_device
from edge_runtime.interpreter import LIBRARIES
from edge_runtime.model_file import read_model_file

LOOK_S = 1.0
"""So long the bench does nothing before it loads the model, to see what others do."""
WARMUP_RUNS = 10


@dataclass(frozen=True)
class Extent:
    """How much is measured."""

    windows: int
    window_s: float
    warmup_s: float
    """Of frames that are not counted, WARMUP_RUNS at least: a clock that was slow at rest has then gone up."""
    sweep_s: float
    """Of the sweep over thread counts, for each of them."""
    cold_starts: int


FULL = Extent(windows=5, window_s=10.0, warmup_s=1.0, sweep_s=5.0, cold_starts=5)
QUICK = Extent(windows=1, window_s=2.0, warmup_s=0.2, sweep_s=0.5, cold_starts=1)


def bench(
    model: Path,
    *,
    extent: Extent = FULL,
    threads: int | None = None,
    data: Path | None = None,
    device: str = "auto",
    report: Callable[[str], None] = lambda line: None,
    sensors: Sensors | None = None,
) -> Card:
    """Measures a model file on this machine.

    Args:
        model: Written by ``litelens export``.
        extent: FULL, or less of it; then the card is not to be quoted.
        threads: How many one inference may use; None is the classifier's default.
        data: A folder of labelled pictures, which are then timed instead of a synthetic frame; None: no accuracy.
        device: As `litelens run --device` takes it.
        report: Told what is being measured, and what cannot be.
        sensors: Where the machine's are read; None: of this machine.

    Raises:
        ModelFileError: If the file is missing, damaged or foreign.
        DeviceError: If there is no such device.
        InterpreterError: If there is no interpreter, or it refuses the model.
        SourceError, DataError: If the pictures are not there, or not of the model's classes.
    """
    sensors = sensors or Sensors.of_this_machine()
    chosen = choose_device(device, model)
    if chosen.status.degraded:
        report(f"on the CPU: {chosen.status.degraded}")
    model_file, facts = read_model_file(chosen.model), read_facts(chosen.model)
    pictures = find_pictures(data, model_file.labels) if data else None
    source = frames(pictures) if pictures else repeat(synthetic_frame())
    frame = next(source)
    _import_interpreter()

    report(f"looking at the machine for {LOOK_S:g} s")
    at_rest, before = CpuTime.now(sensors.root), sensors.read("before")
    time.sleep(LOOK_S)
    others_before = at_rest.others_share(CpuTime.now(sensors.root))

    imported_bytes = resident_bytes()
    classifier = Classifier(model_file, threads, delegate=chosen.delegate)
    first_invoke_s = _first_invoke(classifier, frame)
    warmup = record(classifier, source, extent.warmup_s, rows=1024, least=WARMUP_RUNS)
    rows = int(extent.window_s / whole_s(warmup).min() * 1.2) + 1

    meter = energy.find_meter(sensors.root, sensors.vcgencmd, report)
    created, start = datetime.now(UTC), CpuTime.now(sensors.root)
    recordings = []
    with Watch(sensors, meter) as watch:
        for number in range(1, extent.windows + 1):
            report(f"window {number} of {extent.windows}, {extent.window_s:g} s")
            recordings.append(record(classifier, source, extent.window_s, rows))
    others_during = start.others_share(end := CpuTime.now(sensors.root))
    after = sensors.read("after")
    memory = Memory(imported_bytes, resident_bytes(), peak_bytes())

    accuracy, frame_size = None, frame.shape[:2]
    if pictures:
        report(f"top-1 of {len(pictures.files)} pictures")
        accuracy, frame_size = measure_accuracy(classifier, pictures)
    counts = None
    if not chosen.delegate:  # an Edge TPU does not care, and may not let itself be opened once more
        asked = counts_to_try(classifier.interpreter.threads)
        report(f"threads: {', '.join(map(str, asked))}")
        counts = sweep(model_file, asked, frame, extent.sweep_s)
    report(f"cold start, {extent.cold_starts} x")
    cold_start = measure_cold_start(
        model, chosen.status.used, classifier.interpreter.threads, frame, extent.cold_starts
    )

    first_start_s = float(recordings[0][0, START])
    windows = tuple(summarise(times, first_start_s) for times in recordings)
    readings = tuple(replace(r, seconds=r.seconds - first_start_s) for r in (before, *watch.readings, after))
    return Card(
        schema=SCHEMA,
        litelens=metadata.version("litelens"),
        created=created.isoformat(timespec="seconds"),
        quick=extent != FULL,
        model=describe_model(classifier, facts),
        machine=this_machine(sensors.root),
        setting=_setting(classifier, chosen, frame_size, extent, len(warmup)),
        first_invoke_ms=first_invoke_s * 1000,
        windows=windows,
        stages=stages(recordings, captures=pictures is not None),
        histogram=histogram(recordings),
        threads=counts,
        cold_start=cold_start,
        memory=memory,
        sustained=sustained(recordings),
        readings=readings,
        energy=energy.total(meter, end.clock_s - start.clock_s, sum(map(len, recordings))),
        accuracy=accuracy,
        noise=_not_of_less(judge(windows, readings, others_before, others_during), extent),
    )


def _import_interpreter() -> None:
    """So that the model's own memory can be told from its libraries'."""
    for module, _ in LIBRARIES.values():
        with suppress(ImportError):
            importlib.import_module(module)
            return


def _first_invoke(classifier: Classifier, frame: np.ndarray) -> float:
    """Seconds of the first invoke."""
    classifier.feed(frame)
    start = time.perf_counter()
    classifier.invoke()
    return time.perf_counter() - start


def _setting(
    classifier: Classifier,
    chosen: ChosenDevice,
    frame_size: tuple[int, int],
    extent: Extent,
    warmup_runs: int,
) -> Setting:
    interpreter = classifier.interpreter
    return Setting(
        interpreter=interpreter.library,
        interpreter_version=interpreter.version,
        device=chosen.status.used,
        threads=interpreter.threads,
        frame_height_px=frame_size[0],
        frame_width_px=frame_size[1],
        window_s=extent.window_s,
        windows=extent.windows,
        warmup_runs=warmup_runs,
    )


def _not_of_less(noise: Noise, extent: Extent) -> Noise:
    """One window tells nothing of its own spread."""
    if extent == FULL:
        return noise
    reason = f"{extent.windows} x {extent.window_s:g} s were measured, in place of {FULL.windows} x {FULL.window_s:g} s"
    return replace(noise, quotable=False, reasons=(reason, *noise.reasons))
