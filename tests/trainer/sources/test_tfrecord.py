"""TFRecord shards as converters write them, and damaged ones. TensorFlow writes and reads them."""

import gzip

import pytest

from edge_runtime.errors import DataError
from trainer.sources.open_source import open_source

pytestmark = pytest.mark.slow


def example(**features) -> bytes:
    """A serialised tf.train.Example; `__` in a name stands for a slash."""
    from trainer.legacy_keras import tf

    def feature(value):
        values = value if isinstance(value, list) else [value]
        if isinstance(values[0], bytes):
            return tf.train.Feature(bytes_list=tf.train.BytesList(value=values))
        if isinstance(values[0], float):
            return tf.train.Feature(float_list=tf.train.FloatList(value=values))
        return tf.train.Feature(int64_list=tf.train.Int64List(value=values))

    named = {name.replace("__", "/"): feature(value) for name, value in features.items()}
    return tf.train.Example(features=tf.train.Features(feature=named)).SerializeToString()


def write(path, *records):
    from trainer.legacy_keras import tf

    with tf.io.TFRecordWriter(str(path), "GZIP" if path.suffix == ".gz" else "") as writer:
        for record in records:
            writer.write(record)


def slim(picture, label, text):
    return example(
        image__encoded=picture, image__format=b"jpeg", image__class__label=label, image__class__text=text
    )


def test_splits_labels_and_bytes_are_as_in_the_shards(tmp_path, encoded, listed, cache):
    labels = ["cat", "Hündin", "sea/lake"]
    for split, count in (("train", 6), ("validation", 3), ("test", 3)):
        records = [slim(encoded(n, "JPEG"), n % 3, labels[n % 3].encode()) for n in range(count)]
        for shard in range(2):
            write(tmp_path / f"{split}-{shard:05}-of-00002", *records[shard::2])
    source = open_source(str(tmp_path))
    assert source.folder.parent == cache / "data"
    assert {(label, split) for _, label, split in listed(source)} == {
        (label, split) for label in labels for split in ("train", "validation", "test")
    }
    assert len(source.files) == 12
    first = next(file for file in source.files if (file.split, file.path.name) == ("train", "000000.jpg"))
    assert first.label == "cat" and first.path.read_bytes() == encoded(0, "JPEG")
    assert open_source(f"{tmp_path}/train-*").files[0].split == ""


@pytest.mark.parametrize(
    "features, label",
    [
        ({"image__encoded": b"P", "image__class__text": b"cat"}, "cat"),
        ({"image__encoded": b"P", "image__class__label": 7}, "7"),
        ({"image__encoded": b"P", "image__class__label": 7, "image__class__text": b""}, "7"),
        ({"image": b"P", "label": 3}, "3"),
        ({"image": b"P", "label": "ネコ".encode()}, "ネコ"),
    ],
)
@pytest.mark.parametrize("name", ["flowers.tfrecord", "flowers.tfrecord.gz", "flowers.tfrecords"])
def test_the_usual_names_of_features(tmp_path, features, label, name):
    write(tmp_path / name, example(**features))
    for spec in (tmp_path, tmp_path / name, f"{tmp_path}/*.tfrecord*"):
        (file,) = open_source(str(spec)).files
        assert (file.label, file.split, file.path.read_bytes()) == (label, "", b"P")


@pytest.mark.parametrize(
    "names, splits",
    [
        (["set-train.tfrecord-00000-of-00001", "set-val.tfrecord-00000-of-00001"], ["train", "validation"]),
        (["train.tfrecord", "dev.tfrecord"], ["train", "validation"]),
        (["a.tfrecord", "b.tfrecord"], [""]),
        (["train_0.tfrecord", "train_1.tfrecord"], [""]),
    ],
)
def test_the_name_of_a_shard_gives_its_split(tmp_path, encoded, names, splits):
    for number, name in enumerate(names):
        write(tmp_path / name, *(example(image=encoded(n), label=n) for n in range(number, number + 2)))
    assert sorted({file.split for file in open_source(str(tmp_path)).files}) == splits


@pytest.mark.parametrize(
    "features, says",
    [
        ({"image": b"P"}, "record 2 of .*bad.tfrecord has image .bytes_list., expected one label"),
        ({"label": 3}, "expected an encoded picture in image/encoded or image"),
        ({"image": [1, 2, 3], "label": 3}, "expected an encoded picture"),
        ({"image": b"P", "label": [1, 2]}, "expected one label"),
        ({"image": b"P", "label": 0.5}, "expected one label"),
        ({"image": b"P", "label": b"\xff"}, "is no UTF-8"),
        ({}, "has no features"),
    ],
)
def test_a_record_that_cannot_be_used_is_an_instruction(tmp_path, cache, features, says):
    write(tmp_path / "bad.tfrecord", example(image=b"P", label=1), example(**features))
    with pytest.raises(DataError, match=says) as caught:
        open_source(str(tmp_path))
    assert caught.value.hint and not [p for p in (cache / "data").iterdir() if p.is_dir()]


def cut(content):
    return content[:-20]


def changed(content):
    return content[:-30] + b"changed" + content[-23:]


def text(content):
    return b"this is no TFRecord file at all"


def empty(content):
    return b""


@pytest.mark.parametrize("damage", [cut, changed, text, empty])
@pytest.mark.parametrize("packed", [False, True])
def test_a_damaged_shard_is_named(tmp_path, encoded, cache, damage, packed):
    path = tmp_path / ("s.tfrecord" + ".gz" * packed)
    write(path, *(example(image=encoded(n, "BMP"), label=n) for n in range(3)))
    content = path.read_bytes()
    within = packed and damage is changed  # what is packed, so that gzip's own sum is right
    path.write_bytes(gzip.compress(changed(gzip.decompress(content))) if within else damage(content))
    with pytest.raises(DataError, match="s.tfrecord") as caught:
        open_source(str(tmp_path))
    assert "download it again" in caught.value.hint
    assert not [p for p in (cache / "data").iterdir() if p.is_dir()]


def test_a_record_that_is_no_example_is_an_instruction(tmp_path):
    write(tmp_path / "s.tfrecord", b"\xff\xff\xff not a protocol buffer")
    with pytest.raises(DataError, match="record 1 of .*s.tfrecord is no tf.train.Example"):
        open_source(str(tmp_path))


def test_names_with_a_split_beside_names_without_are_an_instruction(tmp_path):
    for name in ("train.tfrecord", "more.tfrecord"):
        write(tmp_path / name, example(image=b"P", label=1))
    with pytest.raises(DataError, match="more.tfrecord names no split, other shards name train") as caught:
        open_source(str(tmp_path))
    assert caught.value.hint.startswith("mv ")
