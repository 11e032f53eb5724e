"""Sets of TensorFlow Datasets: tfds:NAME or tfds:NAME:SPLIT."""

import hashlib
import os
import re
import sys
from collections.abc import Iterator
from contextlib import redirect_stdout

import click

from edge_runtime.errors import DataError
from edge_runtime.extras import extra
from trainer.sources.cache import UnpackedPicture, unpack_pictures
from trainer.sources.source import SPLIT_NAMES, Source

PREFIX = "tfds:"


def open_tfds(spec: str) -> Source:
    """Unpacks a set into the cache, the pictures as they are encoded; downloads and prepares it first if need be.

    TFDS looks for prepared sets in $TFDS_DATA_DIR, else ~/tensorflow_datasets. Its splits train, validation and
    test are taken as they are; a single one, or one that is named (tfds:mnist:train[:10%]), is not split.

    Raises:
        DataError: If the set is unknown, cannot be downloaded, or has no such split, no picture or no label.
        MissingExtraError: If tensorflow-datasets is not installed.
        WriteError: If the cache cannot be written.
    """
    name, wanted = _parts(spec)
    builder = _prepared(spec, name)
    picture_key, label_key = _keys(spec, builder)
    splits = {"": wanted} if wanted else _splits(spec, builder)
    _check_split(spec, builder, splits)

    def pictures() -> Iterator[UnpackedPicture]:
        for split, instruction in splits.items():
            yield from _pictures(builder, instruction, picture_key, label_key, split)

    # The same name and version may be prepared anew from other files: the sizes of its shards tell.
    shards = {
        split: (info.num_bytes, tuple(info.shard_lengths)) for split, info in builder.info.splits.items()
    }
    contents = repr((builder.info.full_name, sorted(shards.items()), sorted(splits.items())))
    return unpack_pictures(spec, f"tfds-{hashlib.sha256(contents.encode()).hexdigest()[:32]}", pictures)


def _parts(spec: str) -> tuple[str, str]:
    """(TFDS's name with its configuration and version, split or "") of tfds:NAME[/CONFIG][:1.2.3][:SPLIT]."""
    name, *rest = spec.removeprefix(PREFIX).split(":", 1)
    if rest and (version := re.fullmatch(r"(\d+\.\d+\.\d+)(?::(.*))?", rest[0])):
        return f"{name}:{version[1]}", version[2] or ""
    return name, rest[0] if rest else ""


def _prepared(spec: str, name: str):
    with extra("tfds", spec):
        from trainer.legacy_keras import tf  # isort: skip  # before TFDS imports TensorFlow
        import requests
        import tensorflow_datasets as tfds
        from tensorflow_datasets.core.download import download_manager, extractor, util

        try:
            builder = tfds.builder(name, data_dir=os.environ.get("TFDS_DATA_DIR"))
        # Its asserts and ValueErrors name a configuration or version that is not there.
        except (ValueError, AssertionError, RuntimeError) as problem:
            raise DataError(
                f"TensorFlow Datasets has no set {name!r}: {_first_line(problem)}",
                "see https://www.tensorflow.org/datasets/catalog, or set TFDS_DATA_DIR to where yours is prepared",
            ) from problem
        if builder.is_prepared():
            return builder
        try:
            with redirect_stdout(sys.stderr):  # stdout is for results
                builder.download_and_prepare()
        except (
            OSError,
            requests.RequestException,
            util.DownloadError,
            download_manager.NonMatchingChecksumError,
            extractor.ExtractError,
            extractor.UnsafeArchiveError,
            AssertionError,  # a set that has to be downloaded by hand
            RuntimeError,
            tf.errors.OpError,
        ) as problem:
            raise DataError(
                f"{spec} cannot be downloaded and prepared in {builder.data_dir}: {_first_line(problem)}",
                "check the network and the free disk space, and run it again; or prepare it on another machine, "
                "copy the folder, and set TFDS_DATA_DIR to it",
            ) from problem
    return builder


def _first_line(problem: Exception) -> str:
    return next((line for line in str(problem).splitlines() if line.strip()), type(problem).__name__)


def _keys(spec: str, builder) -> tuple[str, str]:
    """The features that hold the picture and its label."""
    import numpy as np
    import tensorflow_datasets as tfds

    features = dict(builder.info.features.items()) if hasattr(builder.info.features, "items") else {}
    kinds = {"picture": tfds.features.Image, "ClassLabel": tfds.features.ClassLabel}
    keys = []
    for place, (what, kind) in enumerate(kinds.items()):
        found = [key for key, feature in features.items() if isinstance(feature, kind)]
        supervised = (builder.info.supervised_keys or (None, None))[place]
        if supervised not in found and len(found) != 1:
            there = ", ".join(f"{key} ({type(feature).__name__})" for key, feature in features.items())
            raise DataError(
                f"{spec} has {len(found)} features of the kind {kind.__name__}, expected one {what}; it has {there}",
                "choose a set for picture classification",
            )
        keys.append(supervised if supervised in found else found[0])
    if np.dtype(features[keys[0]].np_dtype) not in (np.uint8, np.uint16):
        raise DataError(
            f"{spec} has pictures of {np.dtype(features[keys[0]].np_dtype)}, expected uint8 or uint16",
            "choose a set of photographs",
        )
    return keys[0], keys[1]


def _splits(spec: str, builder) -> dict[str, str]:
    """{split: TFDS's name of it}."""
    there = list(builder.info.splits)
    splits = {split: split for split in SPLIT_NAMES if split in there}
    if len(there) == 1:
        return {"": there[0]}
    if "train" not in splits:
        raise DataError(
            f"{spec} has the splits {', '.join(there)}, expected train", f"name one: --data {spec}:{there[0]}"
        )
    if unused := sorted(set(there) - set(splits)):
        click.echo(f"{spec}: not used are the splits {', '.join(unused)}", err=True)
    return splits if len(splits) > 1 else {"": "train"}


def _check_split(spec: str, builder, splits: dict[str, str]) -> None:
    for instruction in splits.values():
        try:
            count = builder.info.splits[instruction].num_examples
        except (ValueError, KeyError) as problem:
            raise DataError(
                f"{spec}: no split {instruction!r}: {_first_line(problem)}; it has {', '.join(builder.info.splits)}",
                "name one of them, or a part of it, such as train[:10%]",
            ) from problem
        if not count:
            raise DataError(f"{spec}: the split {instruction!r} is empty", "name a larger part")


def _pictures(
    builder, instruction: str, picture_key: str, label_key: str, split: str
) -> Iterator[UnpackedPicture]:
    import tensorflow_datasets as tfds

    names = builder.info.features[label_key]
    # Only these two are read, and pictures stay as they are encoded.
    decoders = tfds.decode.PartialDecoding(
        {picture_key: True, label_key: True}, decoders={picture_key: tfds.decode.SkipDecoding()}
    )
    unlabelled = 0
    for example in builder.as_dataset(split=instruction, decoders=decoders).as_numpy_iterator():
        label = int(example[label_key])
        if label < 0:  # TFDS's sign for a contest's test pictures
            unlabelled += 1
        else:
            yield UnpackedPicture(example[picture_key], names.int2str(label), split)
    if unlabelled:
        click.echo(
            f"{builder.name}: {unlabelled} pictures of {instruction} have no label and are not used", err=True
        )
