"""The verb `update`: one look at a signed repository, for a person or a timer."""

from pathlib import Path

import click

from edge_runtime.updating.offers import CHANNELS, STABLE


@click.command()
@click.option(
    "--from",
    "address",
    required=True,
    metavar="URL",
    help="The repository: the folder that litelens publish writes, served.",
)
@click.option(
    "--root",
    type=click.Path(path_type=Path, dir_okay=False),
    required=True,
    metavar="ROOT.json",
    help="The root metadata that this device trusts: metadata/1.root.json of the repository, brought by a safe way.",
)
@click.option(
    "--store",
    type=click.Path(path_type=Path, file_okay=False),
    required=True,
    metavar="STORE",
    help="Where this device keeps its models.",
)
@click.option("--channel", type=click.Choice(CHANNELS), default=STABLE, show_default=True)
@click.option(
    "--model",
    "name",
    metavar="NAME",
    help="Which model. [default: the only one in the store or the repository]",
)
@click.option(
    "--max-latency-ms",
    type=click.FloatRange(min=0, min_open=True),
    metavar="MS",
    help="Refuse a version with which more than 1 of 100 frames of 640x480 takes longer.",
)
@click.option("--again", is_flag=True, help="Also try a version that was refused, or rolled back, before.")
def update(
    address: str,
    root: Path,
    store: Path,
    channel: str,
    name: str | None,
    max_latency_ms: float | None,
    again: bool,
) -> None:
    """Take the newest model that a signed repository offers this device.

    It is verified, tried on this device and switched to; or refused, and nothing has changed. Exit codes: 0 the newest
    version is in use, or none is offered; 1 the repository or the version was refused, or could not be had; 3 the
    version is wrong or too slow on this device.

    \b
    litelens update --from https://models.example.org/doors --root root.json --store /var/lib/litelens/store
    """
    from edge_runtime.store.errors import StoreError
    from edge_runtime.updating.into_store import STATE_FOLDER, IntoStore
    from edge_runtime.updating.update import LEFT, REFUSED_BEFORE, Source, update

    if not store.is_dir():
        raise StoreError(f"there is no store {store}", f"make it: sudo install -d -m 2775 -g GROUP {store}")
    source = Source(address, root, channel, name or _only_model(store))
    installer = IntoStore(store, max_latency_ms=max_latency_ms)
    outcome = update(source, store / STATE_FOLDER, installer, again=again)
    click.echo(outcome)
    if outcome.what in (REFUSED_BEFORE, LEFT):
        click.echo("with --again it is tried once more", err=True)


def _only_model(store: Path) -> str | None:
    from edge_runtime.store.names import is_safe

    names = [path.name for path in store.iterdir() if path.is_dir() and is_safe(path.name)]
    return names[0] if len(names) == 1 else None
