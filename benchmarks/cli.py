"""The verb of a bench: measures a model file here, prints a table, writes JSON."""

import json
from dataclasses import asdict
from pathlib import Path

import click

from benchmarks.latency import UNAVAILABLE, LatencyReport, measure_latency
from edge_runtime.whole_file import write_whole


@click.command()
@click.argument("model", metavar="NAME.tflite", type=click.Path(path_type=Path))
@click.option(
    "--threads",
    type=click.IntRange(min=1),
    metavar="N",
    help="Threads one inference may use. [default: the cores, at most 4]",
)
@click.option(
    "--json",
    "json_path",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Also write the report to FILE as JSON.",
)
def bench(model: Path, threads: int | None, json_path: Path | None) -> None:
    """Measure a model file's latency and memory here.

    Times preprocess, invoke and postprocess of a 640x480 frame: after a warm-up, at least 100 runs and
    2 seconds.
    """
    report = measure_latency(model, threads)
    click.echo(table(report))
    if json_path:
        write_whole(json_path, (json.dumps(asdict(report), indent=1) + "\n").encode())


def table(report: LatencyReport) -> str:
    """The report as text for people."""
    machine = report.machine
    temperature = machine.temperature_c
    heat = temperature if temperature == UNAVAILABLE else f"{temperature:.1f} C"
    cores = f"{machine.cores} core{'s' if machine.cores > 1 else ''}"
    crowded = f" (more than the {cores} here)" if report.threads > machine.cores else ""
    lines = [
        f"model        {report.model} ({report.model_name} {report.model_version}, "
        f"{report.model_size_bytes} bytes)",
        f"machine      {machine.cpu}, {machine.architecture}, {cores}",
        f"system       {machine.os}, Python {machine.python}",
        f"interpreter  {report.interpreter} {report.interpreter_version}",
        f"threads      {report.threads}{crowded}",
        f"governor     {machine.governor}",
        f"temperature  {heat}",
        f"peak memory  {report.peak_memory_bytes / 2**20:.1f} MiB, the whole process",
        f"first invoke {report.first_invoke_ms:.2f} ms, then {report.warmup_runs} frames of warm-up",
        "",
        f"ms of {report.runs} runs   p50     p90     p99    mean     std",
    ]
    head = lines[-1].index("p50") + len("p50")
    for stage in ("preprocess", "invoke", "postprocess", "whole"):
        spread = getattr(report, stage)
        times = (spread.p90_ms, spread.p99_ms, spread.mean_ms, spread.std_ms)
        lines.append(f"{stage:12}{spread.p50_ms:{head - 12}.2f}" + "".join(f"{time:8.2f}" for time in times))
    return "\n".join(lines)
