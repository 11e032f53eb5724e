"""The verbs `publish` and `repo`: a signed repository that devices follow. python-tuf is imported only when one runs."""

import os
import stat
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import TYPE_CHECKING

import click

from edge_runtime.extras import extra
from edge_runtime.updating.fetching import ROLES
from edge_runtime.updating.offers import BUCKETS, CHANNELS, STABLE

if TYPE_CHECKING:
    from fleet.repository.keys import Keyring
    from fleet.repository.publishing import Published
    from fleet.repository.repository import Repository

PASSPHRASE_VARIABLE = "LITELENS_KEY_PASSPHRASE"
LEAST_CHARACTERS = 12


def _rollout(context: click.Context, parameter: click.Parameter, text: str) -> int:
    """Buckets of a percentage: 10% is 1,000."""
    try:
        buckets = Decimal(text.removesuffix("%")) * BUCKETS / 100
        good = text.endswith("%") and 0 <= buckets <= BUCKETS and buckets == int(buckets)
    except InvalidOperation:  # also the comparison of what is no number
        good = False
    if not good:
        raise click.BadParameter(f"{text!r} is no percentage of 0% to 100% in steps of 0.01%, such as 10%")
    return int(buckets)


_folder = click.argument("folder", metavar="DIR", type=click.Path(path_type=Path, file_okay=False))
_keys = click.option(
    "--keys",
    type=click.Path(path_type=Path, file_okay=False),
    multiple=True,
    metavar="FOLDER",
    help="Where the private keys are; more than once, if they are apart. [default: ~/.config/litelens/keys/DIR]",
)
_passphrase_file = click.option(
    "--passphrase-file",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help=f"Holds the passphrase of all keys. [default: {PASSPHRASE_VARIABLE}, or the terminal is asked]",
)


@click.command()
@click.argument("model", metavar="NAME.tflite", type=click.Path(path_type=Path))
@click.option(
    "--repo",
    "folder",
    required=True,
    type=click.Path(path_type=Path, file_okay=False),
    metavar="DIR",
    help="The repository, to be served as it is; made with new keys where there is none.",
)
@click.option("--channel", type=click.Choice(CHANNELS), default=STABLE, show_default=True)
@click.option(
    "--rollout",
    "buckets",
    callback=_rollout,
    default="100%",
    show_default=True,
    metavar="N%",
    help="So many of the devices take it, the others the one before; 0% takes it back.",
)
@_keys
@_passphrase_file
def publish(
    model: Path,
    folder: Path,
    channel: str,
    buckets: int,
    keys: tuple[Path, ...],
    passphrase_file: Path | None,
) -> None:
    """Offer a model file to all devices that follow a repository.

    DIR is a folder of plain files for any web server or object store. The same file with a higher --rollout reaches more
    devices, and is not uploaded again.

    \b
    litelens publish doors.tflite --repo site --rollout 10%
    """
    with extra("fleet", "litelens publish"):
        from fleet.repository.publishing import publish

    keyring = _keyring(folder, keys, passphrase_file)
    done = publish(model, folder, keyring, _now(), channel=channel, buckets=buckets)
    if done.created:
        _tell_of_keys(keyring, folder)
    click.echo(_sentence(done, buckets))
    _tell_notes(done.notes)


@click.group()
def repo() -> None:
    """Look after a signed repository: its keys, and how long its signatures are in force."""


@repo.command()
@_folder
@_keys
@_passphrase_file
@click.option(
    "--root-keys",
    type=click.IntRange(1, 20),
    default=1,
    show_default=True,
    metavar="N",
    help="So many people get a root key.",
)
@click.option(
    "--root-threshold",
    type=click.IntRange(1, 20),
    default=1,
    show_default=True,
    metavar="N",
    help="So many of them must agree to change a key.",
)
def init(
    folder: Path, keys: tuple[Path, ...], passphrase_file: Path | None, root_keys: int, root_threshold: int
) -> None:
    """Make keys and an empty repository; litelens publish does so, too, with one root key.

    \b
    litelens repo init site --root-keys 3 --root-threshold 2
    """
    if root_threshold > root_keys:
        raise click.UsageError(f"--root-threshold {root_threshold} is more than --root-keys {root_keys}")
    with extra("fleet", "litelens repo"):
        from fleet.repository.repository import create, locked

    keyring = _keyring(folder, keys, passphrase_file)
    keyring.check_apart(folder)
    with locked(folder):
        create(folder, keyring, _now(), root_keys=root_keys, root_threshold=root_threshold)
    _tell_of_keys(keyring, folder)


@repo.command()
@_folder
@click.argument("role", type=click.Choice(ROLES))
@_keys
@_passphrase_file
@click.option("--add-key", is_flag=True, help="Make a new key for the role.")
@click.option(
    "--remove-key",
    "remove_keys",
    multiple=True,
    metavar="ID",
    help="Let this key count no longer; the beginning of its id.",
)
@click.option(
    "--threshold", type=click.IntRange(1, 20), metavar="N", help="So many of the role's keys must sign."
)
@click.option(
    "--days",
    type=click.IntRange(1, 3650),
    metavar="N",
    help="The role's signatures are in force for so long.",
)
def role(
    folder: Path,
    role: str,
    keys: tuple[Path, ...],
    passphrase_file: Path | None,
    add_key: bool,
    remove_keys: tuple[str, ...],
    threshold: int | None,
    days: int | None,
) -> None:
    """Change whose signatures count for a role: root, targets, snapshot or timestamp.

    Wants root keys. Where too few are here, the new root waits in DIR for litelens repo sign. A key is rotated in one
    step: --add-key --remove-key ID.

    \b
    litelens repo role site timestamp --add-key --remove-key 3f9a
    """
    if not (add_key or remove_keys or threshold or days):
        raise click.UsageError("name a change: --add-key, --remove-key, --threshold or --days")
    with extra("fleet", "litelens repo"):
        from fleet.repository.repository import locked, open_repository
        from fleet.repository.roles import change_role

    keyring = _keyring(folder, keys, passphrase_file)
    keyring.check_apart(folder)
    with locked(folder):
        repository = open_repository(folder, keyring.trusted_root)
        _agree(repository)
        change_role(
            repository,
            keyring,
            role,
            add_key=add_key,
            remove_keys=remove_keys,
            threshold=threshold,
            days=days,
        )
        notes = repository.write(keyring, _now())
    click.echo(f"root {repository.root.signed.version} is in force")
    _tell_notes(notes)


@repo.command()
@_folder
@_keys
@_passphrase_file
def sign(folder: Path, keys: tuple[Path, ...], passphrase_file: Path | None) -> None:
    """Sign the timestamp again, and whatever else will expire soon; for a timer, once a day.

    With root keys it also signs a new root that waits for them, once you have agreed to it.

    \b
    litelens repo sign site --passphrase-file /etc/litelens/passphrase
    """
    with extra("fleet", "litelens repo"):
        from fleet.repository.pruning import prune
        from fleet.repository.repository import locked, open_repository

    keyring, now = _keyring(folder, keys, passphrase_file), _now()
    keyring.check_apart(folder)
    with locked(folder):
        repository = open_repository(folder, keyring.trusted_root)
        if repository.proposed and any(keyring.has(key) for key in repository.keys("root")):
            _agree(repository)
        notes = repository.write(keyring, now)
        prune(repository, now)
    click.echo(f"{folder} is signed until {repository.signed('timestamp').expires:%Y-%m-%d %H:%M} UTC")
    _tell_notes(notes)


@repo.command()
@_folder
def status(folder: Path) -> None:
    """Show roles, keys and what is on offer; exit code 1 where devices refuse the repository.

    \b
    litelens repo status site
    """
    with extra("fleet", "litelens repo"):
        from fleet.repository.errors import ExpiredError
        from fleet.repository.publishing import releases
        from fleet.repository.repository import open_repository
        from fleet.repository.roles import role_statuses

    repository, now = open_repository(folder, None), _now()
    roles = role_statuses(repository)
    click.echo("role       version  in force until          signs  keys")
    for role in roles:
        left = "expired" if role.expires <= now else f"{(role.expires - now).days} days"
        until = f"{role.expires:%Y-%m-%d} ({left})"
        click.echo(
            f"{role.role:<10} {role.version:>7}  {until:<22}  {role.threshold} of {len(role.keys)}  {', '.join(role.keys)}"
        )
    offers = sorted(
        (channel, release.name, -stage.number, stage, release)
        for release in releases(repository.targets)
        for channel, stage in release.stages.items()
    )
    click.echo("\nchannel  rollout  bytes       model" if offers else "\nnothing is on offer yet")
    for channel, _, _, stage, release in offers:
        click.echo(
            f"{channel:<8} {stage.buckets * 100 / BUCKETS:>6g}%  {release.size_bytes:<10}  {release.name} {release.version}"
        )
    _tell_notes(repository.waiting())
    if expired := [role.role for role in roles if role.expires <= now]:
        raise ExpiredError(
            f"devices refuse {folder}: {' and '.join(expired)} expired",
            f"litelens repo sign {folder}, with the keys of it",
        )


def _now() -> datetime:
    return datetime.now(UTC)


def _keyring(folder: Path, keys: tuple[Path, ...], passphrase_file: Path | None) -> "Keyring":
    from fleet.repository.keys import Keyring

    config = Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config")
    return Keyring(
        keys or (config / "litelens" / "keys" / folder.resolve().name,), _passphrases(passphrase_file)
    )


def _passphrases(file: Path | None) -> Callable[[Path, bool], str]:
    """What tells a key's passphrase: a file, the environment, or a person at the terminal."""
    given = _read_passphrase(file) if file else os.environ.get(PASSPHRASE_VARIABLE)
    typed: dict[str, str] = {}

    def ask(path: Path, new: bool) -> str:
        if given is not None:
            return _long_enough(given) if new else given
        if not new:
            return click.prompt(f"Passphrase of {path}", hide_input=True, err=True)
        # A root key is taken away by its holder; the other three stay together.
        group = path.name if path.name.startswith("root-") else "the keys of targets, snapshot and timestamp"
        if group not in typed:
            typed[group] = _new_passphrase(group)
        return typed[group]

    return ask


def _new_passphrase(group: str) -> str:
    return click.prompt(
        f"New passphrase for {group}, at least {LEAST_CHARACTERS} characters",
        hide_input=True,
        confirmation_prompt=True,
        err=True,
        value_proc=_long_enough,
    )


def _long_enough(passphrase: str) -> str:
    if len(passphrase) < LEAST_CHARACTERS:
        raise click.UsageError(
            f"the passphrase has {len(passphrase)} characters, expected at least {LEAST_CHARACTERS}"
        )
    return passphrase


def _read_passphrase(file: Path) -> str:
    from fleet.repository.errors import KeyFileError

    try:
        if stat.S_IMODE(file.stat().st_mode) & 0o077:
            raise KeyFileError(f"others can read the passphrase in {file}", f"chmod 600 {file}")
        return file.read_text().rstrip("\n")
    except (OSError, UnicodeDecodeError) as problem:
        raise KeyFileError(
            f"cannot read {file}: {problem}", "name a text file: --passphrase-file FILE"
        ) from problem


def _agree(repository: "Repository") -> None:
    """Has a person look at the root that somebody has left in the folder, before anything of it is signed."""
    from fleet.repository.roles import differences

    if repository.proposed is None:
        return
    click.echo(f"root {repository.proposed.signed.version} is proposed:", err=True)
    for line in differences(repository.root.signed, repository.proposed.signed):
        click.echo(f"  {line}", err=True)
    click.confirm("Is this what was agreed on?", abort=True, err=True)
    repository.adopt()


def _tell_of_keys(keyring: "Keyring", folder: Path) -> None:
    keys = keyring.folders[0]
    click.echo(f"made {folder} and, in {keys}, its keys: back them up")
    click.echo(
        f"move {keys}/root-*.pem off this machine, with a copy of {keys}/root.json: they are needed only to change keys"
    )
    click.echo(
        f"bring {folder}/metadata/1.root.json to each device by a safe way: litelens update --root FILE trusts it"
    )


def _sentence(done: "Published", buckets: int) -> str:
    release = done.release
    named = f"{release.name} {release.version}"
    before = f"{done.before.version}" if done.before else ""
    if not buckets:
        return f"{done.channel}: {named} is taken back; devices go to {before}"
    others = f"; the others stay with {before or 'what they have'}" if buckets < BUCKETS else ""
    what = "is uploaded and" if done.uploaded else "was there and"
    return f"{done.channel}: {named} {what} offered to {buckets * 100 / BUCKETS:g}% of the devices{others}"


def _tell_notes(notes) -> None:
    for note in notes:
        click.echo(f"note: {note}", err=True)
