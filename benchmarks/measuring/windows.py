"""The windows: frames classified one after the other, each stage of each frame timed, and what is made of the times."""

import struct
import time
from collections.abc import Iterator

import numpy as np

from benchmarks.card.contract import SAMPLES, Histogram, Spread, Stages, Sustained, Window
from edge_runtime.classifier import Classifier

START, CAPTURED, PREPROCESSED, INVOKED, DONE = range(5)
"""The columns of a recording: time.perf_counter() before the frame, and after each of its stages."""
_ROW = struct.Struct("5d")
"""Of a recording. NumPy takes several times as long to write one, with the caches full of the model's weights."""
BURST_S = 1.0
BINS = 40


def record(
    classifier: Classifier, frames: Iterator[np.ndarray], seconds: float, rows: int, least: int = 1
) -> np.ndarray:
    """Classifies frames one after the other for so long; the last one is finished.

    Times are written into memory that is there before the first frame, between one frame's last stage and the next one's
    first, so that no stage's time holds more than the reading of the clock.

    Args:
        classifier: Loaded, and warm.
        frames: RGB, uint8; endless.
        seconds: No frame begins later, but for those of `least`.
        rows: For so many frames there is room at first; it is doubled when it is full.
        least: So many frames are classified, however short the time.

    Returns:
        A row a frame, float64 of shape (frames, 5), in the columns START to DONE.
    """
    buffer, clock, row = bytearray(rows * _ROW.size), time.perf_counter, 0
    start = clock()
    end = start + seconds
    while start < end or row < least:
        if row * _ROW.size == len(buffer):
            buffer.extend(bytes(len(buffer)))
        frame = next(frames)
        captured = clock()
        classifier.feed(frame)
        preprocessed = clock()
        output = classifier.invoke()
        invoked = clock()
        classifier.postprocess(output)
        _ROW.pack_into(buffer, row * _ROW.size, start, captured, preprocessed, invoked, clock())
        row += 1
        start = clock()
    return np.frombuffer(buffer).reshape(-1, 5)[:row]


def whole_s(times: np.ndarray) -> np.ndarray:
    """Seconds of each frame from memory to predictions, shape (frames,); `times` as `record` returns them."""
    return times[:, DONE] - times[:, CAPTURED]


def summarise(times: np.ndarray, first_start_s: float) -> Window:
    """A recording as it stands in the card.

    Args:
        times: As `record` returns them.
        first_start_s: When the first window began, time.perf_counter().
    """
    whole = whole_s(times)
    picked = np.linspace(0, len(times) - 1, min(len(times), SAMPLES)).astype(int)
    return Window(
        start_s=float(times[0, START] - first_start_s),
        runs=len(times),
        whole=Spread.of(whole),
        invoke=Spread.of(times[:, INVOKED] - times[:, PREPROCESSED]),
        sample_ms=tuple(round(float(ms), 4) for ms in whole[picked] * 1000),
    )


def stages(recordings: list[np.ndarray], captures: bool) -> Stages:
    """The stages' times over all windows.

    Args:
        recordings: One a window, in their order.
        captures: Whether a frame was read each time.
    """
    times = np.concatenate(recordings)
    capture, preprocess, invoke, postprocess = (Spread.of(stage) for stage in np.diff(times, axis=1).T)
    return Stages(capture if captures else None, preprocess, invoke, postprocess, Spread.of(whole_s(times)))


def histogram(recordings: list[np.ndarray]) -> Histogram:
    """Whole frames, from the fastest to p99; the slowest hundredth would leave no room for the others."""
    whole_ms = whole_s(np.concatenate(recordings)) * 1000
    first, last = float(whole_ms.min()), float(np.percentile(whole_ms, 99))
    edges = np.linspace(first, max(last, first + 1e-3), BINS + 1)  # at least a microsecond from end to end
    counts, _ = np.histogram(whole_ms.clip(max=edges[-1]), edges)
    return Histogram(tuple(map(float, edges)), tuple(map(int, counts)))


def sustained(recordings: list[np.ndarray]) -> Sustained:
    """The last window against the first second of the first."""
    first = recordings[0]
    burst = first[first[:, START] < first[0, START] + BURST_S]
    burst_ms, sustained_ms = (float(np.median(whole_s(times))) * 1000 for times in (burst, recordings[-1]))
    return Sustained(burst_ms, sustained_ms, sustained_ms / burst_ms)
