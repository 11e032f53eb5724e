"""Which pictures lie on a device: asked of it without a file being read there."""

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Literal

from edge_runtime.sinks.hard_examples import CHANGED, UNCERTAIN
from edge_runtime.web.answers import Refusal
from edge_runtime.web.saving import checked_name
from fleet.connection import Connection
from fleet.errors import RemotePermissionDenied
from fleet.pulling.errors import ImplausibleAnswer, StateMissing

SAVED, HARD_EXAMPLE = "saved", "hard example"
HARD_EXAMPLES_FOLDER, SAVED_FOLDER = "hard-examples", "saved"
"""Below the state folder: as `litelens provision` sets them."""
MOST_PICTURE_BYTES = 32_000_000
"""A JPEG of 64 million pixels, the most that is read here, takes about 30 MB at quality 95."""
MOST_DESCRIPTION_BYTES = 1_000_000
"""Of a hard example's JSON; one of 1,000 labels takes 60 KB."""
NOT_A_NAME = "not named as litelens names pictures"
TOO_LARGE = f"above {MOST_PICTURE_BYTES // 10**6} MB"
NO_DESCRIPTION = "without a usable description"
_MOST_LIST_BYTES = 50_000_000
"""Some 500,000 files: the cap of 500 MB holds 10,000 hard examples of 50 KB."""
_LIST_S = 600.0

# $1: the state folder. `ls` says in words why a folder cannot be entered. A file that is rotated away meanwhile is no error.
_LIST = f"""
set -e
ls -d "$1/." >/dev/null
cd "$1"
for folder in {HARD_EXAMPLES_FOLDER} {SAVED_FOLDER}; do
    if [ -e "$folder" ]; then
        find -H "$folder" -ignore_readdir_race -maxdepth 2 -type f ! -name '.*' -printf '%s %p\\0'
    fi
done
"""
_LISTED = re.compile(rb"(\d{1,18}) ([^\0]+)")
_HARD_EXAMPLE = re.compile(
    rf"{HARD_EXAMPLES_FOLDER}/(\d{{8}}T\d{{6}}\.\d{{3}})Z-({UNCERTAIN}|{CHANGED})\.jpg", re.ASCII
)
_SAVED = re.compile(rf"{SAVED_FOLDER}/([^/]+)/(\d{{8}}-\d{{6}}-\d{{3}})-[0-9a-f]{{8}}\.jpg", re.ASCII)


@dataclass(frozen=True)
class Listed:
    """A picture that a device says it has."""

    kind: Literal["saved", "hard example"]
    there: str
    """Its path below the state folder."""
    size_bytes: int
    when: datetime
    """Of capture, by the device's clock, in UTC."""
    label: str = ""
    """A person's, where it was saved; "" of a hard example, whose description has the model's."""
    why: str = ""
    """A hard example's: "uncertain" or "changed"."""
    description_bytes: int = 0
    """The size of its description."""

    @property
    def description(self) -> str:
        """Where a hard example's scores are."""
        return f"{self.there.removesuffix('.jpg')}.json"

    @property
    def paths(self) -> frozenset[str]:
        """Of all that is to be brought of it."""
        return frozenset((self.there, self.description) if self.kind == HARD_EXAMPLE else (self.there,))


@dataclass(frozen=True)
class Listing:
    """What a device has."""

    pictures: tuple[Listed, ...]
    """Saved ones first, the oldest first."""
    left_out: Counter[str] = field(default_factory=Counter)
    """{why: how many files}."""


async def list_pictures(connection: Connection, state: str) -> Listing:
    """Asks a device for its hard examples and saved frames.

    Args:
        connection: To the device.
        state: The folder there of what its running loop keeps.

    Raises:
        StateMissing: If there is no such folder.
        RemotePermissionDenied: If this user may not read it.
        ImplausibleAnswer: If the list has no end.
        FleetError: As `Connection.run`.
    """
    said = bytearray()

    def take(chunk: bytes) -> None:
        said.extend(chunk)
        if len(said) > _MOST_LIST_BYTES:
            raise ImplausibleAnswer(
                f"the list of {state} on {connection.address} is longer than {_MOST_LIST_BYTES // 10**6} MB",
                f"look there: {connection.address.ssh('ls', state)}",
            )

    command = ("sh", "-c", _LIST, "sh", state)
    ended = await connection.run(command, timeout_s=_LIST_S, on_stdout=take)
    if not ended.status:
        return read_listing(bytes(said))
    if b"No such file" in ended.stderr or b"Not a directory" in ended.stderr:
        raise StateMissing(
            f"{connection.address} has no folder {state}, where its running litelens would keep pictures",
            'name the right one in the fleet file: state = "/var/lib/litelens", as its service has it',
        )
    failure = connection.failure(command, ended)
    if isinstance(failure, RemotePermissionDenied):
        raise may_not_read(connection, state)
    raise failure


def may_not_read(connection: Connection, state: str) -> RemotePermissionDenied:
    """The error for a user who is not the service's."""
    return RemotePermissionDenied(
        f"{connection.address} may not read {state}, which belongs to the user that the service runs as",
        f"log in as root, or have the service run as the user you log in as: litelens provision {connection.address}",
    )


def read_listing(said: bytes) -> Listing:
    """Takes apart what `find` printed: nothing of it is trusted.

    Args:
        said: "SIZE PATH" of each file, each ended by a NUL.
    """
    sizes = dict(_files(said))
    pictures, left_out = [], Counter()
    for path, size_bytes in sizes.items():
        if path.endswith(".json") and path.startswith(f"{HARD_EXAMPLES_FOLDER}/"):
            continue  # with its picture
        listed = _listed(path, size_bytes, sizes)
        if isinstance(listed, str):
            left_out[listed] += 1
        else:
            pictures.append(listed)
    pictures.sort(key=lambda picture: (picture.kind != SAVED, picture.when, picture.there))
    return Listing(tuple(pictures), left_out)


def _files(said: bytes) -> Iterator[tuple[str, int]]:
    """(path, bytes). A path that is no UTF-8 keeps its odd bytes, and is no litelens's name then."""
    for entry in said.split(b"\0"):
        if found := _LISTED.fullmatch(entry):
            yield found[2].decode(errors="surrogateescape"), int(found[1])


def _listed(path: str, size_bytes: int, sizes: dict[str, int]) -> Listed | str:
    """The picture, or why it is left out."""
    hard, saved = _HARD_EXAMPLE.fullmatch(path), _SAVED.fullmatch(path)
    try:
        if hard:
            when = _moment(hard[1], "%Y%m%dT%H%M%S", ".")
            listed = Listed(HARD_EXAMPLE, path, size_bytes, when, why=hard[2])
        elif saved:
            when = _moment(saved[2], "%Y%m%d-%H%M%S", "-")
            listed = Listed(SAVED, path, size_bytes, when, label=checked_name(saved[1]))
        else:
            return NOT_A_NAME
    except (ValueError, Refusal):
        return NOT_A_NAME
    if size_bytes > MOST_PICTURE_BYTES:
        return TOO_LARGE
    return _with_description(listed, sizes) if hard else listed


def _with_description(listed: Listed, sizes: dict[str, int]) -> Listed | str:
    size_bytes = sizes.get(listed.description)
    if size_bytes is None or size_bytes > MOST_DESCRIPTION_BYTES:
        return NO_DESCRIPTION
    return replace(listed, description_bytes=size_bytes)


def _moment(text: str, form: str, separator: str) -> datetime:
    """Raises ValueError for a 13th month."""
    seconds, _, milliseconds = text.rpartition(separator)
    return datetime.strptime(seconds, form).replace(tzinfo=UTC) + timedelta(milliseconds=int(milliseconds))
