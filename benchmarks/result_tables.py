"""The tables of docs/benchmarks.md: one kind of result each."""

import re
import statistics
from collections.abc import Callable, Sequence
from pathlib import Path

from benchmarks.card.contract import Card
from benchmarks.peers.runtimes.comparison import Found
from benchmarks.peers.runtimes.ratios import Ratio
from benchmarks.peers.runtimes.table import aims

Row = Sequence[object]
NONE = "-"
"""Stands where nothing was measured."""


def table(head: Row, rows: Sequence[Row]) -> str:
    """A Markdown table; numbers to the right."""
    numbers = [all(_is_number(row[column]) for row in rows) for column in range(len(head))]
    lines = [head, ["---:" if number else "---" for number in numbers], *rows]
    return "\n".join(
        "| " + " | ".join(_one_line(cell).replace("|", "\\|") for cell in line) + " |" for line in lines
    )


def _one_line(text: object) -> str:
    return " ".join(str(text).split())


def _is_number(cell: object) -> bool:
    return cell == NONE or re.match(r"[-+]?[\d.]+( |%|$)", str(cell)) is not None


def ms(milliseconds: float) -> str:
    """Two digits behind the point."""
    return f"{milliseconds:.2f}"


def mib(size_bytes: int) -> str:
    """In MiB."""
    return f"{size_bytes / 2**20:.1f}"


def card_tables(cards: Sequence[Card]) -> str:
    """A frame's times, and what else a bench measured; a row a card."""
    times = [
        (
            card.model.file,
            f"{card.model.input_width_px} x {card.model.input_height_px} {card.model.weights_dtype}",
            f"{card.setting.interpreter} {card.setting.interpreter_version}, {card.setting.device}",
            card.setting.threads,
            f"{card.setting.frame_width_px} x {card.setting.frame_height_px}",
            *(
                ms(getattr(card.stages.whole, f"{name}_ms"))
                for name in ("p50", "p90", "p99", "std", "jitter")
            ),
            ms(card.stages.invoke.p50_ms),
            "yes" if card.noise.quotable else "**no**",
        )
        for card in cards
    ]
    rest = [
        (
            card.model.file,
            f"{card.accuracy.top1:.2%} of {card.accuracy.pictures}" if card.accuracy else NONE,
            mib(card.model.size_bytes),
            ms(card.first_invoke_ms),
            f"{card.cold_start.p50_s:.2f}" if card.cold_start else NONE,
            mib(card.memory.steady_bytes),
            mib(card.memory.peak_bytes),
            f"{card.sustained.slowdown:.2f}",
            card.threads.recommended if card.threads else NONE,
            f"{card.energy.joules_a_frame * 1000:.1f} ({card.energy.source})" if card.energy else NONE,
        )
        for card in cards
    ]
    return "\n\n".join(
        (
            "From a frame in memory to its label, ms (invoke: the model alone):",
            table(CARD_TIMES.split("|"), times),
            "Accuracy in the same run, size, start and memory; slowdown: the last window's median by the first second's:",
            table(CARD_REST.split("|"), rest),
        )
    )


CARD_TIMES = (
    "model file|input, weights|interpreter|threads|frame, px|p50|p90|p99|std|jitter|invoke p50|to quote"
)
CARD_REST = "model file|top-1|file, MiB|first invoke, ms|cold start, s|steady, MiB|peak, MiB|slowdown|best threads|mJ a frame"


def bench_overhead(found: dict) -> str:
    """The bench's loop by the bare one."""
    rows = []
    for clock in ("wall", "processor"):
        one, overhead = found[clock], found[clock]["overhead"]
        between = f"{overhead['low']:+.2%} to {overhead['high']:+.2%}"
        rows.append((clock, ms(one["bare_ms"]), ms(one["benched_ms"]), f"{overhead['median']:+.2%}", between))
    head = ("ms a frame", "bare loop", "the bench's", "difference", "95 % interval")
    return f"{found['model']}, threads: {found['threads']}, {found['rounds']} rounds:\n\n{table(head, rows)}"


def matrix(found: dict) -> str:
    """Models x interpreters x threads; what failed stands below."""
    head = "#|model|input, px|file, MiB|interpreter|threads|p50, ms|p90|spread|ratio to the first [95 %]|top-1|agreement|front"
    models = {model["name"]: model for model in found["models"]}
    rows = []
    for cell in found["cells"]:
        if latency := cell["latency"]:
            model = models[cell["model"]]
            rows.append(
                (
                    cell["number"],
                    cell["model"],
                    f"{model['input_width_px']} x {model['input_height_px']}",
                    mib(model["size_bytes"]),
                    cell["interpreter"],
                    cell["threads"],
                    ms(latency["whole"]["p50_ms"]),
                    ms(latency["whole"]["p90_ms"]),
                    f"{latency['spread']:.1%}",
                    interval(latency["ratio"]),
                    f"{cell['accuracy']['top1']:.2%}" if cell["accuracy"] else NONE,
                    NONE if cell["agreement"] is None else f"{cell['agreement']:.2%}",
                    "**yes**" if cell["on_front"] else "",
                )
            )
    failed = [f"{cell['number']} failed: {cell['problem']}" for cell in found["cells"] if cell["problem"]]
    absent = [f"{one['name']} was not installed" for one in found["interpreters"] if not one["version"]]
    versions = ", ".join(f"{one['name']} {one['version']}" for one in found["interpreters"] if one["version"])
    return "\n\n".join(
        (
            f"{versions}; {found['rounds']} rounds of {found['round_s']:g} s a cell, all in turns. Front: no other cell is "
            "better in latency, size and, where it was measured, accuracy, beyond the rounds' chance.",
            table(head.split("|"), rows),
            *bullets([*failed, *absent, *found["notes"]]),
        )
    )


def interval(ratio: dict) -> str:
    """ "1.76 [1.70, 1.81]"."""
    ends = "" if ratio["low"] is None else f" [{ratio['low']:.2f}, {ratio['high']:.2f}]"
    return f"{ratio['median']:.2f}{ends}"


def bullets(lines: Sequence[str]) -> list[str]:
    """One list, or none where there is nothing to list."""
    return ["\n".join(f"- {_one_line(line)}" for line in lines)] if lines else []


def peers(found: dict) -> str:
    """litelens beside other runtimes; whether the aims are reached, and what failed, stand below."""
    head = "runtime|version|model|preprocessing|p50, ms|p90|by litelens [95 %]|agrees|top-1|largest difference|cores|start, s|MB"
    measured = [one for one in found["peers"] if not one["problem"]]
    rows = [
        (
            one["name"],
            one["version"],
            one["model"],
            one["preprocessing"],
            ms(one["p50_ms"]),
            ms(one["p90_ms"]),
            interval(one["ratio"]),
            *(NONE if one[name] is None else f"{one[name]:.1%}" for name in ("agreement", "top1")),
            f"{one['largest_difference']:.3f}",
            f"{one['cores']:.1f}",
            f"{one['start_s']:.1f}",
            f"{one['environment_bytes'] / 1e6:.0f}",
        )
        for one in measured
    ]
    reached = aims(
        [Found(**one | {"ratio": one["ratio"] and Ratio(**one["ratio"])}) for one in found["peers"]]
    )
    failed = [f"{one['name']}, {one['model']}: {one['problem']}" for one in found["peers"] if one["problem"]]
    return "\n\n".join(
        (
            f"{found['model']['file']} on {found['data']}, {found['frame_width_px']}x{found['frame_height_px']} frames of "
            f"{found['pictures']} pictures, threads: {found['threads']}, {found['rounds']} rounds in turns:",
            table(head.split("|"), rows),
            *bullets([*reached.splitlines(), *failed]),
        )
    )


def frame_overhead(found: dict) -> str:
    """What classifying costs beyond the model."""
    head = ("model file", "input, px", "threads", "runs", "invoke p50, ms", "classify p50", "difference")
    rows = [
        (
            Path(one["model"]).name,
            f"{one['input_width_px']} x {one['input_height_px']}",
            one["threads"],
            one["runs"],
            *map(ms, (one["invoke"]["p50_ms"], one["classify"]["p50_ms"], one["overhead_p50_ms"])),
        )
        for one in found["models"]
    ]
    return table(head, rows)


def sustained_rate(found: dict) -> str:
    """Frames/s of `litelens run`."""
    head = "camera, frames/s|invoke, ms|possible, frames/s|reached|reached of it|age p50, ms|age p99"
    rows = [
        (
            f"{rate['camera_fps']:.1f}",
            ms(rate["invoke_ms"]),
            f"{rate['wanted_fps']:.1f}",
            f"{rate['reached_fps']:.1f}",
            f"{rate['reached_fps'] / rate['wanted_fps']:.1%}",
            f"{rate['age_p50_ms']:.1f}",
            f"{rate['age_p99_ms']:.1f}",
        )
        for rate in found["rates"]
    ]
    return f"{found['model']}:\n\n" + table(head.split("|"), rows)


def soak(found: dict) -> str:
    """What a long run took and gave."""
    rows = [
        ("minutes", f"{found['seconds'] / 60:.1f}"),
        ("frames captured", found["captured"]),
        ("replaced by a newer one", found["dropped"]),
        ("classified", found["classified"]),
        ("age p50, ms", f"{found['age_p50_ms']:.1f}"),
        ("age p99, ms", f"{found['age_p99_ms']:.1f}"),
        ("memory at the start, MiB", mib(found["start_memory_bytes"])),
        ("memory at the end, MiB", mib(found["end_memory_bytes"])),
        ("video watched, MiB", mib(found["watched_bytes"])),
        ("frames saved by the button", found["saved"]),
        ("events printed", found["events"]),
        ("events through the broker", found["messages"]),
        ("hard examples", found["hard_examples"]),
    ]
    return f"{found['model']} on {found['video']}:\n\n" + table(("", ""), rows)


def training_time(found: dict) -> str:
    """Both recipes, round by round."""
    rows = [
        (number, name, f"{one['seconds']:.1f}", f"{one['test_accuracy']:.2%}")
        for number, both in enumerate(zip(found["notebook"], found["litelens"], strict=True), 1)
        for name, one in zip(("notebook recipe", "litelens"), both, strict=True)
    ]
    ratio = f"litelens / notebook recipe, whole processes, median of the rounds: {found['ratio']:.3f}"
    head = ("round", "recipe", "seconds", "test accuracy")
    return f"{found['data']}, alpha {found['alpha']}:\n\n{table(head, rows)}\n\n{ratio}"


def input_pipeline(found: dict) -> str:
    """Pictures/s of each stage, and how often the backbone's."""
    medians = {stage: statistics.median(rates) for stage, rates in found["pictures_per_s"].items()}
    rounds = len(next(iter(found["pictures_per_s"].values())))
    rows = [(stage, f"{rate:.0f}", f"{rate / medians['backbone']:.1f}") for stage, rate in medians.items()]
    head = ("stage", f"pictures/s, median of {rounds} rounds", "times the backbone's")
    return f"{found['data']}, alpha {found['alpha']}, {found['size']} px:\n\n{table(head, rows)}"


def default_settings(found: dict) -> str:
    """Accuracy with the defaults and with one setting changed at a time."""
    accuracies = {
        name: [seed[found["judge"]] for seed in seeds] for name, seeds in found["accuracies"].items()
    }
    rows = [
        (name, f"{statistics.fmean(values):.4f}", " ".join(f"{value:.4f}" for value in values))
        for name, values in accuracies.items()
    ]
    drawn = table(("setting", f"accuracy on {found['judge']}, mean", "each seed"), rows)
    return f"{found['data']}, alpha {found['alpha']}, {found['size']} px:\n\n{drawn}"


def few_rounds(found: dict) -> str | None:
    """Why a training time of so many rounds is not to be quoted."""
    rounds = len(found["litelens"])
    return None if rounds >= 3 else f"{rounds} of at least 3 rounds"


TABLES: dict[str, tuple[str, Callable[[dict], str]]] = {
    "matrix": ("Many models, many interpreters", matrix),
    "peers": ("Beside other runtimes", peers),
    "training_time": ("Training against the notebook recipe", training_time),
    "input_pipeline": ("The input of a training", input_pipeline),
    "default_settings": ("Would tuning the training help", default_settings),
    "frame_overhead": ("What a frame costs besides the model", frame_overhead),
    "sustained_rate": ("Sustained rate", sustained_rate),
    "soak": ("A long run with everything on", soak),
    "bench_overhead": ("What the bench itself costs", bench_overhead),
}
"""kind: (its heading, its table); the page's order."""
