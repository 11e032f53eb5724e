"""A card as one page that needs no other file, no script and no network."""

from collections.abc import Iterable
from html import escape
from pathlib import Path
from string import Template

from benchmarks.card import charts, facts
from benchmarks.card.contract import Card
from benchmarks.card.facts import Fact, Name

TEMPLATE = Path(__file__).with_name("card.html")


def html(card: Card) -> str:
    """The page; what is put in is escaped."""
    title, reasons = facts.verdict(card)
    named = [name for name in (card.model.name, card.model.version) if name]
    return Template(TEMPLATE.read_text(encoding="utf-8")).substitute(
        title=escape(f"{' '.join(map(Name, named))} on {Name(card.machine.cpu)}"),
        name=" ".join(map(_part, map(Name, named))),
        place=_where(card),
        kind="good" if card.noise.quotable else "bad",
        verdict=title,
        reasons="".join(f"<li>{_part(reason)}" for reason in reasons),
        headline="".join(_tile(*tile) for tile in facts.headline(card)),
        histogram=_chart("Whole frames", charts.histogram_chart(card), _histogram_note(card)),
        stages=_chart("Stages", charts.stages_chart(card), _stages_note(card), _times(card)),
        windows=_chart("Windows", charts.windows_chart(card), _windows_note(card)),
        threads=_chart("Threads", charts.threads_chart(card), _threads_note(card)),
        memory=_chart(
            "Memory, accuracy, start and energy",
            charts.memory_chart(card),
            "Resident set of the process, Python and libraries included.",
            f"<dl>{_facts(facts.results(card))}</dl>",
        ),
        heat=_chart("Temperature and frequency", *_heat(card)),
        model=_facts(facts.model(card)),
        machine=_facts(facts.machine(card)),
        setting=_facts(facts.setting(card)),
    )


def _where(card: Card) -> str:
    setting = card.setting
    threads = f"{setting.threads} thread{'' if setting.threads == 1 else 's'}"
    interpreter = f"{_part(Name(setting.interpreter))} {_part(Name(setting.interpreter_version))}"
    return f"{_part(Name(card.machine.cpu))} · {threads} · {interpreter} on {_part(Name(setting.device))}"


def _tile(title: str, figure: str, note: str) -> str:
    return f"<div><dt>{title}<dd><strong>{figure}</strong><span>{note}</span></div>"


def _chart(title: str, chart: str, note: str, below: str = "") -> str:
    return f"<figure><h3>{title}</h3>{chart}<figcaption>{note}</figcaption>{below}</figure>"


def _histogram_note(card: Card) -> str:
    frames = sum(window.runs for window in card.windows)
    return f"{frames:,} frames by their time in ms; slower ones than fit are in the last bar."


def _stages_note(card: Card) -> str:
    capture = " Capture goes on beside the others." if card.stages.capture else ""
    return f"Bars to the median, lines to p90; whole is preprocess, invoke and postprocess.{capture}"


def _windows_note(card: Card) -> str:
    if len(card.windows) < 2:
        return "One window tells nothing of the drift between windows."
    return (
        f"Median of each window over time, lines to p90. Medians spread by {facts.percent(card.noise.spread, 1)}; "
        f"those that fit into the shaded height, {facts.percent(card.noise.limit, 0)}, may be quoted."
    )


def _threads_note(card: Card) -> str:
    if not card.threads:
        return "Not measured."
    within = "the least count within a twentieth of the fastest"
    most = max((one.threads for one in card.threads.measured), default=0)
    crowded = f" This machine has {card.machine.cores} cores." if most > card.machine.cores else ""
    return f"Median frame in ms by thread count, lines to p90. Recommended is {within}.{crowded}"


def _heat(card: Card) -> tuple[str, str]:
    """Both charts, and what is to be said of them."""
    drawn = charts.temperature_chart(card), charts.frequency_chart(card)
    untold = [name for name, chart in zip(("Temperature", "Frequency"), drawn, strict=True) if not chart]
    notes = [f"{name}: {facts.NOT_TOLD}." for name in untold]
    if any(drawn):
        notes.append("Seconds since the first window began.")
    slowed = facts.throttling(card)
    shaded = " (shaded)" if any(drawn) and any(reading.throttling for reading in card.readings) else ""
    notes.append(f"Throttling{shaded}: {''.join(map(_part, slowed))}.")
    return "".join(drawn), " ".join(notes)


def _times(card: Card) -> str:
    heads = "".join(f"<th>{column}" for column in facts.COLUMNS)
    rows = "".join(
        f"<tr><td>{name}" + "".join(f"<td>{figure}" for figure in facts.figures(spread))
        for name, spread in facts.stages(card).items()
    )
    return f'<div class="scroll"><table><tr><th>ms{heads}{rows}</table></div>'


def _facts(lines: Iterable[Fact]) -> str:
    return "".join(f"<div><dt>{fact.title}<dd>{''.join(map(_part, fact.parts))}</div>" for fact in lines)


def _part(part: str) -> str:
    # bdi: a name in Arabic does not turn the words around it.
    return f"<bdi>{escape(part)}</bdi>" if isinstance(part, Name) else escape(part)
