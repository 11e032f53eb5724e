"""Copies files to another machine and back: whole or not at all, and the same on both sides."""

import hashlib
import os
import secrets
import tarfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from edge_runtime.errors import WriteError
from fleet.connection import Connection
from fleet.errors import RemoteDiskFull, TransferDamaged

_CHUNK_BYTES = 256 * 1024

_PRESENT = """
# $1 target, $2 partial, $3 sha256. Prints "whole", or how many bytes a cut left.
if [ -d "$1" ]; then echo "$1: Is a directory" >&2; exit 1; fi
if [ -f "$1" ] && [ "$(sha256sum < "$1")" = "$3  -" ]; then echo whole
elif [ -f "$2" ]; then wc -c < "$2"
else echo 0
fi
"""
_WRITE = 'if [ "$2" = 0 ]; then cat > "$1"; else cat >> "$1"; fi'
_FINISH = """
# $1 target, $2 partial, $3 sha256, $4 mode. Both the file and its name are on the disk at the end. Prints "other" if the
# bytes that arrived are not those that were sent.
set -e
if [ "$(sha256sum < "$2")" != "$3  -" ]; then rm -f "$2"; echo other; exit; fi
chmod "$4" "$2"
sync "$2"
mv -f "$2" "$1"
sync "$(dirname "$1")"
"""
_UNPACK = """
# $1 folder, made for it. Nothing is left of half an archive.
mkdir -p "$1" && tar -x -f - -C "$1" && exit
status=$?
rm -rf "$1"
exit $status
"""


async def upload(
    connection: Connection,
    file: Path,
    target: str,
    *,
    mode: int = 0o644,
    sha256: str | None = None,
    progress: Callable[[int], object] = lambda more_bytes: None,
) -> int:
    """Copies a file to a name beside target, compares the sha256, and renames it: target is the old file or the new.

    What a cut has left is continued by the next upload of the same file. Nothing is sent if target is that file already.

    Args:
        connection: To the machine.
        file: Here.
        target: There, an absolute path in a folder that exists.
        mode: The file's permissions there.
        sha256: Of the file, where it is known: with many machines it need not be read for each. None: it is.
        progress: Told how many more bytes are there, those of an earlier upload included; fewer, below 0, if it begins anew.

    Returns:
        How many bytes were sent.

    Raises:
        ConnectionCut: If the connection ended first; what has arrived stays.
        RemoteDiskFull: If it does not fit; nothing of it stays.
        TransferDamaged: If what arrived is another file, twice.
        FleetError: If the machine refused it.
    """
    sha256 = sha256 or sha256_of(file)
    size_bytes = file.stat().st_size
    partial = f"{target}.{sha256[:16]}.partial"
    sent_bytes = 0
    # Twice: from the beginning, if what a cut had left was no beginning of this file.
    for _ in range(2):
        present = (await connection.check(_sh(_PRESENT, target, partial, sha256))).strip()
        if present == "whole":
            progress(size_bytes)
            return sent_bytes
        start = int(present) if present.isdecimal() and len(present) < 20 else 0
        start = start if start <= size_bytes else 0
        progress(start)
        command = _sh(_WRITE, partial, str(start))
        ended = await connection.feed(command, _chunks(file, start, progress))
        if ended.status:
            failure = connection.failure(command, ended)
            if isinstance(failure, RemoteDiskFull):
                await connection.run(("rm", "-f", partial))
            raise failure
        sent_bytes += size_bytes - start
        if not await connection.check(_sh(_FINISH, target, partial, sha256, f"{mode:o}")):
            return sent_bytes
        if not start:
            break
        progress(-size_bytes)
    raise TransferDamaged(
        f"{target} on {connection.address} did not become the same as {file}: it changed, there or here, while it was sent",
        "see that no other program writes either, and try again",
    )


async def download(
    connection: Connection,
    source: str,
    file: Path,
    *,
    progress: Callable[[int], object] = lambda more_bytes: None,
) -> None:
    """Copies a file from the machine to one beside `file`, compares the sha256, and renames it.

    Args:
        connection: To the machine.
        source: There, an absolute path.
        file: Here; whole or absent, whatever happens.
        progress: Told how many more bytes have come.

    Raises:
        ConnectionCut: If the connection ended first.
        WriteError: If `file` cannot be written.
        TransferDamaged: If what arrived is not what lies there.
        FleetError: If the machine has no such file or does not give it.
    """
    sha256 = (await connection.check(_sh('sha256sum < "$1"', source))).partition(" ")[0]
    command = ("cat", "--", source)
    temporary = file.with_name(f".{file.name}.{secrets.token_hex(4)}")
    try:
        with temporary.open("xb") as arriving:
            ended = await connection.run(command, on_stdout=lambda chunk: progress(arriving.write(chunk)))
            arriving.flush()
            os.fsync(arriving.fileno())
        if ended.status:
            raise connection.failure(command, ended)
        if sha256_of(temporary) != sha256:
            raise TransferDamaged(
                f"{source} on {connection.address} changed while it was brought here", "try again"
            )
        os.replace(temporary, file)
    except OSError as problem:
        raise WriteError(
            f"cannot write {file}: {problem}", "check the folder and the free disk space"
        ) from problem
    finally:
        temporary.unlink(missing_ok=True)


async def upload_together(
    connection: Connection,
    files: Sequence[tuple[str, Path]],
    target: str,
    *,
    progress: Callable[[int], object] = lambda more_bytes: None,
) -> None:
    """Copies many files at once, by tar; a cut one begins anew.

    Args:
        connection: To the machine.
        files: Each one's path below target, and the file here, or a folder, which is made there without what is in it.
        target: There, an absolute path; it is made.
        progress: Told how many bytes of the files have been sent since it was last told.

    Raises:
        ConnectionCut, RemoteDiskFull, FleetError: As `upload` does; target is not there then.
        TransferDamaged: If a file changed while it was sent; target is not there then.
    """
    command = _sh(_UNPACK, target)
    ended = await connection.feed(command, _tar(files, progress))
    if ended.status:
        raise connection.failure(command, ended)


def sha256_of(file: Path) -> str:
    """Of the file's content, in hexadecimal digits."""
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


def _sh(script: str, *arguments: str) -> tuple[str, ...]:
    return ("sh", "-c", script, "sh", *arguments)


def _chunks(file: Path, start: int, progress: Callable[[int], object]) -> Iterator[bytes]:
    with file.open("rb") as content:
        content.seek(start)
        while chunk := content.read(_CHUNK_BYTES):
            yield chunk
            progress(len(chunk))


def _tar(files: Sequence[tuple[str, Path]], progress: Callable[[int], object]) -> Iterator[bytes]:
    """The archive in chunks, so that it lies nowhere as a whole."""
    for name, path in files:
        entry = tarfile.TarInfo(name)
        if path.is_dir():
            entry.type, entry.mode = tarfile.DIRTYPE, 0o755
            yield entry.tobuf(tarfile.GNU_FORMAT)
            continue
        entry.size = path.stat().st_size
        yield entry.tobuf(tarfile.GNU_FORMAT)
        sent_bytes = 0
        for chunk in _chunks(path, 0, progress):
            sent_bytes += len(chunk)
            yield chunk
        if sent_bytes != entry.size:
            raise TransferDamaged(f"{path} changed while it was sent", "try again")
        yield bytes(-entry.size % tarfile.BLOCKSIZE)
    yield bytes(2 * tarfile.BLOCKSIZE)
