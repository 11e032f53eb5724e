"""Every way in: what --data names becomes labelled picture files."""

import glob
from collections.abc import Sequence
from pathlib import Path

from edge_runtime.errors import ConfigError, DataError
from trainer.sources import csv_labels, idx, sklearn_digits, tfds, tfrecord
from trainer.sources.archive import is_archive, unpack_archive
from trainer.sources.cache import sha256_of
from trainer.sources.download import check_sha256, download, is_url
from trainer.sources.folders import LAYOUT, open_folders
from trainer.sources.listing import visible
from trainer.sources.source import Source


def open_source(spec: str, sha256: str = "") -> Source:
    """Finds out what a source is by its name and content, and opens it.

    A folder of class folders, split or not; one with labels.csv, or a csv by its path; one with idx files; one
    with TFRecord shards, or a pattern that fits some (`'data/train-*.tfrecord'`); a zip or tar of any of these,
    by path or by http(s) address; `sklearn:digits`; `tfds:NAME[:SPLIT]`. What is no picture file by itself is
    unpacked into the cache first, once.

    Args:
        spec: As given to --data.
        sha256: Of the archive that spec names; an address needs it.

    Raises:
        DataError: If there is no such source, or it is damaged or not laid out as its kind is.
        ConfigError: If an address has no sha256, or something else than an archive has one.
        MissingExtraError: If a library that the kind needs is not installed.
        WriteError: If the cache cannot be written.
    """
    if is_url(spec):
        sha256 = check_sha256(sha256, spec)
        unpacked = unpack_archive(_downloaded_archive(spec, sha256), sha256)
        return _open_folder(spec, _below_single_folders(unpacked))
    path = Path(spec).expanduser()
    if sha256 and not path.is_file():
        raise ConfigError(f"{spec} is no archive, --sha256 is for one", "leave --sha256 out")
    if spec.startswith("sklearn:"):
        return _open_sklearn(spec)
    if spec.startswith(tfds.PREFIX):
        return tfds.open_tfds(spec)
    try:
        if path.is_dir():
            return _open_folder(spec, path)
        if path.is_file():
            return _open_file(spec, path, sha256)
        if glob.has_magic(spec):
            return tfrecord.open_shards(spec, _matching_shards(spec))
    except OSError as problem:
        raise DataError(f"cannot read {spec}: {problem}", "check the folder and its permissions") from problem
    raise DataError(f"{spec} is not there, expected a folder of pictures", LAYOUT)


def _open_folder(spec: str, folder: Path) -> Source:
    if (folder / csv_labels.FILE_NAME).is_file():
        return csv_labels.open_csv(spec, folder / csv_labels.FILE_NAME)
    if files := idx.idx_files(folder):
        return idx.open_idx(spec, files)
    if shards := tfrecord.shards_in(folder):
        return tfrecord.open_shards(spec, shards)
    return open_folders(spec, folder)


def _open_file(spec: str, path: Path, sha256: str) -> Source:
    is_csv = path.suffix.lower() == ".csv"
    if not is_csv and not tfrecord.is_shard(path) and is_archive(path):
        found = sha256_of(path)
        if sha256 and check_sha256(sha256, spec) != found:
            raise DataError(f"{spec} has the sha256 {found}, expected {sha256}", "download it again")
        return _open_folder(spec, _below_single_folders(unpack_archive(path, found)))
    if sha256:
        raise ConfigError(f"{spec} is no archive, --sha256 is for one", "leave --sha256 out")
    if is_csv:
        return csv_labels.open_csv(spec, path)
    if tfrecord.is_shard(path):
        return tfrecord.open_shards(spec, [path])
    raise DataError(f"{spec} is a file, expected a folder of pictures", LAYOUT)


def _downloaded_archive(url: str, sha256: str) -> Path:
    path = download(url, sha256)
    if not is_archive(path):
        raise DataError(f"{url} is no zip or tar", "name the archive itself, not a page that leads to it")
    return path


def _below_single_folders(folder: Path) -> Path:
    """Where the data of an archive begins, which is often packed with the folder it lay in."""
    while len(children := visible(folder)) == 1 and children[0].is_dir():
        child = children[0]
        holds_files = (
            (child / csv_labels.FILE_NAME).is_file() or idx.idx_files(child) or tfrecord.shards_in(child)
        )
        if not holds_files and not any(below.is_dir() for below in visible(child)):
            break  # the only class of a set, which open_folders says
        folder = child
    return folder


def _open_sklearn(spec: str) -> Source:
    if spec != sklearn_digits.SPEC:
        raise DataError(f"{spec} is not there, scikit-learn brings digits", f"--data {sklearn_digits.SPEC}")
    return sklearn_digits.open_digits(spec)


def _matching_shards(spec: str) -> Sequence[Path]:
    found = [Path(name) for name in sorted(glob.glob(str(Path(spec).expanduser()), recursive=True))]
    shards = [path for path in found if tfrecord.is_shard(path)]
    if not shards:
        raise DataError(
            f"{spec} fits {len(found)} files and no TFRecord shard, expected names such as x.tfrecord or x-00000-of-00010",
            "check the pattern, and put it in quotes",
        )
    return shards
