"""MNIST-style idx files: all pictures of a split in one file, all its labels in another.

Format: Y. LeCun, C. Cortes, C. Burges, "The MNIST database of handwritten digits"; big-endian, a magic number that
says type and dimensions, the dimensions, the values.
"""

import gzip
import math
import re
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from edge_runtime.errors import DataError
from trainer.sources.cache import UnpackedPicture, sha256_of, unpack_pictures
from trainer.sources.listing import visible
from trainer.sources.source import Source

_NAME = re.compile(r"(train|t10k|test)-(images|labels)")
_SPLITS = {"train": "train", "t10k": "test", "test": "test"}
_DIMENSIONS = {"images": 3, "labels": 1}
_GZIP = b"\x1f\x8b"
_UINT8 = 0x08


def idx_files(folder: Path) -> dict[tuple[str, str], list[Path]]:
    """{(split, "images" or "labels"): the parts of its file in order}; empty if the folder has none.

    Of a file that is there both packed and unpacked, the unpacked one.
    """
    found: dict[tuple[str, str], list[Path]] = {}
    names = {path.name for path in visible(folder)}
    for path in sorted(visible(folder), key=_part):
        name = _NAME.match(path.name)
        if name and path.is_file() and path.name.removesuffix(".gz") not in names - {path.name}:
            found.setdefault((_SPLITS[name[1]], name[2]), []).append(path)
    return found


def open_idx(spec: str, files: dict[tuple[str, str], list[Path]]) -> Source:
    """Unpacks idx files, gzip or not, whole or in parts, into the cache; labels are the numbers that stand there.

    The splits are train and test where both are there; a single one is not split.

    Args:
        spec: As given to --data.
        files: From idx_files.

    Raises:
        DataError: If a file is absent, cut, no idx file of uint8, or pictures and labels are not as many.
        WriteError: If the cache cannot be written.
    """
    splits = sorted({split for split, _ in files}, reverse=True)  # train before test
    for split in splits:
        for kind in _DIMENSIONS:
            if (split, kind) not in files:
                there = ", ".join(path.name for paths in files.values() for path in paths)
                raise DataError(
                    f"{spec} has no {kind} of {split}, only {there}",
                    f"add {split}-{kind}-idx{_DIMENSIONS[kind]}-ubyte",
                )

    def pictures() -> Iterator[UnpackedPicture]:
        arrays = {key: _read(parts, _DIMENSIONS[key[1]]) for key, parts in files.items()}
        for split in splits:  # all are looked at before the first is written
            _check_counts(files, arrays, split)
        for split in splits:
            for picture, label in zip(arrays[split, "images"], arrays[split, "labels"], strict=True):
                yield UnpackedPicture(picture, str(label), split if len(splits) > 1 else "")

    used = [path for key in sorted(files) for path in files[key]]
    return unpack_pictures(spec, f"idx-{sha256_of(*used)[:32]}", pictures)


def _part(path: Path) -> list:
    """part2 before part10."""
    return [int(text) if text.isdigit() else text for text in re.split(r"(\d+)", path.name)]


def _read(parts: list[Path], dimensions: int) -> np.ndarray:
    """The arrays of all parts, one after the other: uint8 of shape (n,) or (n, height, width).

    It does not matter how a file was cut into parts: into idx files of their own, as bytes of one idx file
    before it was packed, or after.
    """
    named = parts[0] if len(parts) == 1 else f"{parts[0]} and its {len(parts) - 1} more parts"
    content = _unpacked(parts, named)
    arrays = []
    while content or not arrays:
        array, content = _first_array(content, dimensions, named)
        arrays.append(array)
    if len({array.shape[1:] for array in arrays}) > 1:
        raise DataError(
            f"{named} hold pictures of different sizes: {', '.join(str(array.shape[1:]) for array in arrays)}",
            "keep parts of one set in the folder",
        )
    return np.concatenate(arrays)


def _unpacked(parts: list[Path], named: Path | str) -> memoryview:
    packed = b"".join(path.read_bytes() for path in parts)
    if not packed.startswith(_GZIP):
        return memoryview(packed)
    try:
        return memoryview(gzip.decompress(packed))
    except (EOFError, gzip.BadGzipFile, zlib.error) as problem:
        raise DataError(f"{named} is cut or damaged: {problem}", "download it again") from problem


def _first_array(content: memoryview, dimensions: int, named: Path | str) -> tuple[np.ndarray, memoryview]:
    """(the array that an idx file holds, what comes after it)."""
    header = 4 + 4 * dimensions
    magic = bytes(content[:4])
    if len(content) < header or magic != bytes((0, 0, _UINT8, dimensions)):
        raise DataError(
            f"{named} is no idx file: it starts with {magic.hex(' ') or 'nothing'}, "
            f"expected 00 00 08 {dimensions:02x} and {dimensions} dimension{'s' * (dimensions > 1)}",
            "download it again, or remove it",
        )
    shape = struct.unpack(f">{dimensions}I", content[4:header])
    size = math.prod(shape)
    if size == 0 or len(content) - header < size:
        raise DataError(
            f"{named} is cut: {len(content) - header:,} bytes for {' x '.join(map(str, shape))}, expected {size:,}",
            "download it again; of a file in parts all must be there",
        )
    array = np.frombuffer(content, np.uint8, size, header).reshape(shape)
    return array, content[header + size :]


def _check_counts(
    files: dict[tuple[str, str], list[Path]], arrays: dict[tuple[str, str], np.ndarray], split: str
) -> None:
    pictures, labels = len(arrays[split, "images"]), len(arrays[split, "labels"])
    if pictures != labels:
        raise DataError(
            f"{files[split, 'images'][0]} holds {pictures:,} pictures and {files[split, 'labels'][0]} {labels:,} labels, "
            "expected as many",
            "take both from one place; of a file in parts all must be there",
        )
