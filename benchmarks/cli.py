"""The verb `bench`: measures a model file here or elsewhere, prints a table, writes the card."""

import importlib
from pathlib import Path

import click

from benchmarks.card.contract import Card
from benchmarks.measuring.bench import FULL, QUICK
from benchmarks.measuring.bench import bench as measure
from benchmarks.measuring.table import table
from edge_runtime.cli import model_argument, threads_option
from edge_runtime.live.settings import RunSettings
from edge_runtime.whole_file import check_folders, write_whole

COMMANDS = {
    # name: (module, command, one line for `litelens bench --help`, so that nothing is imported to print it)
    "compare": ("benchmarks.card.compare_cli", "compare", "Say whether one card is faster than another."),
    "matrix": ("benchmarks.matrix.cli", "matrix", "Measure models x interpreters x threads, in turns."),
}
_file = click.Path(path_type=Path)


class ModelOrCommand(click.Command):
    """A command for a model file that hands over to another one if its first argument is that one's name."""

    @property
    def commands(self) -> dict[str, click.Command]:
        """Those it hands over to, by name, as a click.Group has them; imports them all."""
        return {name: _load(name) for name in COMMANDS}

    def make_context(
        self, info_name: str | None, args: list[str], parent: click.Context | None = None, **extra: object
    ) -> click.Context:
        """Of this command or, if the first argument names one, of the other."""
        if args and args[0] in COMMANDS:
            return _load(args[0]).make_context(f"{info_name} {args[0]}", args[1:], parent, **extra)
        return super().make_context(info_name, args, parent, **extra)

    def invoke(self, ctx: click.Context) -> object:
        """Runs the command that the context was made for."""
        return super().invoke(ctx) if ctx.command is self else ctx.command.invoke(ctx)

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Lists the others below the options."""
        with formatter.section("Commands in the place of NAME.tflite (a file of that name is ./compare)"):
            formatter.write_dl([(name, line) for name, (_, _, line) in COMMANDS.items()])


def _load(name: str) -> click.Command:
    module, command, _ = COMMANDS[name]
    return getattr(importlib.import_module(module), command)


@click.command(cls=ModelOrCommand)
@model_argument
@click.option(
    "--quick", is_flag=True, help="One window of 2 s in place of 5 of 10 s: a first look, not to be quoted."
)
@threads_option
@click.option(
    "--device",
    default=RunSettings.device,
    show_default=True,
    metavar="DEVICE",
    help="cpu, edgetpu[:usb|:pci][:N] or auto.",
)
@click.option(
    "--data",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Time these pictures, a folder a class, and measure top-1 on them.",
)
@click.option("--on", "host", metavar="USER@HOST", help="Measure there, over ssh.")
@click.option("--json", "json_path", type=_file, metavar="FILE", help="Also write the card as JSON.")
@click.option("--markdown", "markdown_path", type=_file, metavar="FILE", help="Also write it as Markdown.")
@click.option("--html", "html_path", type=_file, metavar="FILE", help="Also write it as a page of its own.")
def bench(
    model: Path,
    quick: bool,
    threads: int | None,
    device: str,
    data: Path | None,
    host: str | None,
    json_path: Path | None,
    markdown_path: Path | None,
    html_path: Path | None,
) -> None:
    """Measure a model file's latency, memory and accuracy here.

    After a warm-up, 5 windows of 10 s of a 640x480 frame, or of the pictures in DIR, stage by stage; then the thread
    counts and the start of a new process. About 90 s on two cores.
    """
    check_folders(json_path, markdown_path, html_path)
    if host:
        card = _bench_on(host, model, data, quick=quick, threads=threads, device=device)
    else:
        card = measure(
            model,
            extent=QUICK if quick else FULL,
            threads=threads,
            data=data,
            device=device,
            report=lambda line: click.echo(line, err=True),
        )
    click.echo(table(card))
    _write(card, json_path, markdown_path, html_path)


def _bench_on(
    host: str, model: Path, data: Path | None, *, quick: bool, threads: int | None, device: str
) -> Card:
    from benchmarks.remote import bench_on  # its libraries are an extra

    arguments = ["--device", device]
    if quick:
        arguments += ["--quick"]
    if threads:
        arguments += ["--threads", str(threads)]
    return bench_on(model, host, arguments, data)


def _write(card: Card, json_path: Path | None, markdown_path: Path | None, html_path: Path | None) -> None:
    if json_path:
        from benchmarks.card.json_file import write_card

        write_card(json_path, card)
    if markdown_path:
        from benchmarks.card.markdown import markdown

        write_whole(markdown_path, markdown(card).encode())
    if html_path:
        from benchmarks.card.html import html

        write_whole(html_path, html(card).encode())
