"""A card as text for people at a terminal."""

from collections.abc import Iterator

from benchmarks.card.contract import Card, Reading, Spread
from benchmarks.card.facts import verdict

MIB = 2**20
NAMED = 3
"""Of the pictures that were skipped; the others are counted, and stand in the JSON."""


def table(card: Card) -> str:
    """All that a terminal needs; where the numbers may not be quoted, that and why comes first."""
    return "\n".join([*_warning(card), *_conditions(card), "", *_times(card), "", *_rest(card)])


def _warning(card: Card) -> Iterator[str]:
    if card.noise.quotable:
        return
    title, reasons = verdict(card)
    yield f"{title}:"
    yield from (f"  {reason}" for reason in reasons)
    yield ""


def _conditions(card: Card) -> Iterator[str]:
    model, machine, setting = card.model, card.machine, card.setting
    cores = f"{machine.cores} core{'s' if machine.cores > 1 else ''}"
    memory = f", {machine.memory_bytes / 2**30:.1f} GiB" if machine.memory_bytes else ""
    crowded = f" (more than the {cores} here)" if setting.threads > machine.cores else ""
    kind = "median size of the pictures" if card.accuracy else "synthetic"
    yield f"model        {model.file} ({model.name} {model.version}, {model.size_bytes} bytes)"
    yield (
        f"             {model.input_width_px}x{model.input_height_px} {model.input_dtype} in, "
        f"{model.classes} classes, weights {model.weights_dtype}"
    )
    yield f"machine      {machine.name}: {machine.cpu}, {machine.architecture}, {cores}{memory}"
    yield f"system       {machine.os}, Python {machine.python}"
    yield f"interpreter  {setting.interpreter} {setting.interpreter_version} on {setting.device}"
    yield f"threads      {setting.threads}{crowded}"
    yield f"frame        {setting.frame_width_px}x{setting.frame_height_px}, {kind}"
    yield f"first invoke {card.first_invoke_ms:.2f} ms, then {setting.warmup_runs} frames of warm-up"


def _times(card: Card) -> Iterator[str]:
    runs = sum(window.runs for window in card.windows)
    title = f"ms, {runs} runs"
    yield f"{title:20}     p50     p90     p99    mean     std  jitter"
    for name in ("capture", "preprocess", "invoke", "postprocess", "whole"):
        spread: Spread | None = getattr(card.stages, name)
        if spread:
            times = (
                spread.p50_ms,
                spread.p90_ms,
                spread.p99_ms,
                spread.mean_ms,
                spread.std_ms,
                spread.jitter_ms,
            )
            yield f"{name:20}" + "".join(f"{time:8.2f}" for time in times)


def _rest(card: Card) -> Iterator[str]:
    medians = " ".join(f"{window.whole.p50_ms:.2f}" for window in card.windows)
    yield f"windows      {medians} ms p50, spread {card.noise.spread:.1%}; each {card.setting.window_s:g} s"
    sustained = card.sustained
    yield (
        f"sustained    {sustained.sustained_p50_ms:.2f} ms in the last window, {sustained.burst_p50_ms:.2f} in the "
        f"first second: {sustained.slowdown:.3f} x"
    )
    if card.threads:
        counts = ", ".join(f"{count.threads}: {count.whole_p50_ms:.2f} ms" for count in card.threads.measured)
        yield f"thread sweep {counts}; recommended: {card.threads.recommended}"
    if cold := card.cold_start:
        tries = f"median of {len(cold.seconds)}" if len(cold.seconds) > 1 else "once"
        yield f"cold start   {cold.p50_s:.2f} s to the first label ({tries})"
    memory = card.memory
    yield (
        f"memory       {memory.steady_bytes / MIB:.1f} MiB steady, {memory.peak_bytes / MIB:.1f} at its peak, "
        f"{memory.imported_bytes / MIB:.1f} before the model"
    )
    yield from _machine(card.readings)
    if energy := card.energy:
        yield f"energy       {energy.joules_a_frame * 1000:.1f} mJ a frame, {energy.watts:.2f} W ({energy.source})"
    else:
        yield "energy       unavailable"
    if accuracy := card.accuracy:
        where = f"{accuracy.data}/{accuracy.split}".rstrip("/")
        yield f"top-1        {accuracy.top1:.2%}: {accuracy.correct} of {accuracy.pictures} pictures in {where}"
        if skipped := accuracy.skipped:
            more = f" and {len(skipped) - NAMED} more" if len(skipped) > NAMED else ""
            yield f"skipped      {', '.join(skipped[:NAMED])}{more}: not readable"


def _machine(readings: tuple[Reading, ...]) -> Iterator[str]:
    governors = sorted({reading.governor for reading in readings if reading.governor})
    yield f"governor     {', '.join(governors) or 'unavailable'}"
    yield f"frequency    {_course([reading.frequency_mhz for reading in readings], ' MHz', 0)}"
    yield f"temperature  {_course([reading.temperature_c for reading in readings], ' C', 1)}"
    told = [reading.throttling for reading in readings if reading.throttling is not None]
    reasons = sorted({reason for reasons in told for reason in reasons})
    yield f"throttling   {', '.join(reasons) or 'none' if told else 'unavailable'}"
    yield f"load         {_course([reading.load for reading in readings], '', 2)}"


def _course(values: list[float | None], unit: str, digits: int) -> str:
    """As in: 48.2 C before, 48.2 to 61.3 during, 55.0 after."""
    before, *during, after = values
    known = [value for value in during if value is not None]
    if before is None or after is None or not known:
        return "unavailable"
    least, most = min(known), max(known)
    span = f"{least:.{digits}f}" if least == most else f"{least:.{digits}f} to {most:.{digits}f}"
    return f"{before:.{digits}f}{unit} before, {span} during, {after:.{digits}f} after"
