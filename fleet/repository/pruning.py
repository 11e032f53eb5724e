"""Removes what nothing refers to any more, once no reader can be on its way to it."""

import re
from datetime import datetime, timedelta
from pathlib import Path

from tuf.api.metadata import Metadata, Snapshot, Targets

from edge_runtime.updating.fetching import METADATA, TARGETS
from fleet.repository.repository import Repository

KEEP = timedelta(days=2)
"""A superseded file stays so long: a reader may hold, or a cache may serve, a timestamp that leads to it."""
_VERSIONED = re.compile(r"(\d+)\.(snapshot|targets)\.json")
_TARGET = re.compile(r"([0-9a-f]{64})\..+\.tflite")
_UNFINISHED = re.compile(r"\..+\.(json|tflite)\.\w{8}")
"""What a killed `write_whole` leaves."""


def prune(repository: Repository, now: datetime) -> None:
    """Removes old metadata and model files from a repository that was just written, under its lock.

    Only files whose names say that litelens wrote them are touched; roots stay for ever.
    """
    metadata, targets = repository.folder / METADATA, repository.folder / TARGETS
    newest = repository.signed("snapshot").version
    snapshots, offers = _versions(metadata, "snapshot"), _versions(metadata, "targets")
    # Numbers above the newest are what a killed write has left: no timestamp has led to them.
    kept = {v for v in snapshots if v == newest or v < newest and _is_recent(metadata, v, now)}
    wanted_offers = {_targets_version(metadata, version) for version in kept}
    wanted_files = {sha256 for version in wanted_offers & offers for sha256 in _hashes(metadata, version)}
    for version in snapshots - kept:
        (metadata / f"{version}.snapshot.json").unlink()
    for version in offers - wanted_offers:
        (metadata / f"{version}.targets.json").unlink()
    for path in targets.glob("*/*"):
        found = _TARGET.fullmatch(path.name)
        if found and found[1] not in wanted_files:
            path.unlink()
    for path in (*metadata.iterdir(), *targets.glob("*/*")):
        if _UNFINISHED.fullmatch(path.name):
            path.unlink()


def _versions(metadata: Path, role: str) -> set[int]:
    found = (_VERSIONED.fullmatch(path.name) for path in metadata.iterdir())
    return {int(match[1]) for match in found if match and match[2] == role}


def _is_recent(metadata: Path, version: int, now: datetime) -> bool:
    """Whether it was the newest until a short time ago."""
    following = metadata / f"{version + 1}.snapshot.json"
    return following.is_file() and following.stat().st_mtime > (now - KEEP).timestamp()


def _targets_version(metadata: Path, version: int) -> int:
    snapshot: Snapshot = Metadata.from_file(str(metadata / f"{version}.snapshot.json")).signed
    return snapshot.meta["targets.json"].version


def _hashes(metadata: Path, version: int) -> set[str]:
    targets: Targets = Metadata.from_file(str(metadata / f"{version}.targets.json")).signed
    return {target.hashes["sha256"] for target in targets.targets.values()}
