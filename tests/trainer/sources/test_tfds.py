"""A real set of TensorFlow Datasets, written to disk and read back by its name; no network."""

import numpy as np
import pytest

from edge_runtime.errors import DataError, MissingExtraError
from trainer.sources.open_source import open_source

pytestmark = pytest.mark.slow
LABELS = ["cat", "sea/lake", "Hündin"]


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    """A folder of prepared sets: shapes (train, test, extra), single (train), numbers (no picture)."""
    import tensorflow_datasets as tfds

    from trainer.legacy_keras import tf  # noqa: F401

    folder = tmp_path_factory.mktemp("tfds")
    features = tfds.features.FeaturesDict(
        {
            "image": tfds.features.Image(shape=(None, None, 3), encoding_format="png"),
            "label": tfds.features.ClassLabel(names=LABELS),
            "name": tfds.features.Text(),
        }
    )

    def store(name, features, **splits):
        tfds.dataset_builders.store_as_tfds_dataset(
            name,
            version="1.2.3",
            features=features,
            split_datasets=splits,
            data_dir=folder,
            disable_shuffling=True,
        )

    def examples(count, unlabelled=0):
        return [
            (
                n,
                {
                    "image": picture(n),
                    "label": LABELS[n % 3] if n >= unlabelled else -1,
                    "name": f"picture {n}",
                },
            )
            for n in range(count)
        ]

    store("shapes", features, train=examples(12), test=examples(6, unlabelled=2), extra=examples(3))
    store("single", features, train=examples(10))
    store("odd_splits", features, first=examples(3), second=examples(3))
    store(
        "numbers",
        tfds.features.FeaturesDict({"x": np.int64, "label": tfds.features.ClassLabel(names=LABELS)}),
        train=[(0, {"x": 1, "label": "cat"})],
    )
    return folder


def picture(number):
    return np.full((9, 8 + number, 3), number * 20, np.uint8)


@pytest.fixture(autouse=True)
def data_dir(prepared, monkeypatch):
    monkeypatch.setenv("TFDS_DATA_DIR", str(prepared))


def test_splits_labels_and_encoded_pictures(cache, listed, capsys):
    from PIL import Image

    source = open_source("tfds:shapes")
    assert source.folder.parent == cache / "data" and len(source.files) == 12 + 4
    assert {(file.split, file.label) for file in source.files} == {
        (split, label) for split in ("train", "test") for label in LABELS
    }
    for file in source.files:
        if file.split == "train":
            with Image.open(file.path) as image:
                number = int(file.path.stem)
                assert image.format == "PNG" and LABELS[number % 3] == file.label
                np.testing.assert_array_equal(np.asarray(image), picture(number))
    said = capsys.readouterr().err
    assert "not used are the splits extra" in said and "2 pictures of test have no label" in said


@pytest.mark.parametrize(
    "spec, count",
    [
        ("tfds:single", 10),
        ("tfds:single:1.2.3", 10),
        ("tfds:single:train", 10),
        ("tfds:single:train[:50%]", 5),
        ("tfds:single:1.2.3:train[2:]", 8),
        ("tfds:shapes:extra", 3),
        ("tfds:shapes:train+extra", 15),
        ("tfds:odd_splits:second", 3),
    ],
)
def test_a_single_split_or_a_part_is_not_split(spec, count):
    source = open_source(spec)
    assert len(source.files) == count and {file.split for file in source.files} == {""}


@pytest.mark.parametrize(
    "spec, says",
    [
        ("tfds:", "has no set ''"),
        ("tfds:no such set", "has no set 'no such set'"),
        ("tfds:nosuchset", "has no set 'nosuchset'"),
        ("tfds:single:9.9.9", "has no set 'single:9.9.9'"),
        ("tfds:mnist:9.9.9", "has no set 'mnist:9.9.9'"),
        ("tfds:single:validation", "no split 'validation'.*it has train"),
        ("tfds:single:train[", "no split 'train\\['"),
        ("tfds:single:train[:0]", "is empty"),
        ("tfds:odd_splits", "has the splits first, second, expected train"),
        ("tfds:numbers", "0 features of the kind Image, expected one picture; it has .*x "),
    ],
)
def test_what_is_not_there_is_an_instruction(spec, says):
    with pytest.raises(DataError, match=says) as caught:
        open_source(spec)
    assert caught.value.hint


def test_no_network_is_an_instruction(monkeypatch):
    import requests
    import tensorflow_datasets as tfds

    def fail(*_, **__):
        raise requests.ConnectionError("Failed to resolve 'storage.googleapis.com'")

    monkeypatch.setattr(tfds.core.DatasetBuilder, "download_and_prepare", fail)
    with pytest.raises(DataError, match="tfds:mnist cannot be downloaded .*Failed to resolve") as caught:
        open_source("tfds:mnist")
    assert "TFDS_DATA_DIR" in caught.value.hint


def test_without_the_library_is_an_instruction(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "tensorflow_datasets", None)
    with pytest.raises(MissingExtraError) as caught:
        open_source("tfds:mnist")
    assert caught.value.hint == "pip install 'litelens[tfds]'"
