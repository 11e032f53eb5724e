"""Zip and tar archives, which are met in mails and on web pages: nothing in them may reach beyond the cache."""

import functools
import lzma
import os
import shutil
import tarfile
import time
import zipfile
import zlib
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import IO

import click

from edge_runtime.errors import DataError
from trainer.sources.cache import made_once

LARGEST_RATIO = 100
"""An archive that unpacks to more than so many times its size is refused; pictures hardly shrink at all."""
ALWAYS_ALLOWED_BYTES = 1 << 30
"""Unless all of it is no more than this, which a disk can bear."""
MOST_ENTRIES = 5_000_000
"""Three times ImageNet's files."""
_SUFFIXES = (".zip", ".tar", ".tgz", ".tbz2", ".txz", ".tar.gz", ".tar.bz2", ".tar.xz")
_DAMAGED = (tarfile.TarError, zipfile.BadZipFile, EOFError, zlib.error, lzma.LZMAError, UnicodeDecodeError)
_NOT_DATA = "__MACOSX"
"""Where macOS puts what zip cannot hold of a file."""


def is_archive(path: Path) -> bool:
    """Whether a file is a zip or a tar, by its content; also a damaged one, by its name."""
    return path.name.lower().endswith(_SUFFIXES) or zipfile.is_zipfile(path) or _is_tar(path)


def unpack_archive(path: Path, sha256: str) -> Path:
    """The folder in the cache that holds what is in an archive.

    Links become copies of the file in the archive that they name.

    Args:
        path: The archive.
        sha256: Of its bytes; an archive whose sha256 is known is not unpacked again.

    Raises:
        DataError: If it is cut, damaged or encrypted, an entry or a link would lie outside, is a device or a
            link to a folder, or it unpacks to more than the bounds above.
        WriteError: If the cache cannot be written.
    """
    return made_once(f"archive-{sha256[:32]}", functools.partial(_unpack, path))


def _unpack(path: Path, folder: Path) -> None:
    started = time.monotonic()
    click.echo(f"unpacking {path}", err=True)
    unpacking = _Unpacking(path, folder)
    try:
        if zipfile.is_zipfile(path):
            _unpack_zip(path, unpacking)
        else:
            _unpack_tar(path, unpacking)
    except _DAMAGED as problem:
        raise _damaged(path, problem) from problem
    except OSError as problem:
        if problem.errno is None:  # bz2 and gzip say so of damaged data; what the disk says has a number
            raise _damaged(path, problem) from problem
        raise
    click.echo(
        f"unpacked {unpacking.entries:,} entries: {unpacking.size / 1e6:.1f} MB, {time.monotonic() - started:.0f} s",
        err=True,
    )


def _damaged(path: Path, problem: Exception) -> DataError:
    return DataError(f"{path} is cut, damaged, or no zip or tar: {problem}", "copy or download it again")


def _is_tar(path: Path) -> bool:
    try:
        return path.stat().st_size > 0 and tarfile.is_tarfile(path)
    except (*_DAMAGED, OSError):
        return False


class _Unpacking:
    """Writes entries into a folder, and counts them."""

    def __init__(self, archive: Path, folder: Path):
        self._archive, self._folder = archive, folder
        self._bound = max(ALWAYS_ALLOWED_BYTES, LARGEST_RATIO * archive.stat().st_size)
        self.entries = self.size = 0

    def place(self, name: str, size: int) -> Path | None:
        """Where an entry goes; None if it is no data.

        Raises:
            DataError: If that is outside, or with it the archive is more than it may be.
        """
        self.entries += 1
        self.size += size
        if self.entries > MOST_ENTRIES or self.size > self._bound:
            raise DataError(
                f"{self._archive} unpacks to more than {self._bound:,} bytes or {MOST_ENTRIES:,} entries: "
                "that is an attack, not pictures",
                "if it is none, unpack it yourself and name the folder",
            )
        below = self.below(name)
        return None if _NOT_DATA in below.parts else self._folder / below

    def below(self, name: str) -> PurePosixPath:
        """An entry's name as a path in the folder.

        Raises:
            DataError: If it leads outside.
        """
        name = name.replace("\\", "/")  # as old programs for Windows write them
        path = PurePosixPath(os.path.normpath(name))
        if path.is_absolute() or path.parts[:1] == ("..",) or PureWindowsPath(name).drive or "\0" in name:
            raise DataError(
                f"{self._archive} has an entry {name!r} that would lie outside its folder",
                "do not trust this archive",
            )
        return path

    def write(self, file: IO[bytes], target: Path) -> None:
        """Copies the content of an entry."""
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            opened = target.open("wb")
        except (FileExistsError, NotADirectoryError, IsADirectoryError) as problem:
            raise DataError(
                f"{self._archive} has a file and a folder of the same name: {problem}", "pack it anew"
            ) from problem
        with opened:
            shutil.copyfileobj(file, opened, 1 << 20)


def _unpack_zip(path: Path, unpacking: _Unpacking) -> None:
    with _open_zip(path) as archive:
        placed = [(entry, unpacking.place(entry.filename, entry.file_size)) for entry in archive.infolist()]
        for entry, target in placed:
            if target is None or entry.is_dir():
                continue
            if entry.flag_bits & 0x1:
                raise DataError(
                    f"{path}: {entry.filename} is encrypted", "unpack it yourself and name the folder"
                )
            try:
                with archive.open(entry) as file:
                    unpacking.write(file, target)
            except NotImplementedError as problem:
                raise DataError(
                    f"{path}: {entry.filename}: {problem}", "unpack it yourself and name the folder"
                ) from problem


def _open_zip(path: Path) -> zipfile.ZipFile:
    try:  # macOS writes UTF-8 without the flag that says so
        return zipfile.ZipFile(path, metadata_encoding="utf-8")
    except UnicodeDecodeError:
        return zipfile.ZipFile(path)


def _unpack_tar(path: Path, unpacking: _Unpacking) -> None:
    """Not by tarfile's data filter: up to Python 3.11.12 links lead it outside (CVE-2025-4517); here are no links."""
    links: list[tuple[Path, tarfile.TarInfo]] = []
    written: dict[PurePosixPath, Path] = {}
    with tarfile.open(path) as archive:
        while (entry := archive.next()) is not None:
            archive.members.clear()  # tarfile would keep every header
            target = unpacking.place(entry.name, entry.size)
            if target is None or entry.isdir():
                continue
            if entry.issym() or entry.islnk():
                links.append((target, entry))
            elif entry.isreg():
                unpacking.write(archive.extractfile(entry), target)
                written[unpacking.below(entry.name)] = target
            else:
                raise DataError(f"{path} has a device or pipe: {entry.name}", "do not trust this archive")
        # A tar ends with a block of zeros; where the file is cut between two entries, tarfile says nothing.
        archive.fileobj.seek(archive.offset)
        if archive.fileobj.read(tarfile.BLOCKSIZE) != bytes(tarfile.BLOCKSIZE):
            raise EOFError("its end is not there")
    for target, entry in links:
        _copy_linked(path, unpacking, written, target, entry)


def _copy_linked(
    path: Path,
    unpacking: _Unpacking,
    written: dict[PurePosixPath, Path],
    target: Path,
    entry: tarfile.TarInfo,
) -> None:
    # A symbolic link starts from its own folder, a hard link from the top.
    linked = entry.linkname if entry.islnk() else os.path.join(os.path.dirname(entry.name), entry.linkname)
    source = written.get(unpacking.below(linked))
    if source is None:
        raise DataError(
            f"{path} has a link {entry.name} to {entry.linkname}, which is no file in it",
            "pack it anew with the files themselves: tar --dereference",
        )
    unpacking.place(entry.name, source.stat().st_size)
    with source.open("rb") as file:
        unpacking.write(file, target)
