"""The contract between publisher and device: which model files a repository offers, and to which devices.

The signed targets metadata names each model file ``NAME/VERSION.tflite`` and says in its ``custom`` field on which
channels it is offered, in which order and to how many devices. `fleet.repository` writes it through these dataclasses.
"""

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass

from edge_runtime.errors import LitelensError
from edge_runtime.store.incoming import LARGEST_BYTES
from edge_runtime.store.names import file_name, is_safe, version_of

CHANNELS = STABLE, BETA = "stable", "beta"
BUCKETS = 10_000
"""A rollout has steps of 0.01%: one device in ten thousand."""
SIGNED_AT = "x-litelens-signed-at"
"""Field of the timestamp's signed part: when it was signed, as `TIME_FORMAT` writes it."""
TIME_FORMAT = "%Y-%m-%dT%H:%M:%SZ"


class OfferError(LitelensError):
    """A model file cannot be offered under that name, or an offer is none that this litelens understands."""


@dataclass(frozen=True)
class Stage:
    """How far a model file has come on one channel."""

    number: int
    """From 1 on; the higher of two on the same channel is the newer."""
    buckets: int
    """1 to `BUCKETS`: devices whose bucket is below take it, the others the one before."""


@dataclass(frozen=True)
class Release:
    """A model file that a repository offers."""

    name: str
    version: str
    sha256: str
    """Of the whole file, in hexadecimal digits."""
    size_bytes: int
    stages: dict[str, Stage]
    """By channel."""

    @property
    def path(self) -> str:
        """Its name in the targets metadata."""
        return target_path(self.name, self.version)


def target_path(name: str, version: str) -> str:
    """``NAME/VERSION.tflite``.

    Raises:
        OfferError: If a device's store would take no such name or version.
    """
    for what, part in (("name", name), ("version", version)):
        if not is_safe(part):
            raise OfferError(
                f"the model's {what} is {part!r:.120}, which no device's store takes: expected 1 to 100 ASCII letters, "
                "digits and ._+-, beginning with a letter or digit",
                "export it under another name: litelens export runs/NAME --out NAME.tflite",
            )
    return f"{name}/{file_name(version)}"


def custom(stages: dict[str, Stage]) -> dict:
    """What `read_release` reads: the ``custom`` field of a target."""
    return {"channels": {channel: vars(stage) for channel, stage in stages.items()}}


def read_release(path: str, sha256: object, size_bytes: int, custom: object) -> Release:
    """Reads one entry of targets metadata, which may have been signed by a stolen key.

    Raises:
        OfferError: If its path is not ``NAME/VERSION.tflite``, its hash no sha256, its size that of no model file, or its
            stages are none.
    """
    name, _, file = path.partition("/")
    # A path may hold a slash that is none of ours: version_of() looks at a path's last part alone.
    version = version_of(file) if "/" not in file else None
    if version is None or not is_safe(name):
        raise OfferError(f"the repository offers the file {path!r:.120}, expected NAME/VERSION.tflite", _ASK)
    if not (isinstance(sha256, str) and re.fullmatch("[0-9a-f]{64}", sha256)):
        raise OfferError(f"{path}: its sha256 is {sha256!r:.120}, expected 64 hexadecimal digits", _ASK)
    if not 0 < size_bytes <= LARGEST_BYTES:
        raise OfferError(f"{path} has {size_bytes} bytes, expected 1 to {LARGEST_BYTES}", _ASK)
    plain = (
        isinstance(custom, dict) and custom.keys() == {"channels"} and isinstance(custom["channels"], dict)
    )
    if not plain:
        raise OfferError(f"{path} says {custom!r:.200} of itself, expected its channels and no more", _ASK)
    stages = {channel: _stage(path, fields) for channel, fields in custom["channels"].items()}
    return Release(name, version, sha256, size_bytes, stages)


def offered(releases: Iterable[Release], name: str, channel: str, device_id: str) -> Release | None:
    """The newest release of a model that its rollout gives to this device; None where there is none."""
    candidates = [release for release in releases if release.name == name and channel in release.stages]
    for release in sorted(candidates, key=lambda release: release.stages[channel].number, reverse=True):
        if bucket(release.path, device_id) < release.stages[channel].buckets:
            return release
    return None


def bucket(path: str, device_id: str) -> int:
    """0 to `BUCKETS` - 1: where a device stands in the rollout of one version.

    The path is the salt: each version is tried by other devices first, and a device that has a version keeps it while
    the rollout grows.
    """
    digest = hashlib.sha256(f"{path}\0{device_id}".encode()).digest()
    return int.from_bytes(digest[:8], "big") % BUCKETS


def _stage(path: str, fields: object) -> Stage:
    plain = isinstance(fields, dict) and fields.keys() == {"number", "buckets"}
    if not plain or not all(type(value) is int for value in fields.values()):
        raise OfferError(f"{path}: a channel is {fields!r:.200}, expected a number and buckets", _ASK)
    if fields["number"] < 1 or not 1 <= fields["buckets"] <= BUCKETS:
        raise OfferError(f"{path}: a channel is {fields!r:.200}, expected buckets of 1 to {BUCKETS}", _ASK)
    return Stage(**fields)


_ASK = "update litelens on this device; if it is new, ask who publishes: litelens repo status shows what is offered"
