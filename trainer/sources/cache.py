"""The cache folder: what is no picture file by itself is unpacked there once, whole or not at all."""

import errno
import fcntl
import hashlib
import json
import os
import shutil
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from itertools import islice
from pathlib import Path

import click
import numpy as np
from PIL import Image

from edge_runtime.errors import DataError, WriteError
from trainer.sources.listing import quoted
from trainer.sources.source import Source, SourceFile

CACHE_VARIABLE = "LITELENS_CACHE"
_INDEX = ".index.json"
_BATCH = 1024
"""Pictures that are held in memory at a time."""
_MAGICS = {
    # suffix: how such a file starts
    ".jpg": b"\xff\xd8\xff",
    ".png": b"\x89PNG\r\n\x1a\n",
    ".gif": b"GIF8",
    ".bmp": b"BM",
    ".webp": b"RIFF",
    ".tif": (b"II*\0", b"MM\0*"),
}
_NOT_IN_A_NAME = frozenset('<>:"/\\|?*%') | {chr(code) for code in (*range(32), 127)}
"""Not allowed in a folder's name on Linux, macOS or Windows; and the percent sign, which stands for them."""


@dataclass(frozen=True)
class UnpackedPicture:
    """A picture on its way into the cache."""

    content: bytes | np.ndarray
    """An encoded picture, kept as it is; or uint8 pixels of shape (height, width), which become a PNG of mode L."""
    label: str
    split: str
    """As in SourceFile."""


def cache_folder() -> Path:
    """$LITELENS_CACHE, else litelens below $XDG_CACHE_HOME, else ~/.cache/litelens; it may not exist yet."""
    if named := os.environ.get(CACHE_VARIABLE):
        return Path(named).expanduser().absolute()
    base = Path(os.environ.get("XDG_CACHE_HOME", ""))
    # The XDG specification: a relative path is to be ignored.
    return (base if base.is_absolute() else Path.home() / ".cache") / "litelens"


def unpack_pictures(spec: str, key: str, pictures: Callable[[], Iterable[UnpackedPicture]]) -> Source:
    """Makes CACHE/data/KEY/[SPLIT/]LABEL/000000.png once; the number is the picture's place in its split.

    Args:
        spec: As given to --data.
        key: The kind and a hash of the contents; a folder of this name is taken as it is.
        pictures: Called only if the folder is not there yet; its pictures are never all in memory.

    Raises:
        WriteError: If the cache cannot be written.
        DataError: If somebody changed the folder in the cache.
    """

    def fill(folder: Path) -> None:
        started = time.monotonic()
        click.echo(f"unpacking {spec} into {cache_folder() / 'data' / key}", err=True)
        written = _write_pictures(folder, pictures())
        click.echo(
            f"unpacked {written.count:,} pictures: {written.size / 1e6:.1f} MB, {written.on_disk / 1e6:.1f} MB "
            f"on disk, {time.monotonic() - started:.0f} s",
            err=True,
        )

    return _read_back(spec, made_once(key, fill))


def made_once(key: str, fill: Callable[[Path], None]) -> Path:
    """The folder CACHE/data/KEY; if it is not there yet, `fill` is called with an empty folder, then renamed.

    Processes that want the same folder at the same time wait for the first. What a killed process left is
    removed by the next that wants this folder.

    Raises:
        WriteError: If the cache cannot be written. What else `fill` raises goes through, and nothing is left.
    """
    folder = cache_folder() / "data" / key
    if folder.is_dir():
        return folder
    partial = folder.with_name(f".{key}.partial")
    with writing(folder):
        folder.parent.mkdir(parents=True, exist_ok=True)
        with locked(folder):
            if folder.is_dir():
                return folder  # another process made it in the meantime
            _remove(partial)
            try:
                partial.mkdir()
                fill(partial)
                # One flush for all: a fsync a file takes minutes for 70,000 of them, and without any, a power
                # cut after the rename leaves empty pictures.
                os.sync()
                partial.rename(folder)
            finally:
                _remove(partial)
    return folder


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turns what goes wrong with the disk below the cache into an instruction.

    Raises:
        WriteError: For every OSError.
    """
    try:
        yield
    except OSError as problem:
        raise WriteError(
            f"cannot write {path}: {problem}",
            f"free disk space, or name another folder: export {CACHE_VARIABLE}=DIR"
            if problem.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
            else f"check the folder and its permissions, or name another: export {CACHE_VARIABLE}=DIR",
        ) from problem


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """One process at a time; the kernel ends the lock with the process, however that ends."""
    with path.with_name(f".{path.name}.lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            click.echo(f"another process is making {path}: waiting for it", err=True)
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def sha256_of(*paths: Path) -> str:
    """sha256 over the contents of files, and over their names where there are several.

    Raises:
        OSError: If one cannot be read.
    """
    if len(paths) == 1:
        with paths[0].open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    digest = hashlib.sha256()
    for path in paths:
        digest.update(f"{path.name}\0{sha256_of(path)}\n".encode(errors="surrogateescape"))
    return digest.hexdigest()


def folder_name(label: str) -> str:
    """A label as the name of a folder: what cannot be in one is percent-encoded, what is too long is cut.

    Example:
        >>> folder_name("sea/lake"), folder_name("..."), folder_name("ünïcödé 猫")
        ('sea%2Flake', '%2E..', 'ünïcödé 猫')
    """
    name = "".join(f"%{ord(c):02X}" if c in _NOT_IN_A_NAME else c for c in label)
    if name[:1] in (".", " "):
        name = f"%{ord(name[0]):02X}{name[1:]}"
    if len(name.encode()) > 200:  # file systems take 255 bytes
        name = (
            name.encode()[:180].decode(errors="ignore")
            + "~"
            + hashlib.sha256(label.encode()).hexdigest()[:12]
        )
    return name


@dataclass(frozen=True)
class _Written:
    count: int
    size: int
    on_disk: int


def _write_pictures(folder: Path, pictures: Iterable[UnpackedPicture]) -> _Written:
    places: dict[str, int] = {}
    made: set[Path] = set()
    index: list[tuple[str, str, str]] = []
    size = on_disk = 0

    def placed(picture: UnpackedPicture) -> tuple[Path, UnpackedPicture]:
        number = places[picture.split] = places.get(picture.split, -1) + 1
        below = Path(picture.split, folder_name(picture.label))
        if below not in made:
            (folder / below).mkdir(parents=True)
            made.add(below)
        name = below / f"{number:06}{_suffix(picture.content)}"
        index.append((name.as_posix(), picture.label, picture.split))
        return folder / name, picture

    remaining = iter(pictures)
    with ThreadPoolExecutor() as pool:
        while batch := [placed(picture) for picture in islice(remaining, _BATCH)]:
            for bytes_of_one, blocks in pool.map(_write_picture, batch):
                size += bytes_of_one
                on_disk += 512 * blocks
    index.sort(key=lambda entry: entry[0].split("/"))
    (folder / _INDEX).write_text(json.dumps(index, ensure_ascii=False), encoding="utf-8")
    return _Written(len(index), size, on_disk)


def _write_picture(placed: tuple[Path, UnpackedPicture]) -> tuple[int, int]:
    """(bytes, blocks of 512 bytes that the file system gave)."""
    path, picture = placed
    content = picture.content if isinstance(picture.content, bytes) else _png(picture.content)
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        return len(content), os.fstat(file.fileno()).st_blocks


def _png(pixels: np.ndarray) -> bytes:
    buffer = BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG", compress_level=1)
    return buffer.getvalue()


def _suffix(content: bytes | np.ndarray) -> str:
    if isinstance(content, np.ndarray):
        return ".png"
    return next((suffix for suffix, magic in _MAGICS.items() if content.startswith(magic)), ".picture")


def _read_back(spec: str, folder: Path) -> Source:
    try:
        index = json.loads((folder / _INDEX).read_text(encoding="utf-8"))
    except (OSError, ValueError) as problem:
        raise DataError(
            f"{folder} in the cache is damaged: {problem}", f"unpack it anew: rm -r {quoted(folder)}"
        ) from problem
    return Source(
        spec, folder, tuple(SourceFile(folder / name, label, split) for name, label, split in index)
    )


def _remove(folder: Path) -> None:
    if folder.exists():
        shutil.rmtree(folder)
