"""Puts a model file on offer: on which channel, and to how many devices."""

import hashlib
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from tuf.api.metadata import TargetFile, Targets

from edge_runtime.model_file import read_model_file
from edge_runtime.store.incoming import LARGEST_BYTES
from edge_runtime.updating.fetching import TARGETS
from edge_runtime.updating.offers import BUCKETS, Release, Stage, custom, read_release, target_path
from edge_runtime.whole_file import write_whole
from fleet.repository.errors import RepositoryError
from fleet.repository.keys import Keyring
from fleet.repository.pruning import prune
from fleet.repository.repository import create, is_repository, locked, open_repository


@dataclass(frozen=True)
class Published:
    """What `publish` did."""

    release: Release
    channel: str
    before: Release | None
    """What devices outside of the rollout take; None: nothing."""
    created: bool
    """Whether keys and repository were made for it."""
    uploaded: bool
    """Whether the model file is new in the repository."""
    notes: tuple[str, ...]
    """What a person should know, a line each."""


def publish(
    model: Path, folder: Path, keyring: Keyring, now: datetime, *, channel: str, buckets: int
) -> Published:
    """Offers a model file, or changes how many devices take one that is on offer.

    Args:
        model: What `litelens export` wrote.
        folder: DIR; with keys and all made where there is no repository yet.
        keyring: The keys of targets, snapshot and timestamp; those of root only to make a repository.
        now: The time, with UTC as its zone.
        channel: One of `offers.CHANNELS`.
        buckets: Of `BUCKETS` devices, so many take it; 0 takes it back.

    Raises:
        ModelFileError: If it is no model file.
        OfferError: If no device could take a model of that name or version.
        RepositoryError: If the repository is damaged, being changed, or has other bytes under this version.
        KeyFileError: If a key is missing or cannot be opened.
        WriteError: If the folder takes no file. Devices see the repository as it was before, or as it is to be.
    """
    manifest = read_model_file(model).manifest
    path, content = target_path(manifest.name, manifest.version), model.read_bytes()
    if len(content) > LARGEST_BYTES:
        raise RepositoryError(
            f"{model} has {len(content)} bytes, and no device takes more than {LARGEST_BYTES}", _AGAIN
        )
    with locked(folder):
        created = not is_repository(folder)
        repository = (
            create(folder, keyring, now) if created else open_repository(folder, keyring.trusted_root)
        )
        keyring.check_apart(folder)
        targets = repository.targets
        _offer(targets, path, content, channel, buckets)
        uploaded = _upload(folder, path, content) if path in targets.targets else False
        notes = repository.write(keyring, now, offer_changed=True)
        prune(repository, now)
    after = releases(targets)
    release = next((r for r in after if r.path == path), None)
    return Published(
        release or Release(manifest.name, manifest.version, "", len(content), {}),
        channel,
        _before(after, manifest.name, channel, path),
        created,
        uploaded,
        tuple(notes),
    )


def releases(targets: Targets) -> list[Release]:
    """What targets metadata offer, as devices read it.

    Raises:
        OfferError: If it is not what litelens wrote.
    """
    return [
        read_release(path, target.hashes.get("sha256"), target.length, target.custom)
        for path, target in targets.targets.items()
    ]


def _offer(targets: Targets, path: str, content: bytes, channel: str, buckets: int) -> None:
    """Changes what targets offer; what no device takes any more is dropped."""
    offered = {release.path: release for release in releases(targets)}
    there = offered.get(path)
    name = path.partition("/")[0]
    if there and there.sha256 != hashlib.sha256(content).hexdigest():
        raise RepositoryError(f"{path} is on offer with other bytes", _AGAIN)
    line = _line(offered.values(), name, channel)
    stages = dict(there.stages) if there else {}
    if not buckets:
        if not line or line[0].path != path:
            raise RepositoryError(
                f"{path} is not the newest on {channel}, so it cannot be taken back",
                "litelens repo status shows what is on offer",
            )
        if len(line) == 1:
            raise RepositoryError(
                f"{path} is all that {channel} has, so there is nothing to go back to",
                "publish the version that devices shall go back to",
            )
        del stages[channel]
    elif line and line[0].path == path:
        stages[channel] = Stage(stages[channel].number, buckets)
    else:  # new on this channel, or an older one that is to be the newest again
        stages[channel] = Stage(line[0].stages[channel].number + 1 if line else 1, buckets)
    _set(targets, path, content, stages)
    _drop_unreachable(targets, name, channel)


def _set(targets: Targets, path: str, content: bytes, stages: dict[str, Stage]) -> None:
    if not stages:
        targets.targets.pop(path, None)
        return
    target = TargetFile.from_data(path, content, ["sha256"])
    target.unrecognized_fields["custom"] = custom(stages)
    targets.targets[path] = target


def _drop_unreachable(targets: Targets, name: str, channel: str) -> None:
    """Takes versions from a channel that come after one that every device takes."""
    everybody = False
    for release in _line(releases(targets), name, channel):
        if everybody:
            stages = {key: stage for key, stage in release.stages.items() if key != channel}
            if stages:
                targets.targets[release.path].unrecognized_fields["custom"] = custom(stages)
            else:
                del targets.targets[release.path]
        everybody = everybody or release.stages[channel].buckets == BUCKETS


def _line(offered, name: str, channel: str) -> list[Release]:
    """A model's releases on a channel, the newest first."""
    on_channel = [release for release in offered if release.name == name and channel in release.stages]
    return sorted(on_channel, key=lambda release: release.stages[channel].number, reverse=True)


def _before(offered: list[Release], name: str, channel: str, path: str) -> Release | None:
    return next((release for release in _line(offered, name, channel) if release.path != path), None)


def _upload(folder: Path, path: str, content: bytes) -> bool:
    """Puts the file where devices ask for it, its hash before its name; False where it is already."""
    name, _, file = path.partition("/")
    to = folder / TARGETS / name / f"{hashlib.sha256(content).hexdigest()}.{file}"
    if to.is_file() and to.read_bytes() == content:
        return False
    to.parent.mkdir(parents=True, exist_ok=True)
    write_whole(to, content)
    return True


_AGAIN = "one version is one file: export again, which makes a new version"
