"""TFRecord shards of tf.train.Examples with an encoded picture and its label in each."""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from edge_runtime.errors import DataError
from edge_runtime.extras import extra
from trainer.sources.cache import UnpackedPicture, sha256_of, unpack_pictures
from trainer.sources.folders import MISNAMED_SPLITS
from trainer.sources.listing import quoted, visible
from trainer.sources.source import SPLIT_NAMES, Source

_OF_MANY = re.compile(r"(.*)-(\d{5})-of-(\d{5})(\.gz)?")
_NAME = re.compile(r".*\.tfrecords?(\.gz)?|" + _OF_MANY.pattern)
_SPLIT_OF_WORD = {name: name for name in SPLIT_NAMES} | MISNAMED_SPLITS
# The names of the TF-Slim converters (ImageNet, flowers), and plain ones.
_PICTURE_FEATURES = ("image/encoded", "image")
_LABEL_FEATURES = ("image/class/text", "image/class/label", "label")


def is_shard(path: Path) -> bool:
    """Whether a file is named as a shard: x.tfrecord, x.tfrecord-00000-of-00010, x-00000-of-00010, or .gz of these."""
    return path.is_file() and _NAME.fullmatch(path.name) is not None


def shards_in(folder: Path) -> list[Path]:
    """The shards in a folder.

    Raises:
        DataError: If one of a numbered row is absent.
    """
    shards = [path for path in visible(folder) if is_shard(path)]
    rows: dict[tuple[str, str], set[int]] = {}
    for shard in shards:
        if number := _OF_MANY.fullmatch(shard.name):
            rows.setdefault((number[1], number[3]), set()).add(int(number[2]))
    for (name, count), numbers in rows.items():
        absent = sorted(set(range(int(count))) - numbers)
        if absent:
            raise DataError(
                f"{folder} has {len(numbers)} of the {int(count)} shards of {name}, absent is {name}-{absent[0]:05}-of-{count}",
                f"add it, or name those that are to be used: --data '{folder / name}-*'",
            )
    return shards


def open_shards(spec: str, shards: Sequence[Path]) -> Source:
    """Unpacks the pictures of shards into the cache, as they are encoded; one record is in memory at a time.

    The label is image/class/text, or else the number in image/class/label or label. A shard's name gives its
    split (train-00000-of-00010, flowers-validation.tfrecord); without such names the source is not split.

    Raises:
        DataError: If a shard is cut or damaged, a record has no picture or no label, or some of the names give
            a split and others none.
        MissingExtraError: If TensorFlow is not installed.
        WriteError: If the cache cannot be written.
    """
    splits = {shard: _split(shard) for shard in shards}
    given = set(splits.values())
    if "" in given and len(given) > 1:
        without = next(shard for shard, split in splits.items() if not split)
        raise DataError(
            f"{without} names no split, other shards name {', '.join(sorted(given - {''}))}",
            f"mv {quoted(without)} {quoted(without.with_name('train-' + without.name))}",
        )

    def pictures() -> Iterator[UnpackedPicture]:
        for shard in shards:
            yield from _pictures(shard, splits[shard] if len(given) > 1 else "")

    return unpack_pictures(spec, f"tfrecord-{sha256_of(*shards)[:32]}", pictures)


def _split(shard: Path) -> str:
    """The last word of its name that is one of a split; "" if there is none."""
    words = re.split(r"[-_.]", shard.name)
    return next((_SPLIT_OF_WORD[word] for word in reversed(words) if word in _SPLIT_OF_WORD), "")


def _pictures(shard: Path, split: str) -> Iterator[UnpackedPicture]:
    with extra("train", "reading TFRecord shards"):
        from google.protobuf.message import DecodeError

        from trainer.legacy_keras import tf

    records = tf.data.TFRecordDataset(str(shard), "GZIP" if shard.suffix == ".gz" else "")
    number = 0
    try:
        for number, record in enumerate(records.as_numpy_iterator(), 1):
            yield _picture(tf.train.Example.FromString(record), f"record {number} of {shard}", split)
    except tf.errors.OpError as problem:
        raise DataError(
            f"{shard} is cut or damaged after record {number}: {problem.message}", "copy or download it again"
        ) from problem
    except DecodeError as problem:
        raise DataError(
            f"record {number} of {shard} is no tf.train.Example: {problem}", "write the shards anew"
        ) from problem
    if number == 0:
        raise DataError(f"{shard} holds no records", "remove it, or copy or download it again")


def _picture(example, named: str, split: str) -> UnpackedPicture:
    features = example.features.feature
    encoded = next((features[name].bytes_list.value for name in _PICTURE_FEATURES if name in features), ())
    if len(encoded) != 1:
        raise _unexpected(features, named, "an encoded picture", _PICTURE_FEATURES)
    for name in _LABEL_FEATURES:
        if name in features and (label := _label(features[name], named)):
            return UnpackedPicture(encoded[0], label, split)
    raise _unexpected(features, named, "one label", _LABEL_FEATURES)


def _label(feature, named: str) -> str:
    """ "" if it does not hold exactly one."""
    if len(feature.int64_list.value) == 1:
        return str(feature.int64_list.value[0])
    if len(feature.bytes_list.value) != 1:
        return ""
    text = feature.bytes_list.value[0]
    try:
        return text.decode()
    except UnicodeDecodeError as problem:
        raise DataError(f"{named}: the label {text!r} is no UTF-8", "write the shards anew") from problem


def _unexpected(features, named: str, what: str, expected: Sequence[str]) -> DataError:
    there = (
        f"{name} ({feature.WhichOneof('kind') or 'nothing'})" for name, feature in sorted(features.items())
    )
    return DataError(
        f"{named} has {', '.join(there) or 'no features'}, expected {what} in {' or '.join(expected)}",
        "write the shards anew with these names, as TF-Slim's converters do",
    )
