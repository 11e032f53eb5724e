"""What a card says, in words, for its Markdown and its page alike.

The fields are those that Arm's ML-zoo (name, task, framework, hash, size, quantization, inputs, outputs, data set, accuracy)
and Hailo's model zoo (input resolution, accuracy, frames a second at batch size 1, device) give of a model, as far as a card
has them: https://github.com/ARM-software/ML-zoo, https://github.com/hailo-ai/hailo_model_zoo
"""

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from benchmarks.card.contract import Accuracy, Card, Spread

NOT_TOLD = "not told by this machine"
COLUMNS = ("p50", "p90", "p99", "mean", "std", "jitter")
"""Of a table of stages, in ms."""
KIB, MIB, GIB = 2**10, 2**20, 2**30


class Name(str):
    """A text that the model file, the machine or a person chose; a page must not take it for anything else."""

    def __new__(cls, text: str) -> "Name":
        # Line breaks, marks that turn the direction of writing, halves of surrogate pairs.
        return super().__new__(cls, "".join(char if char.isprintable() else "\ufffd" for char in text))


@dataclass(frozen=True)
class Fact:
    """One line of a card."""

    title: str
    parts: tuple[str, ...]
    """To be set one after the other; what is a `Name` came from outside."""


def verdict(card: Card) -> tuple[str, tuple[Name, ...]]:
    """Whether the numbers may be quoted, and why not."""
    if card.noise.quotable:
        return "May be quoted", ()
    title = "A first look, not to be quoted" if card.quick else "Too noisy to quote"
    return title, tuple(map(Name, card.noise.reasons))


def headline(card: Card) -> Iterator[tuple[str, str, str]]:
    """The figures that people look for first: title, figure with its unit, and what it is."""
    whole = card.stages.whole
    yield (
        "median frame",
        f"{number(whole.p50_ms)} ms",
        f"p90 {number(whole.p90_ms)}, p99 {number(whole.p99_ms)} ms",
    )
    yield "frames a second", frames_a_second(card), "one after the other, batch size 1"
    if accuracy := card.accuracy:
        yield "top-1", percent(accuracy.top1), f"{accuracy.correct:,} of {accuracy.pictures:,} pictures"
    else:
        yield "top-1", "–", "not measured: no pictures given"
    yield "peak memory", mib(card.memory.peak_bytes), "the whole process"
    if cold := card.cold_start:
        yield "cold start", f"{number(cold.p50_s)} s", "from a new process to the first label"
    else:
        yield "cold start", "–", "not measured"
    if energy := card.energy:
        yield (
            "energy a frame",
            f"{number(energy.joules_a_frame * 1000)} mJ",
            f"{number(energy.watts)} W, idle power too",
        )
    else:
        yield "energy a frame", "–", NOT_TOLD


def model(card: Card) -> Iterator[Fact]:
    """What was measured."""
    said = card.model
    height, width = said.input_height_px, said.input_width_px
    yield Fact("Name", _joined(" ", (said.name, said.version)))
    yield Fact("Task", (f"image classification, {_count(said.classes, 'class', 'classes')}",))
    yield Fact("Framework", ("TensorFlow Lite",))
    yield Fact("File", (Name(said.file), f", {size(said.size_bytes)}"))
    yield Fact("SHA-256", (Name(said.sha256),))
    yield Fact("Weights", (Name(said.weights_dtype),))
    yield Fact("Input", (f"1 x {height} x {width} x 3, ", Name(said.input_dtype), ", an RGB picture"))
    yield Fact("Output", (f"1 x {said.classes}, ", Name(said.output_dtype), ", a score for each class"))
    if said.exported_top1 is not None:
        yield Fact("Top-1 at export", (percent(said.exported_top1),))


def machine(card: Card) -> Iterator[Fact]:
    """Where it was measured, and how it was while it was."""
    said = card.machine
    yield Fact("Processor", (Name(said.cpu),))
    yield Fact("Architecture", (Name(said.architecture), f", {_count(said.cores, 'core')}"))
    yield Fact("Memory", (NOT_TOLD if said.memory_bytes is None else f"{said.memory_bytes / GIB:.1f} GiB",))
    yield Fact("System", (Name(said.os),))
    yield Fact("Python", (Name(said.python),))
    yield Fact("Host", (Name(said.name),))
    governors = sorted({reading.governor for reading in card.readings if reading.governor})
    yield Fact("Governor", _joined(", ", governors) or (NOT_TOLD,))
    yield Fact("Frequency", (_span([r.frequency_mhz for r in card.readings], "MHz"),))
    yield Fact("Temperature", (_span([r.temperature_c for r in card.readings], "°C"),))
    yield Fact("Throttling", throttling(card))


def setting(card: Card) -> Iterator[Fact]:
    """How it was measured."""
    said = card.setting
    frames = sum(window.runs for window in card.windows)
    windows = _count(said.windows, "window")
    yield Fact("Interpreter", _joined(" ", (said.interpreter, said.interpreter_version)))
    yield Fact("Device", (Name(said.device),))
    crowded = (
        f", more than the {_count(card.machine.cores, 'core')}" if said.threads > card.machine.cores else ""
    )
    yield Fact("Threads", (f"{said.threads}{crowded}",))
    yield Fact("Frame", (f"{said.frame_width_px} x {said.frame_height_px} px",))
    yield Fact("Measured", (f"{windows} of {said.window_s:g} s, {frames:,} frames, batch size 1",))
    yield Fact("Warm-up", (f"{_count(said.warmup_runs, 'frame')}, not counted",))
    yield Fact("First invoke", (f"{number(card.first_invoke_ms)} ms",))
    yield Fact("By", ("litelens ", Name(card.litelens), ", ", Name(card.created)))


def results(card: Card) -> Iterator[Fact]:
    """What else was found: beside the times of the stages, the windows and the threads."""
    if accuracy := card.accuracy:
        counted = f": {accuracy.correct:,} of {accuracy.pictures:,} pictures of "
        yield Fact("Top-1", (percent(accuracy.top1), counted, *_pictures(accuracy)))
    else:
        yield Fact("Top-1", ("not measured: no pictures given",))
    sustained = card.sustained
    yield Fact(
        "Sustained",
        (
            f"{number(sustained.sustained_p50_ms)} ms in the last window, {number(sustained.burst_p50_ms)} ms in the "
            f"first second: {sustained.slowdown:.2f} x",
        ),
    )
    memory = card.memory
    of_all = f" of {card.machine.memory_bytes / GIB:.1f} GiB" if card.machine.memory_bytes else ""
    yield Fact(
        "Memory",
        (
            f"{mib(memory.steady_bytes)} steady, {mib(memory.peak_bytes)} at its peak{of_all}, "
            f"{mib(memory.imported_bytes)} before the model",
        ),
    )
    if cold := card.cold_start:
        tries = ", ".join(map(number, cold.seconds))
        yield Fact("Cold start", (f"{number(cold.p50_s)} s; each try: {tries} s",))
    else:
        yield Fact("Cold start", ("not measured",))
    if energy := card.energy:
        figures = (
            f"{number(energy.joules_a_frame * 1000)} mJ a frame, {number(energy.watts)} W, idle power too ("
        )
        yield Fact("Energy", (figures, Name(energy.source), ")"))
    else:
        yield Fact("Energy", (NOT_TOLD,))
    yield Fact(
        "Spread",
        (
            f"{percent(card.noise.spread, 1)} between the windows' medians; to be quoted, at most {percent(card.noise.limit, 0)}",
        ),
    )


def stages(card: Card) -> dict[str, Spread]:
    """Name to times, of the stages that were measured, in the order of a frame's way."""
    named = ("capture", "preprocess", "invoke", "postprocess", "whole")
    return {name: spread for name in named if (spread := getattr(card.stages, name))}


def figures(spread: Spread) -> list[str]:
    """One for each of COLUMNS."""
    return [number(getattr(spread, f"{column}_ms")) for column in COLUMNS]


def throttling(card: Card) -> tuple[str, ...]:
    """What slowed the board down in this run."""
    told = [reading.throttling for reading in card.readings if reading.throttling is not None]
    if not told:
        return (NOT_TOLD,)
    return _joined(", ", sorted({reason for reasons in told for reason in reasons})) or ("none",)


def frames_a_second(card: Card) -> str:
    """Of whole frames, one after the other."""
    mean_ms = card.stages.whole.mean_ms
    return number(1000 / mean_ms) if mean_ms > 0 else "–"


def number(value: float) -> str:
    """Three digits that count, two below 0.1, and no power of ten: 0.048, 0.483, 4.83, 48.3, 4,830."""
    if not value:
        return "0"
    if not math.isfinite(value):
        return "–"
    digits = 3 if abs(value) >= 0.1 else 2
    decimals = min(6, max(0, digits - 1 - math.floor(math.log10(abs(value)))))
    return f"{value:,.{decimals}f}"


def percent(share: float, decimals: int = 2) -> str:
    return f"{100 * share:.{decimals}f} %"


def mib(size_bytes: int) -> str:
    return f"{size_bytes / MIB:.1f} MiB"


def size(size_bytes: int) -> str:
    return f"{mib(size_bytes) if size_bytes >= MIB else f'{size_bytes / KIB:.0f} KiB'} ({size_bytes:,} bytes)"


def _pictures(accuracy: Accuracy) -> Iterator[str]:
    yield Name(accuracy.data)
    if accuracy.split:
        yield ", split "
        yield Name(accuracy.split)
    if skipped := accuracy.skipped:
        yield f"; {len(skipped)} could not be read"


def _joined(between: str, texts: Iterable[str]) -> tuple[str, ...]:
    """Names with something between them; empty ones are left out."""
    parts: list[str] = []
    for text in filter(None, texts):
        parts += [between, Name(text)] if parts else [Name(text)]
    return tuple(parts)


def _span(values: list[float | None], unit: str) -> str:
    known = [value for value in values if value is not None]
    if not known:
        return NOT_TOLD
    least, most = f"{min(known):,.0f}", f"{max(known):,.0f}"
    return f"{least} {unit}" if least == most else f"{least} to {most} {unit}"


def _count(count: int, one: str, many: str = "") -> str:
    return f"{count:,} {one if count == 1 else many or one + 's'}"
