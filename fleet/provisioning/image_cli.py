"""The verb `image`: a card that makes a new Raspberry Pi a litelens device, without a screen and without a network."""

import shlex
import sys
from pathlib import Path

import click

from edge_runtime.errors import ConfigError
from edge_runtime.extras import extra

_file = click.Path(path_type=Path)


@click.command()
@click.argument("boot", metavar="BOOT", type=click.Path(path_type=Path))
@click.argument("model", metavar="[NAME.tflite]", required=False, type=click.Path(path_type=Path))
@click.option("--hostname", required=True, metavar="NAME", help="What the machine is called: NAME.local.")
@click.option(
    "--user", required=True, metavar="NAME", help="Who logs in there, and as whom the service runs."
)
@click.option(
    "--authorized-key", metavar="FILE", type=_file, help="A public key that lets the user in by ssh."
)
@click.option(
    "--password-file",
    metavar="FILE",
    type=_file,
    help="Has the user's password in its first line. [default: asked for, where there is no key]",
)
@click.option("--wifi", metavar="SSID", help="The Wi-Fi network. [default: Ethernet alone]")
@click.option("--wifi-country", metavar="CC", help="Where the Wi-Fi is: GB, DE, US ...")
@click.option(
    "--wifi-password-file",
    metavar="FILE",
    type=_file,
    help="Has the Wi-Fi password in its first line. [default: asked for]",
)
@click.option("--timezone", default="", metavar="ZONE", help="Such as Europe/London. [default: the system's]")
@click.option("--camera", metavar="SOURCE", help="As in litelens run; without it no service is installed.")
@click.option("--web", metavar="HOST:PORT", help="Serve the live page there.")
@click.option("--follow", metavar="URL", help="Take new versions from this signed repository.")
@click.option("--root", metavar="FILE", type=_file, help="The root.json that the repository is trusted by.")
@click.option("--online", is_flag=True, help="Bring no wheels: the device installs from its own network.")
def image(
    boot: Path,
    model: Path | None,
    hostname: str,
    user: str,
    authorized_key: Path | None,
    password_file: Path | None,
    wifi: str | None,
    wifi_country: str | None,
    wifi_password_file: Path | None,
    timezone: str,
    camera: str | None,
    web: str | None,
    follow: str | None,
    root: Path | None,
    online: bool,
) -> None:
    """Write onto a fresh card what has its Raspberry Pi come up classifying.

    BOOT is where the boot partition of a card with Raspberry Pi OS bookworm or trixie is mounted, as Raspberry Pi Imager
    writes it, before its first boot. Nothing is left to do at the device; it needs no network.

    \b
    litelens image /media/me/bootfs parts.tflite --camera picamera --hostname door-1 --user pi \\
        --authorized-key ~/.ssh/id_ed25519.pub --wifi Workshop --wifi-country GB
    """
    with extra("fleet", "litelens image"):
        from fleet.provisioning.bundle import Wanted
        from fleet.provisioning.card import LOG, read_card
        from fleet.provisioning.image import write_image
        from fleet.provisioning.raspberry_pi import FirstBoot, Wifi, read_authorized_keys
        from fleet.provisioning.sha512_crypt import hash_password

    if wifi is None and (wifi_country or wifi_password_file):
        raise click.UsageError("--wifi-country and --wifi-password-file are for --wifi SSID")
    if wifi is not None and not wifi_country:
        raise click.UsageError("--wifi needs --wifi-country: which channels are allowed differs")
    wanted = Wanted(model=model, camera=camera, web=web, follow=follow, root=root)
    card = read_card(boot)
    click.echo(
        f"{boot}: Raspberry Pi OS {card.release}, {'32' if card.machine == 'armv7l' else '64'}-bit, never started"
    )
    keys = read_authorized_keys(_text(authorized_key), str(authorized_key)) if authorized_key else ()
    FirstBoot(hostname, user, "!", keys, None, timezone)  # raises before anything is asked
    password = (
        _secret(password_file, f"Password of {user} on {hostname}") if password_file or not keys else ""
    )
    network = None
    if wifi is not None:
        wifi_password = _secret(wifi_password_file, f"Password of the Wi-Fi {wifi}")
        network = Wifi(wifi, wifi_password, wifi_country.upper())
    password_hash = hash_password(password) if password else ""
    first_boot = FirstBoot(hostname, user, password_hash, keys, network, timezone)
    write_image(card, first_boot, wanted, click.echo, online=online)
    click.echo(
        f"all of it is on the card; unmount it before you take it out: umount {shlex.quote(str(boot))}"
    )
    click.echo(
        f"then, a few minutes after power-on: ssh {user}@{hostname}.local; {LOG} on the card says how it went"
    )
    if not network:
        click.echo("there is no Wi-Fi in it: give --wifi SSID, or use Ethernet")
    secrets = (["can read its Wi-Fi's key"] if network else []) + (["can try passwords"] if password else [])
    if secrets:
        click.echo(f"the card holds secrets: who has it {' and '.join(secrets)}")


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as problem:
        raise ConfigError(f"cannot read {file}: {problem}", "name a text file that you may read") from problem


def _secret(file: Path | None, question: str) -> str:
    """The first line of a file, or what a person types twice."""
    if file is not None:
        secret = _text(file).partition("\n")[0].rstrip("\r")
    elif sys.stdin.isatty():
        secret = click.prompt(question, hide_input=True, confirmation_prompt=True, err=True)
    else:
        raise ConfigError(
            f"{question}: there is no terminal to ask at", "name a file that has it in its first line"
        )
    if not secret or not secret.isprintable():
        raise ConfigError(f"{question}: it is empty, or has control characters", "choose another")
    return secret
