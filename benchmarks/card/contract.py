"""What stands in a card: one model, measured on one machine in one run."""

from dataclasses import dataclass

import numpy as np

SCHEMA = 1
"""Of the JSON; `benchmarks.card.json_file` refuses a newer one."""


@dataclass(frozen=True)
class Spread:
    """How a time was spread over the runs, in milliseconds."""

    p50_ms: float
    p90_ms: float
    p99_ms: float
    mean_ms: float
    std_ms: float
    jitter_ms: float
    """Mean difference, without its sign, from one run to the next."""

    @classmethod
    def of(cls, seconds: np.ndarray) -> "Spread":
        """Takes one duration a run, shape (runs,), in seconds, in the order they were measured."""
        times_ms = seconds * 1000
        p50, p90, p99 = (float(p) for p in np.percentile(times_ms, (50, 90, 99)))
        jitter_ms = float(np.abs(np.diff(times_ms)).mean()) if len(times_ms) > 1 else 0.0
        return cls(p50, p90, p99, float(times_ms.mean()), float(times_ms.std()), jitter_ms)


@dataclass(frozen=True)
class Model:
    """What was measured."""

    file: str
    """The model file's name, without its folder."""
    sha256: str
    """Of the whole file."""
    size_bytes: int
    name: str
    """As the manifest says; the file's name where it has none."""
    version: str
    """As the manifest says, or ""."""
    input_height_px: int
    input_width_px: int
    input_dtype: str
    output_dtype: str
    weights_dtype: str
    """Of most of the weights' bytes: "int8", "float32" ..."""
    classes: int
    exported_top1: float | None
    """0 to 1: what the export measured of the model that was written, on the manifest's split."""


@dataclass(frozen=True)
class Machine:
    """Where it was measured."""

    name: str
    """The host's name."""
    cpu: str
    """A board's name where there is one ("Raspberry Pi 4 Model B Rev 1.4"), else the processor's."""
    architecture: str
    cores: int
    memory_bytes: int | None
    os: str
    python: str


@dataclass(frozen=True)
class Setting:
    """How it was measured."""

    interpreter: str
    """A key of edge_runtime.interpreter.LIBRARIES."""
    interpreter_version: str
    device: str
    """"cpu", or an Edge TPU's name."""
    threads: int
    frame_height_px: int
    frame_width_px: int
    window_s: float
    windows: int
    warmup_runs: int
    """Frames classified before the first window, and not counted."""


@dataclass(frozen=True)
class Window:
    """One stretch of frames, one after the other without a pause."""

    start_s: float
    """Since the first window's start."""
    runs: int
    whole: Spread
    """From the frame in memory to predictions: preprocess, invoke and postprocess."""
    invoke: Spread
    sample_ms: tuple[float, ...]
    """Whole frames, in their order, evenly picked: at most SAMPLES; what `compare` draws from."""


SAMPLES = 200
"""Of a window."""


@dataclass(frozen=True)
class Stages:
    """Where the time goes, over all windows."""

    capture: Spread | None
    """Reading the next frame from the camera or the pictures; None where the frame was made once."""
    preprocess: Spread
    invoke: Spread
    postprocess: Spread
    whole: Spread
    """The last three together; a live camera's capture goes on beside them."""


@dataclass(frozen=True)
class Histogram:
    """Whole frames."""

    edges_ms: tuple[float, ...]
    """One more than there are counts; frames beyond the last are in the last count."""
    counts: tuple[int, ...]


@dataclass(frozen=True)
class ThreadCount:
    """One step of the sweep over thread counts."""

    threads: int
    runs: int
    whole_p50_ms: float
    whole_p90_ms: float


@dataclass(frozen=True)
class Threads:
    """Which thread count pays."""

    measured: tuple[ThreadCount, ...]
    """In turns, so that a drifting machine hits all alike."""
    recommended: int
    """The least that is within a twentieth of the fastest: the cores left are the camera's."""


@dataclass(frozen=True)
class ColdStart:
    """A new process, from its start to the first label."""

    seconds: tuple[float, ...]
    """Of each try."""
    p50_s: float


@dataclass(frozen=True)
class Memory:
    """Resident sets of the measuring process, Python and libraries included."""

    imported_bytes: int
    """Before the model was loaded."""
    steady_bytes: int
    """After the last window."""
    peak_bytes: int
    """The largest since the process began."""


@dataclass(frozen=True)
class Sustained:
    """Whether the machine keeps its pace once it is warm."""

    burst_p50_ms: float
    """Whole frames of the first second."""
    sustained_p50_ms: float
    """Of the last window."""
    slowdown: float
    """Sustained by burst: 1.2 is a fifth slower."""


@dataclass(frozen=True)
class Reading:
    """What the machine said of itself at one moment."""

    seconds: float
    """Since the first window's start; below 0 before it."""
    phase: str
    """"before", "during" or "after"."""
    governor: str | None
    """The first core's."""
    frequency_mhz: float | None
    """Of the fastest core at that moment."""
    temperature_c: float | None
    throttling: tuple[str, ...] | None
    """What slows a Raspberry Pi down now; None where no board tells."""
    load: float | None
    """Processes that wanted to run, the kernel's mean of the last minute."""


@dataclass(frozen=True)
class Energy:
    """Over the windows."""

    source: str
    """"RAPL package-0", "Raspberry Pi 5 PMIC" ..."""
    joules: float
    seconds: float
    watts: float
    joules_a_frame: float
    """All that the source measures, idle power too, by the frames classified."""


@dataclass(frozen=True)
class Accuracy:
    """Top-1 in the same run, by the same Classifier."""

    data: str
    """The folder's name."""
    split: str
    """"test", "validation" ... or "" where the folder has no splits."""
    pictures: int
    correct: int
    top1: float
    """0 to 1."""
    skipped: tuple[str, ...]
    """Pictures that could not be read, by their path below the folder."""


@dataclass(frozen=True)
class Noise:
    """Whether the numbers may be quoted."""

    spread: float
    """The windows' medians of whole frames: largest less smallest, by their median."""
    limit: float
    """Above it they may not."""
    quotable: bool
    reasons: tuple[str, ...]
    """Why not: one sentence each; empty where they may."""


@dataclass(frozen=True)
class Card:
    """A whole bench."""

    schema: int
    litelens: str
    """The version that measured."""
    created: str
    """UTC, ISO 8601, when the first window began."""
    quick: bool
    """One window of 2 s in place of five of 10: for a first look, never to quote."""
    model: Model
    machine: Machine
    setting: Setting
    first_invoke_ms: float
    """Of the freshly loaded model, before the warm-up."""
    windows: tuple[Window, ...]
    stages: Stages
    histogram: Histogram
    threads: Threads | None
    """None where the sweep was left out."""
    cold_start: ColdStart | None
    memory: Memory
    sustained: Sustained
    readings: tuple[Reading, ...]
    energy: Energy | None
    """None where nothing measures it."""
    accuracy: Accuracy | None
    """None without pictures."""
    noise: Noise
