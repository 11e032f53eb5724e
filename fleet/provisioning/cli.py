"""The verb `provision`."""

import asyncio
import tempfile
from contextlib import aclosing
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from edge_runtime.errors import ConfigError, LitelensError
from edge_runtime.extras import extra
from fleet.targets import STATE, STORE, Target, targets_argument, targets_of

if TYPE_CHECKING:
    from fleet.provisioning.bundle import Wanted


@click.command()
@targets_argument
@click.option(
    "--model",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="NAME.tflite",
    help="The first model; where the device has one of this name, that one stays.",
)
@click.option("--camera", metavar="SOURCE", help="Have a service classify it; as litelens run --camera.")
@click.option("--web", metavar="HOST:PORT", help="Have the service serve the live page.")
@click.option("--follow", metavar="URL", help="Have the service take new versions from a signed repository.")
@click.option(
    "--root",
    type=click.Path(path_type=Path, dir_okay=False, exists=True),
    metavar="ROOT.json",
    help="With --follow: the root metadata that the devices are to trust.",
)
@click.option(
    "--online", is_flag=True, help="Bring litelens alone; a device gets the rest from its own index."
)
@click.option("--dry-run", is_flag=True, help="Only say what would be done.")
def provision(
    devices: str | None,
    fleet: Path | None,
    model: Path | None,
    camera: str | None,
    web: str | None,
    follow: str | None,
    root: Path | None,
    online: bool,
    dry_run: bool,
) -> None:
    """Install litelens, its service and a store on machines that ssh reaches.

    DEVICES are user@host[:port][,user@host ...]. They need Raspberry Pi OS bookworm or later, or another Debian with
    Python 3.11 and systemd, and a user who is root or may use sudo; no network of their own. The same command again goes
    on where a cut one ended, changes nothing where all is so already, and upgrades.

    \b
    litelens provision pi@garden.local --model parts.tflite --camera picamera
    """
    targets = targets_of(devices, fleet)
    _check_paths(targets)
    with extra("fleet", "litelens provision"):
        import asyncssh  # noqa: F401

        from fleet.provisioning.bundle import Wanted
    wanted = Wanted(model, camera, web, follow, root)
    asyncio.run(_provision_all(targets, wanted, online, dry_run))


async def _provision_all(targets: tuple[Target, ...], wanted: "Wanted", online: bool, dry_run: bool) -> None:
    """All at once; says of each that failed why, and raises when all have ended."""
    from fleet.connection import connect
    from fleet.many import each
    from fleet.provisioning.errors import ProvisionError
    from fleet.provisioning.provision import Bundles, provision
    from fleet.provisioning.root_rights import Passwords
    from fleet.terminal import Terminal

    terminal = Terminal()
    passwords = Passwords(terminal)
    failed: list[tuple[str, LitelensError]] = []
    with tempfile.TemporaryDirectory(prefix="litelens-provision-") as folder:
        bundles = Bundles(Path(folder), wanted, online)

        async def work(target: Target) -> None:
            async with connect(target.address, terminal) as connection:
                say = partial(_say, target.name)
                await provision(connection, bundles, passwords, say, dry_run=dry_run)

        async with aclosing(each(targets, work)) as ended:
            async for target, problem in ended:
                if problem is None:
                    continue
                failed.append((target.name, problem))
                if len(targets) > 1:
                    click.echo(f"{target.name}: error: {problem}", err=True)
                    click.echo(f"{target.name}: hint: {problem.hint}", err=True)
    if failed and len(targets) == 1:
        raise failed[0][1]
    if failed:
        raise ProvisionError(
            f"{len(failed)} of {len(targets)} devices failed: {', '.join(name for name, _ in failed)}",
            "mend what is said above, and run the same command again: the others stay as they are",
        )


def _say(device: str, line: str) -> None:
    click.echo(f"{device}: {line}")


def _check_paths(targets: tuple[Target, ...]) -> None:
    """Raises ConfigError for a device whose fleet file has it elsewhere than it would be made."""
    for target in targets:
        for name, there, made in (("store", target.store, STORE), ("state", target.state, STATE)):
            if there != made:
                raise ConfigError(
                    f"the {name} of {target.name} is to be {there}, and litelens provision makes it {made}",
                    f"leave {name} out of the fleet file, or install that device by hand: docs/provision.md",
                )
