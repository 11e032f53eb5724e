"""A card as Markdown, as GitHub shows it."""

import re
from collections.abc import Iterable

from benchmarks.card import facts
from benchmarks.card.contract import Card
from benchmarks.card.facts import COLUMNS, Fact, Name, figures, number


def markdown(card: Card) -> str:
    """One compact card, to be put into a README, an issue or a page of results."""
    return "\n".join(
        [
            f"### {_text((Name(card.model.name),))} on {_text((Name(card.machine.cpu),))}",
            "",
            *_lead(card),
            "",
            *_stages(card),
            *_windows(card),
            *_threads(card),
            *_table(facts.results(card), "Found"),
            "<details><summary>Model, machine and setting</summary>",
            "",
            *_table(facts.model(card), "Model"),
            *_table(facts.machine(card), "Machine"),
            *_table(facts.setting(card), "Setting"),
            "</details>",
            "",
        ]
    )


def _lead(card: Card) -> list[str]:
    title, reasons = facts.verdict(card)
    whole, setting = card.stages.whole, card.setting
    weights, interpreter, version, device = (
        _code(Name(text))
        for text in (
            card.model.weights_dtype,
            setting.interpreter,
            setting.interpreter_version,
            setting.device,
        )
    )
    threads = f"{setting.threads} thread{'' if setting.threads == 1 else 's'}"
    top1 = f", top-1 {facts.percent(card.accuracy.top1)}" if card.accuracy else ""
    return [
        f"**{number(whole.p50_ms)} ms** a frame (p90 {number(whole.p90_ms)}, p99 {number(whole.p99_ms)} ms), "
        f"{facts.frames_a_second(card)} frames/s{top1}; {weights}, {threads}, {interpreter} {version} on {device}.",
        f"**{title}**{': ' + '; '.join(map(_prose, reasons)) if reasons else ''}.",
    ]


def _table(lines: Iterable[Fact], title: str) -> list[str]:
    return [f"| {title} | |", "|---|---|", *(f"| {fact.title} | {_text(fact.parts)} |" for fact in lines), ""]


def _stages(card: Card) -> list[str]:
    return [
        f"| ms | {' | '.join(COLUMNS)} |",
        "|---" + "|--:" * len(COLUMNS) + "|",
        *(f"| {name} | {' | '.join(figures(spread))} |" for name, spread in facts.stages(card).items()),
        "",
    ]


def _windows(card: Card) -> list[str]:
    return [
        f"| window | {' | '.join(map(str, range(1, len(card.windows) + 1)))} |",
        "|---" + "|--:" * len(card.windows) + "|",
        f"| p50, ms | {' | '.join(number(window.whole.p50_ms) for window in card.windows)} |",
        "",
    ]


def _threads(card: Card) -> list[str]:
    if not card.threads:
        return []
    measured = card.threads.measured
    recommended = card.threads.recommended
    heads = [f"**{one.threads}**" if one.threads == recommended else str(one.threads) for one in measured]
    return [
        f"| threads (recommended: {recommended}) | {' | '.join(heads)} |",
        "|---" + "|--:" * len(measured) + "|",
        f"| p50, ms | {' | '.join(number(one.whole_p50_ms) for one in measured)} |",
        f"| p90, ms | {' | '.join(number(one.whole_p90_ms) for one in measured)} |",
        "",
    ]


def _text(parts: tuple[str, ...]) -> str:
    return "".join(_code(part) if isinstance(part, Name) else part for part in parts)


def _code(name: Name) -> str:
    """A code span: nothing in it is a tag, a link, a mention of a person or the number of an issue."""
    # A table's cell ends at |, also within code, and renderers do not agree on how to write one there.
    text = name.replace("|", "¦")
    fence = "`" * (1 + max(map(len, re.findall("`+", text)), default=0))
    padding = " " if text[:1] in ("`", " ", "") or text[-1:] == "`" else ""
    return f"{fence}{padding}{text}{padding}{fence}"


def _prose(name: Name) -> str:
    """A sentence as it stands, without a tag, emphasis, link, mention or number of an issue in it."""
    escaped = re.sub(r"(?i)([\\`*_\[\]<>|~&:]|(?<=www)\.)", r"\\\1", name)
    # GitHub looks for @person and #1 in the page that it has made: only code is left alone.
    return re.sub("([@#])", r"`\1`", escaped)
