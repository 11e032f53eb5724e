"""One look at a repository, in a process of its own: what it offers this device, verified, and the file if it is new.

A process of its own, because it then takes neither memory nor the interpreter's lock from the loop, can be ended
whatever it waits for, and a fault in reading what strangers send ends nothing else. The TUF client workflow is
python-tuf's; what is ours is what it leaves open: bounds, a clock that may be wrong, and a disk that may lose power.
"""

import json
import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from edge_runtime.errors import LitelensError, WriteError
from edge_runtime.extras import extra
from edge_runtime.store.durable import replace_file
from edge_runtime.updating.download import Downloads, plain, repository_address, time_limit
from edge_runtime.updating.errors import NotReached, RepositoryRefused, UpdateError
from edge_runtime.updating.offers import SIGNED_AT, TIME_FORMAT, Release, offered, read_release
from edge_runtime.updating.state import make_like_parent

METADATA, TARGETS = "metadata", "targets"
"""Folders below a repository's address."""
DOWNLOADED = "downloaded.tflite"
ROLES = ("root", "timestamp", "snapshot", "targets")
"""In the order in which each is vouched for by the ones before."""
_ROOT_HISTORY = "root_history"
_MINUTE = "%Y-%m-%d %H:%M UTC"
_SKEW = timedelta(minutes=10)
"""So far two clocks that are set may be apart."""


@dataclass(frozen=True)
class Limits:
    """What a server may take of this device's time."""

    idle_s: float = 20.0
    """For how long it may be silent."""
    metadata_s: float = 300.0
    """For all metadata together: a few thousand bytes, more only after many rotated roots."""
    least_bytes_per_s: float = 1000.0
    """A model file gets `metadata_s`, and a second for each so many bytes."""
    longest_s: float = 4 * 3600.0
    """For everything."""


@dataclass(frozen=True)
class Request:
    """What to look for."""

    address: str
    root: str
    """Path of the root metadata that this device was given to trust."""
    folder: str
    """Where verified metadata are kept between looks, in a folder below, and where the model file is put."""
    name: str | None
    """Which model; None: the only one that the repository has."""
    channel: str
    device_id: str
    known_time_s: float
    """Seconds since 1970: it is not earlier than this, whatever the clock says."""
    passed_over: tuple[str, ...]
    """sha256 of files that are not to be downloaded."""
    limits: Limits = field(default_factory=Limits)


@dataclass(frozen=True)
class Fetched:
    """What was found; every word of it is signed."""

    name: str
    version: str
    """ "" where the channel has nothing for this device."""
    sha256: str
    path: str
    """Of the verified model file; "" where it is one of those passed over."""
    time_s: float
    """It is not earlier than this, in seconds since 1970."""
    note: str
    """What a person should know although all went well; or ""."""


def fetch(request: Request) -> Fetched:
    """Looks at a repository once, in the main thread of a process.

    Metadata that python-tuf has verified are kept even if a later step fails, as its specification demands: a version
    that was seen once is never taken for the newest again. Nothing else is changed.

    Raises:
        NotReached: If the server does not answer, in time and to the end.
        RepositoryRefused: If what it serves is not signed as it must be, old, altered, expired or out of bounds.
        UpdateError: If the address, the trusted root or the model's name is none.
        OfferError: If the repository offers what this litelens does not understand.
        WriteError: If the folder takes no file.
        MissingExtraError: If python-tuf is not installed.
    """
    address, limits = repository_address(request.address), request.limits
    folder = Path(request.folder)
    with extra("update", "litelens update"):
        from tuf.ngclient import Updater, UpdaterConfig
    with Downloads(address, folder, limits.idle_s) as downloads, _metadata_folder(folder) as metadata:
        with _refusals(downloads, request):
            updater = Updater(
                str(metadata),
                address.geturl() + METADATA,
                target_base_url=address.geturl() + TARGETS,
                fetcher=downloads,
                config=UpdaterConfig(root_max_length=64 * 1024),
                bootstrap=_trusted_root(Path(request.root)),
            )
            with time_limit(limits.metadata_s, f"all metadata of {address.geturl()}"):
                updater.refresh()
        note = _check_time(metadata, request, downloads)
        name, release = _choose(_releases(metadata), request)
        path = ""
        if release and release.sha256 not in request.passed_over:
            seconds = limits.metadata_s + release.size_bytes / limits.least_bytes_per_s
            with _refusals(downloads, request), time_limit(seconds, release.path):
                path = updater.download_target(updater.get_targetinfo(release.path), str(folder / DOWNLOADED))
    return Fetched(
        name,
        release.version if release else "",
        release.sha256 if release else "",
        path,
        max(request.known_time_s, _now().timestamp()),
        note,
    )


@contextmanager
def _metadata_folder(folder: Path) -> Iterator[Path]:
    """A copy of the verified metadata for python-tuf to work in; what it has added or replaced is kept.

    Its own writes are atomic, but not flushed to the disk: after a power cut an empty timestamp would be taken for
    none, and the protection against old ones be gone.
    """
    kept, work = folder / METADATA, folder / ".metadata.new"
    try:
        make_like_parent(kept)
        make_like_parent(kept / _ROOT_HISTORY)
        shutil.rmtree(work, ignore_errors=True)
        for part in (Path(), Path(_ROOT_HISTORY)):  # not copytree: it copies modes, see make_like_parent
            (work / part).mkdir()
            for path in filter(Path.is_file, (kept / part).iterdir()):
                shutil.copyfile(path, work / part / path.name)
        try:
            yield work
        finally:
            # Roots first: they vouch for the rest.
            for path in (
                *sorted((work / _ROOT_HISTORY).iterdir()),
                *(work / f"{role}.json" for role in ROLES[1:]),
            ):
                own = kept / path.relative_to(work)
                if path.is_file() and (not own.is_file() or own.read_bytes() != path.read_bytes()):
                    replace_file(own, path.read_bytes(), 0o644)
            shutil.rmtree(work)
    except OSError as problem:
        raise WriteError(
            f"cannot write to {folder}: {problem}", "check its permissions and the disk's free space"
        ) from problem


def _trusted_root(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as problem:
        raise UpdateError(f"cannot read the trusted root {path}: {problem.strerror}", COPY_ROOT) from problem


COPY_ROOT = (
    "copy metadata/1.root.json of the repository to this device, by a way that you trust, and name it: --root"
)


@contextmanager
def _refusals(downloads: Downloads, request: Request) -> Iterator[None]:
    """Turns python-tuf's errors into ours."""
    from tuf.api.exceptions import DownloadHTTPError, ExpiredMetadataError, RepositoryError

    try:
        yield
    except ExpiredMetadataError as problem:
        raise RepositoryRefused(f"{request.address}: {problem}; {_clocks(downloads)}", _EXPIRED) from problem
    except RepositoryError as problem:
        if not downloads.asked:
            raise UpdateError(
                f"{request.root} is no root that can be trusted: {_told(problem)}", COPY_ROOT
            ) from problem
        raise RepositoryRefused(f"{downloads.asked} is refused: {_told(problem)}", _NOT_GENUINE) from problem
    except DownloadHTTPError as problem:
        raise NotReached(str(problem), _NO_REPOSITORY) from problem
    except OSError as problem:
        raise WriteError(
            f"cannot keep {downloads.asked}: {problem}", "check the store's disk and its free space"
        ) from problem


_EXPIRED = (
    "if this clock is wrong, set it: timedatectl set-ntp true; if it is right, the repository is not signed any more, or "
    "somebody holds newer signatures back: who publishes runs litelens repo sign"
)
_NOT_GENUINE = (
    "nothing has changed here; the repository is half uploaded, served old by a cache, or altered: who publishes looks with "
    "litelens repo status"
)
_NO_REPOSITORY = (
    "name the folder that litelens publish wrote, as the web server serves it: https://HOST/FOLDER"
)


def _told(problem: Exception) -> str:
    """An error and its cause, which says more where the error says "failed to deserialize"."""
    return f"{plain(problem)}: {plain(problem.__cause__)}" if problem.__cause__ else plain(problem)


def _clocks(downloads: Downloads) -> str:
    server = f", the server's {downloads.server_time.strftime(_MINUTE)}" if downloads.server_time else ""
    return f"this device's clock says {_now().strftime(_MINUTE)}{server}"


def _check_time(metadata: Path, request: Request, downloads: Downloads) -> str:
    """Judges all expiry dates once more, by what the time is at least; says so where the clock is behind that.

    A Raspberry Pi has no clock battery and may boot in the past, where nothing has expired yet and old metadata could be
    replayed for ever. It is not earlier than the latest time at which this device found metadata in force, and not
    earlier than when the newest timestamp was signed. The latter counts for that timestamp alone: one that was
    signed with a wrong clock does no harm to the next.

    Raises:
        RepositoryRefused: If anything has expired by then.
    """
    from tuf.api.metadata import Metadata

    files = {role: Metadata.from_file(str(metadata / f"{role}.json")).signed for role in ROLES}
    now = _now()
    known = datetime.fromtimestamp(request.known_time_s, UTC)
    at_least = max(now, known, _signed_at(files["timestamp"].unrecognized_fields.get(SIGNED_AT)))
    for role, signed in files.items():
        if signed.is_expired(at_least):
            raise RepositoryRefused(
                f"{request.address}: {role} expired on {signed.expires.strftime(_MINUTE)}, and it is "
                f"{at_least.strftime(_MINUTE)} or later, although {_clocks(downloads)}",
                _EXPIRED,
            )
    if at_least <= now + _SKEW:
        return ""
    return f"{_clocks(downloads)}, but it is {at_least.strftime(_MINUTE)} or later: set it (timedatectl set-ntp true)"


def _signed_at(text: object) -> datetime:
    try:
        return datetime.strptime(text, TIME_FORMAT).replace(tzinfo=UTC)
    except (TypeError, ValueError):  # a repository that another program maintains
        return datetime.fromtimestamp(0, UTC)


def _releases(metadata: Path) -> list[Release]:
    """All that the verified targets metadata offer."""
    from tuf.api.metadata import Metadata

    signed = Metadata.from_file(str(metadata / "targets.json")).signed
    return [
        read_release(path, target.hashes.get("sha256"), target.length, target.custom)
        for path, target in signed.targets.items()
    ]


def _choose(releases: list[Release], request: Request) -> tuple[str, Release | None]:
    """Which model is meant, and its release for this device."""
    names = sorted({release.name for release in releases})
    name = request.name or (names[0] if len(names) == 1 else None)
    if name is None:
        has = f"has {len(names)} models: {', '.join(names[:20])}" if names else "has no model yet"
        raise UpdateError(f"{request.address} {has}", "name the one that this device runs: --model NAME")
    return name, offered(releases, name, request.channel, request.device_id)


def _now() -> datetime:
    return datetime.now(UTC)


def _main() -> None:
    os.nice(10)  # before the imports that cost most: the loop goes first
    fields = json.load(sys.stdin)
    try:
        told = asdict(fetch(Request(**fields | {"limits": Limits(**fields["limits"])})))
    except LitelensError as problem:
        told = {"error": type(problem).__name__, "message": str(problem), "hint": problem.hint}
    print(json.dumps(told), flush=True)


if __name__ == "__main__":
    _main()
