"""Which devices a command is for: `--to user@host,...`, or a fleet file."""

import tomllib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from edge_runtime.config_tables import settings_of
from edge_runtime.errors import ConfigError
from fleet.address import Address

STORE = "/srv/litelens/store"
"""Where `litelens provision` makes the store."""
STATE = "/var/lib/litelens"
"""Where the service litelens keeps what it saves."""
EXAMPLE = '[devices]\ngarden = "pi@garden.local"'


@dataclass(frozen=True)
class Target:
    """A device, as a person names it and as it is reached."""

    name: str
    """Of the fleet file's entry, or the address."""
    address: str
    """user@host[:port], or a Host of ~/.ssh/config."""
    store: str = STORE
    """Its store of models: an absolute path there."""
    state: str = STATE
    """What its running loop keeps, history.sqlite and saved frames among it: an absolute path there."""


@dataclass(frozen=True)
class _Defaults:
    store: str = STORE
    state: str = STATE


@dataclass(frozen=True)
class _Entry:
    address: str
    store: str | None = None
    state: str | None = None


def read_fleet(path: Path) -> tuple[Target, ...]:
    """The devices of a fleet file, in its order.

    It is TOML: a table ``[devices]`` with a line a device, its address, or a table with `address`, `store` and `state`;
    `store` and `state` before it are for all devices that have none of their own.

    Raises:
        ConfigError: If the file cannot be read, names no device, one twice, or holds what is no setting.
        AddressError: If an address is none.
    """
    try:
        tables = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as problem:
        raise ConfigError(
            f"cannot read the fleet file {path}: {problem}", f"it looks so:\n{EXAMPLE}"
        ) from problem
    devices = tables.pop("devices", {})
    if not isinstance(devices, dict) or not devices:
        raise ConfigError(f"{path} names no devices", f"it looks so:\n{EXAMPLE}")
    defaults = settings_of(_Defaults, tables)
    targets = tuple(_target(name, value, defaults) for name, value in devices.items())
    _check_distinct(targets, path)
    return targets


def targets_of(devices: str | None, fleet: Path | None) -> tuple[Target, ...]:
    """The devices that a command line names.

    Args:
        devices: Addresses with commas between them; with a fleet file, names of its devices. None: all of the file.
        fleet: The fleet file, or None.

    Raises:
        UsageError: If neither is given, or no device is named.
        ConfigError: If the fleet file cannot be used, or lacks a name.
        AddressError: If an address is none.
    """
    named = list(dict.fromkeys(word.strip() for word in (devices or "").split(",") if word.strip()))
    if not named and (devices is not None or fleet is None):
        raise click.UsageError("no device is named, expected user@host[,user@host ...] or --fleet FLEET.toml")
    if fleet is None:
        return tuple(_target(name, name, _Defaults()) for name in named)
    known = {target.name: target for target in read_fleet(fleet)}
    if missing := [name for name in named if name not in known]:
        raise ConfigError(f"{fleet} has no device {missing[0]!r}", f"it has {', '.join(known)}")
    return tuple(known[name] for name in named or known)


_fleet = click.option(
    "--fleet",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FLEET.toml",
    help="A file that names the devices; all of them, unless some of its names are given.",
)


def targets_options(command: Callable) -> Callable:
    """Gives a command `--to` and `--fleet`, as `to` and `fleet`."""
    words = "user@host[:port][,user@host ...]; with --fleet, names of its devices."
    return click.option("--to", metavar="DEVICES", help=words)(_fleet(command))


def targets_argument(command: Callable) -> Callable:
    """Gives a command the argument DEVICES and `--fleet`, as `devices` and `fleet`."""
    return click.argument("devices", metavar="[DEVICES]", required=False)(_fleet(command))


def _target(name: str, value: Any, defaults: _Defaults) -> Target:
    if not isinstance(value, str | dict):
        raise ConfigError(
            f"devices.{name} is a {type(value).__name__}, expected an address or a table", EXAMPLE
        )
    entry = settings_of(_Entry, {"address": value} if isinstance(value, str) else value, f"devices.{name}.")
    Address.parse(entry.address)
    target = Target(name, entry.address, entry.store or defaults.store, entry.state or defaults.state)
    for setting in ("store", "state"):
        if not getattr(target, setting).startswith("/"):
            raise ConfigError(
                f"{setting} of {name} is {getattr(target, setting)!r}, expected an absolute path there",
                f"for example {getattr(_Defaults, setting)}",
            )
    return target


def _check_distinct(targets: tuple[Target, ...], path: Path) -> None:
    seen: dict[tuple[str, str], str] = {}
    for target in targets:
        before = seen.setdefault((target.address, target.store), target.name)
        if before != target.name:
            raise ConfigError(
                f"{path}: {before} and {target.name} are both {target.address}", "remove one of them"
            )
