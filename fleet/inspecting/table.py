"""Statuses as lines for people."""

from collections import Counter
from collections.abc import Iterator, Sequence

from edge_runtime.store.state import STARTS
from fleet.inspecting.asking import Asked
from fleet.inspecting.status import CLOCK_OFF_S, DeviceStatus, ModelOnDevice

NONE = "-"
"""Stands where there is nothing."""


def table(devices: Sequence[Asked[DeviceStatus]]) -> list[str]:
    """A line a device and model, then how many devices each version answers on."""
    rows = [row for asked in devices for row in _rows(asked)]
    widths = [max(map(len, column)) for column in zip(*(row[:-1] for row in rows), strict=True)]
    lines = [
        "  ".join((*(cell.ljust(width) for cell, width in zip(row[:-1], widths, strict=True)), row[-1]))
        for row in rows
    ]
    return [*lines, *_answering(devices)]


def counts(devices: Sequence[Asked[DeviceStatus]]) -> dict[str, dict[str, int]]:
    """How many devices each version answers on, by model; the most frequent first."""
    found = Counter(
        (model.name, model.current)
        for asked in devices
        if asked.answer
        for model in asked.answer.models
        if model.current
    )
    names = sorted({name for name, _ in found})
    return {
        name: {version: count for (of, version), count in found.most_common() if of == name} for name in names
    }


def clock_said(ahead_s: float) -> str:
    """What there is to say of a device's clock, or ""."""
    if abs(ahead_s) <= CLOCK_OFF_S:
        return ""
    return f"its clock is {_span(abs(ahead_s))} {'ahead' if ahead_s > 0 else 'behind'}"


def _rows(asked: Asked[DeviceStatus]) -> Iterator[tuple[str, ...]]:
    """Device, model, version, and the rest in words."""
    if asked.answer is None:
        yield asked.target.name, NONE, NONE, f"not asked: {asked.failure}"
        return
    status = asked.answer
    free = "" if status.free_bytes is None else f"{status.free_bytes / 1e9:.1f} GB free"
    machine = status.machine or ""
    facts = [
        status.store_problem,
        clock_said(status.clock_ahead_s),
        f"litelens {status.litelens}",
        machine,
        free,
    ]
    told = "; ".join(filter(None, facts))
    if not status.models:
        yield asked.target.name, NONE, NONE, f"no model yet; {told}"
    for number, model in enumerate(status.models):
        more = [*_words(model), *([] if number else [told])]
        yield asked.target.name, model.name, model.current or NONE, "; ".join(more)


def _words(model: ModelOnDevice) -> Iterator[str]:
    # What somebody should look at comes first: the end of a long line is cut.
    yield from (f"{version} is damaged" for version in model.damaged)
    yield {True: "runs", False: "no loop", None: "loop unknown"}[model.running]
    if trial := model.trial:
        yield f"on trial for {trial.by}, {trial.left_s:.0f} s left, start {trial.starts} of {STARTS}"
    yield f"before: {model.previous or NONE}"


def _answering(devices: Sequence[Asked[DeviceStatus]]) -> Iterator[str]:
    for name, versions in counts(devices).items():
        said = ", ".join(f"{version} on {count}" for version, count in versions.items())
        yield f"{name} answers with {said}"


def _span(seconds: float) -> str:
    for unit, unit_s in (("days", 86_400), ("hours", 3_600), ("minutes", 60)):
        if seconds >= 2 * unit_s:
            return f"{seconds / unit_s:.0f} {unit}"
    return f"{seconds:.0f} s"
