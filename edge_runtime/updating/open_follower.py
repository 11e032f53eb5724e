"""From the settings to a follower of the model that runs: checked at the start, where a person reads the error."""

import json
import os
import shlex
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

from edge_runtime.errors import MissingExtraError
from edge_runtime.store.folder import folder_of
from edge_runtime.store.names import CURRENT
from edge_runtime.updating.errors import UpdateError
from edge_runtime.updating.fetching import COPY_ROOT
from edge_runtime.updating.follower import FIRST_S, Follower
from edge_runtime.updating.into_store import STATE_FOLDER, IntoStore
from edge_runtime.updating.settings import FollowSettings
from edge_runtime.updating.update import Source, update

HEALTHY_S = 60.0
"""The loop must be healthy with a new version for so long, else the version before comes back."""
_LARGEST_ROOT_BYTES = 64 * 1024
"""As python-tuf is told to take."""


def open_follower(model: Path, settings: FollowSettings, report: Callable[[str], None]) -> Follower:
    """Makes what keeps STORE/NAME/current at the version that a repository offers.

    Args:
        model: The model file that runs, as it was named.
        settings: What to follow.
        report: Told in a line what a person should know.

    Raises:
        UpdateError: If the model is not the `current` of a store that this user may change, or the root metadata cannot
            be read.
        MissingExtraError: If python-tuf is not installed.
    """
    folder = _model_folder(model)
    _check_writable(folder)
    _check_root(Path(settings.root))
    if not find_spec("tuf"):  # not imported: the process that looks loads it, and ends
        raise MissingExtraError(
            "following needs tuf, which is not installed", "pip install 'litelens[update]'"
        )
    source = Source(settings.address, Path(settings.root), settings.channel, folder.name)
    installer = IntoStore(folder.parent, max_latency_ms=settings.max_latency_ms, healthy_s=HEALTHY_S)
    return Follower(
        lambda stop: update(source, folder.parent / STATE_FOLDER, installer, stop=stop),
        report,
        address=settings.address,
        channel=settings.channel,
        every_s=settings.every_s,
        first_s=min(FIRST_S, settings.every_s),
    )


def _model_folder(model: Path) -> Path:
    """STORE/NAME of STORE/NAME/current."""
    if folder := folder_of(model):
        return folder
    raise UpdateError(
        f"{model} is no model in a store, so there is no place for a new version, expected STORE/NAME/{CURRENT}",
        f"litelens store install /srv/litelens/store NAME {shlex.quote(str(model))}, then run "
        f"/srv/litelens/store/NAME/{CURRENT}",
    )


def _check_writable(folder: Path) -> None:
    for needed in (folder.parent, folder, folder.parent / STATE_FOLDER):
        if needed.exists() and not os.access(needed, os.W_OK | os.X_OK, effective_ids=True):
            raise UpdateError(
                f"{needed} cannot be written by user {os.geteuid()}, and a new version goes there",
                "a service: install it again, with --user of the store's group; else: sudo install -d -m 2775 -g GROUP "
                f"{shlex.quote(str(needed))}",
            )


def _check_root(path: Path) -> None:
    """Finds what was mistyped; whether it can be trusted, python-tuf decides at each look."""
    try:
        with open(path, "rb") as file:
            kind = json.loads(file.read(_LARGEST_ROOT_BYTES + 1))["signed"]["_type"]
    except OSError as problem:
        raise UpdateError(f"cannot read the trusted root {path}: {problem.strerror}", COPY_ROOT) from problem
    except (ValueError, KeyError, TypeError, RecursionError) as problem:
        raise UpdateError(f"{path} is no root metadata", COPY_ROOT) from problem
    if kind != "root":
        raise UpdateError(f"{path} is the metadata of {kind!r:.40}, expected root", COPY_ROOT)
