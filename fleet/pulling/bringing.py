"""Brings files of a device here, many in one stream; what it sends is not trusted."""

import io
import tarfile
from collections.abc import Iterable, Iterator

from fleet.connection import Connection
from fleet.errors import RemotePermissionDenied
from fleet.pulling.errors import ImplausibleAnswer
from fleet.pulling.listing import Listed, may_not_read

BATCH_BYTES = 8_000_000
"""What comes at once, and is in memory here: of each of the devices that are pulled from at the same time. A picture that
is larger comes alone."""
_BATCH_NAME_BYTES = 60_000
"""Linux takes 128 KiB as one argument, and a command over ssh is one of the login shell's; quotes make it longer."""
_BATCH_S = 1800.0
"""A picture of 32 MB at 18 KB/s."""
_HEADER_BYTES = 4 * tarfile.BLOCKSIZE
"""Of a file in an archive: with a long name three, and its last block's rest."""

# $1: the state folder, then the files. tar's 1 and 2 are files that have gone or changed: what has come says which.
_PACK = 'cd "$1" && shift && exec tar -c -f - --format=gnu --no-recursion -- "$@"'


def batches(pictures: Iterable[Listed]) -> Iterator[list[Listed]]:
    """Puts together what is brought at once."""
    batch: list[Listed] = []
    size_bytes = name_bytes = 0
    for picture in pictures:
        more_bytes = picture.size_bytes + picture.description_bytes
        more_name_bytes = sum(len(path.encode()) + 3 for path in picture.paths)
        if batch and (
            size_bytes + more_bytes > BATCH_BYTES or name_bytes + more_name_bytes > _BATCH_NAME_BYTES
        ):
            yield batch
            batch, size_bytes, name_bytes = [], 0, 0
        batch.append(picture)
        size_bytes += more_bytes
        name_bytes += more_name_bytes
    if batch:
        yield batch


async def bring(connection: Connection, state: str, batch: list[Listed]) -> dict[str, bytes]:
    """Brings a batch into memory.

    Args:
        connection: To the device.
        state: The folder there that the pictures lie below.
        batch: One of `batches`.

    Returns:
        {path below state: content} of pictures and descriptions, as far as they are still there.

    Raises:
        RemotePermissionDenied: If one may not be read.
        ImplausibleAnswer: If more comes than was listed, or no archive.
        FleetError: As `Connection.run`.
    """
    paths = [path for picture in batch for path in sorted(picture.paths)]
    listed_bytes = sum(picture.size_bytes + picture.description_bytes for picture in batch)
    most_bytes = listed_bytes + len(paths) * _HEADER_BYTES + tarfile.RECORDSIZE
    archive = bytearray()

    def take(chunk: bytes) -> None:
        archive.extend(chunk)
        if len(archive) > most_bytes:
            raise ImplausibleAnswer(
                f"{connection.address} sends more than the {listed_bytes} bytes that it listed",
                "run the same command again; if it does so again, do not trust the device",
            )

    command = ("sh", "-c", _PACK, "sh", state, *paths)
    ended = await connection.run(command, timeout_s=_BATCH_S, on_stdout=take)
    if ended.status:
        failure = connection.failure(command, ended)
        if isinstance(failure, RemotePermissionDenied):
            raise may_not_read(connection, state)
        if ended.status > 2:
            raise failure
    try:
        return _unpacked(bytes(archive), frozenset(paths))
    except (tarfile.TarError, ValueError, EOFError, OverflowError) as problem:
        raise ImplausibleAnswer(
            f"what {connection.address} sends is no archive of pictures: {problem}",
            f"look there: {connection.address.ssh('tar', '--version')}",
        ) from problem


def _unpacked(archive: bytes, asked: frozenset[str]) -> dict[str, bytes]:
    """The plain files that were asked for; the first of each name. Nothing is written, no link is followed."""
    contents: dict[str, bytes] = {}
    with tarfile.open(fileobj=io.BytesIO(archive), mode="r:") as opened:
        for entry in opened:
            # A sparse file of a few bytes may claim to be of any size.
            if entry.isreg() and not entry.issparse() and entry.name in asked and entry.name not in contents:
                content = opened.extractfile(entry).read()
                if len(content) == entry.size:
                    contents[entry.name] = content
    return contents
