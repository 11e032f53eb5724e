"""What following costs, from one device to a million: docs/update-load.md quotes it.

    python -m benchmarks.update_load

Needs nginx and wrk (Debian's nginx-light and wrk) and litelens[fleet]; takes two minutes. Server and load share the
machine's cores, over loopback, without TLS.
"""

import os
import subprocess
import tempfile
from dataclasses import asdict
from pathlib import Path

import click

from benchmarks.result_file import begin, write_result
from benchmarks.update_load.fleet_size import WAVE, Daily, Peaks, daily, peaks, rollout, servers
from benchmarks.update_load.looks import SMALL, Look, Publisher, looks
from benchmarks.update_load.serving import CONNECTIONS, Load, bear_downloads, bear_looks, median
from benchmarks.update_load.web_server import needed, nginx


@click.command()
@click.option("--devices", type=click.IntRange(min=1), default=1_000_000, show_default=True)
@click.option(
    "--seconds", type=click.IntRange(min=1), default=10, show_default=True, help="Of each run of wrk."
)
@click.option("--runs", type=click.IntRange(min=1), default=3, show_default=True)
@click.option("--json", "json_path", type=click.Path(path_type=Path), metavar="FILE")
def main(devices: int, seconds: int, runs: int, json_path: Path | None) -> None:
    """Measures a device's looks and a server's load, and computes what a fleet of devices costs."""
    began = begin()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        publisher, store = Publisher(folder), folder / "device" / "store"
        store.mkdir(parents=True)
        publisher.publish("1", SMALL)
        with nginx(publisher.site, folder / "server-of-looks", workers=1, logged=True) as server:
            found = list(looks(publisher, server, store))
        cores = os.cpu_count() or 1
        with nginx(publisher.site, folder / "server-of-load", workers=cores, logged=False) as server:
            runs_of_looks = bear_looks(server, publisher.site, folder, seconds=seconds, runs=runs)
            downloads = bear_downloads(server, publisher.site, folder, seconds=seconds)
    borne = median(runs_of_looks)
    nothing_new, signed_again, small, large = found[1:5]
    day, top = daily(nothing_new, signed_again, devices), peaks(devices)
    _print_looks(found)
    _print_load(runs_of_looks, borne, downloads, cores)
    _print_fleet(day, top, nothing_new, borne)
    _print_rollouts({"0.65 MB": small, "2.7 MB": large}, devices, downloads)
    if json_path:
        measured = {
            "looks": [asdict(look) for look in found],
            "loads": [asdict(load) for load in runs_of_looks],
        }
        computed = {"daily": asdict(day), "peaks": asdict(top)}
        write_result(json_path, "update_load", began, measured | {"downloads": asdict(downloads)} | computed)


def _print_looks(found: list[Look]) -> None:
    click.echo("One device's look: bytes of HTTP, headers included")
    click.echo(f"  {'':34}{'requests':>9}{'connections':>13}{'sent':>8}{'received':>12}")
    for look in found:
        counts = f"{look.requests:>9}{look.connections:>13}{look.sent_bytes:>8,}{look.received_bytes:>12,}"
        click.echo(f"  {look.name:34}{counts}")


def _print_load(runs: list[Load], borne: Load, downloads: Load, cores: int) -> None:
    version = subprocess.run(
        [needed("nginx", "nginx-light"), "-v"], capture_output=True, text=True
    ).stderr.strip()
    click.echo(
        f"\nOne server: {version.rpartition(' ')[2]}, {cores} cores shared with wrk, {CONNECTIONS} connections, loopback, no TLS"
    )
    each = ", ".join(f"{load.requests_s:,.0f}" for load in runs)
    click.echo(f"  looks with nothing new: {borne.requests_s:,.0f} requests/s, median of {each}")
    click.echo(
        f"  a request, under that load: p50 {borne.p50_ms:.2f} ms, p99 {borne.p99_ms:.2f} ms; failed {borne.errors}"
    )
    click.echo(
        f"  a 0.65 MB model: {downloads.requests_s:,.0f} downloads/s, {downloads.bytes_s * 8 / 1e9:.1f} Gbit/s"
    )


def _print_fleet(day: Daily, top: Peaks, look: Look, borne: Load) -> None:
    click.echo(f"\n{day.devices:,} devices that look every hour")
    click.echo(f"  a device a day: {day.bytes_per_device:,.0f} bytes")
    click.echo(
        f"  all of them a day: {day.bytes_total / 1e9:,.1f} GB, on average {day.bits_s / 1e6:,.1f} Mbit/s"
    )
    click.echo(f"  {'':46}{'looks/s':>10}{'requests/s':>12}{'such servers':>14}")
    for name, looks_s in (
        ("on average", day.looks_s),
        ("all started in one second: in the first minute", top.first_minute),
        ("  busiest second of the second hour", top.second_hour),
        ("  busiest second of the 24th hour", top.last_hour),
    ):
        requests_s = looks_s * look.requests
        needs = servers(requests_s, borne.requests_s)
        click.echo(f"  {name:46}{looks_s:>10,.0f}{requests_s:>12,.0f}{needs:>14}")


def _print_rollouts(updates: dict[str, Look], devices: int, downloads: Load) -> None:
    click.echo(f"\nA new version to {devices:,} devices, {WAVE:.0%} a day")
    click.echo(
        f"  {'model':10}{'GB a day':>10}{'GB in all':>11}{'Gbit/s after a wave':>21}{'such servers':>14}"
    )
    for name, look in updates.items():
        cost = rollout(look, devices)
        needs = servers(cost.bits_s, downloads.bytes_s * 8)
        volume = f"{cost.bytes_per_wave / 1e9:>10,.0f}{cost.bytes_total / 1e9:>11,.0f}"
        click.echo(f"  {name:10}{volume}{cost.bits_s / 1e9:>21.2f}{needs:>14}")


if __name__ == "__main__":
    main()
