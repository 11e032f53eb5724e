import dataclasses
import io
import json
import string
import zipfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_runtime import Classifier
from edge_runtime.decision import DecisionRule
from edge_runtime.errors import ModelFileError
from edge_runtime.model_file import (
    LABELS_NAME,
    LARGEST_MEMBER_BYTES,
    MANIFEST_NAME,
    Accuracy,
    Gate,
    Manifest,
    Provenance,
    SelfTestVector,
    pack,
    read_model_file,
)
from edge_runtime.preprocessing import RESIZE_RULES


@pytest.fixture(scope="module")
def whole(tiny) -> bytes:
    return tiny.read_bytes()


@pytest.fixture(scope="module")
def manifest(tiny) -> Manifest:
    return read_model_file(tiny).manifest


@pytest.fixture(scope="module")
def file(tmp_path_factory) -> Path:
    """Where the altered models of this module are written."""
    return tmp_path_factory.mktemp("models") / "altered.tflite"


def start_of_zip(content: bytes) -> int:
    return min(info.header_offset for info in zipfile.ZipFile(io.BytesIO(content)).infolist())


def repacked(content: bytes, **members: str) -> bytes:
    """The same model with other zip members; keys name them with _ for the dot."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        texts = {name: archive.read(name).decode() for name in archive.namelist()}
    texts |= {name.replace("_", "."): text for name, text in members.items()}
    packed = io.BytesIO(content[: start_of_zip(content)])
    packed.seek(0, io.SEEK_END)
    with zipfile.ZipFile(packed, "a") as archive:
        for name, text in texts.items():
            if text is not None:
                archive.writestr(name, text)
    return packed.getvalue()


def fitting(manifest: Manifest, labels: tuple[str, ...]) -> Manifest:
    """The manifest with one threshold a label."""
    rule = dataclasses.replace(manifest.decision, thresholds=(0.5,) * len(labels))
    return dataclasses.replace(manifest, decision=rule)


def test_reads_the_tiny_model(tiny):
    model = read_model_file(tiny)
    assert model.labels == ("blue", "green", "red")
    assert model.size_bytes == tiny.stat().st_size <= 10_000
    assert (model.manifest.name, model.manifest.method, model.manifest.accuracy.int8_top1) == (
        "tiny",
        "ptq",
        1,
    )


def test_the_standard_librarys_zipfile_opens_it(tiny):
    with zipfile.ZipFile(tiny) as archive:
        assert archive.namelist() == [LABELS_NAME, MANIFEST_NAME] and archive.testzip() is None


def test_the_same_parts_pack_to_the_same_bytes(whole, manifest):
    assert pack(whole[: start_of_zip(whole)], ("blue", "green", "red"), manifest) == whole


# Folder names hold anything but a slash; these are one line of UTF-8.
LABEL = st.text(st.characters(exclude_characters="\n\r", exclude_categories=["Cs"]), min_size=1).filter(
    str.strip
)


@given(st.lists(LABEL, min_size=1, unique=True))
def test_labels_and_manifest_come_back_as_they_went_in(whole, manifest, file, labels):
    wanted = fitting(manifest, tuple(labels))
    file.write_bytes(pack(whole[: start_of_zip(whole)], tuple(labels), wanted))
    model = read_model_file(file)
    assert model.labels == tuple(labels)
    assert model.manifest == dataclasses.replace(wanted, model_sha256=manifest.model_sha256)


@pytest.mark.parametrize("separator", ["\u2028", "\u2029", "\x85", "\x0b", "\x0c", "\x1c", "\x1e"])
def test_only_a_newline_ends_a_label(whole, manifest, file, separator):
    labels = (f"a{separator}b", "c")
    file.write_bytes(pack(whole[: start_of_zip(whole)], labels, fitting(manifest, labels)))
    assert read_model_file(file).labels == labels


@pytest.mark.parametrize(
    "labels, message",
    [
        ((), "empty or repeated"),
        (("a", "a"), "empty or repeated"),
        (("a", " "), "empty or repeated"),
        (("a\nb", "c"), "cannot be one line"),
        (("a\r", "c"), "cannot be one line"),
        (("\udcff", "c"), "cannot be one line"),
    ],
)
def test_pack_refuses_labels_that_would_not_come_back(whole, manifest, labels, message):
    with pytest.raises(ModelFileError, match=message):
        pack(whole[: start_of_zip(whole)], labels, manifest)


def test_every_cut_is_noticed(whole, file):
    for length in range(len(whole)):
        file.write_bytes(whole[:length])
        with pytest.raises(ModelFileError) as caught:
            read_model_file(file)
        assert str(file) in str(caught.value) and caught.value.hint


@pytest.mark.parametrize("length", [100, 2000])
def test_a_cut_is_called_a_cut(whole, file, length):
    file.write_bytes(whole[:-length])
    with pytest.raises(ModelFileError, match=f"cut short: it ends after {len(whole) - length} bytes"):
        read_model_file(file)


@pytest.mark.parametrize("flip", [0x01, 0xFF])
def test_every_altered_byte_is_noticed_or_harmless(whole, manifest, file, flip):
    """Harmless: a date or an attribute in the zip, which nobody reads."""
    for offset in range(len(whole)):
        altered = bytearray(whole)
        altered[offset] ^= flip
        file.write_bytes(altered)
        try:
            model = read_model_file(file)
        except ModelFileError:
            continue
        assert offset >= start_of_zip(whole), "the model part was altered"
        assert (model.labels, model.manifest) == (("blue", "green", "red"), manifest)


def test_an_altered_model_is_called_damaged(whole, file):
    altered = bytearray(whole)
    altered[1000] ^= 1
    file.write_bytes(altered)
    with pytest.raises(ModelFileError, match="is damaged: its model has sha256 [0-9a-f]{12}"):
        read_model_file(file)


@pytest.mark.parametrize(
    "content, message",
    [
        (b"", "is no TFLite model: expected TFL3 at byte 4, the file starts with nothing"),
        (b"\x89PNG\r\n\x1a\n" + bytes(100), "starts with 89 50 4e 47"),
        (b"PK\x05\x06" + bytes(18), "is no TFLite model"),
        (bytes(4) + b"TFL3" + bytes(100), "has no manifest"),
    ],
    ids=["empty", "a picture", "a zip", "a bare model"],
)
def test_refuses_foreign_files(file, content, message):
    file.write_bytes(content)
    with pytest.raises(ModelFileError, match=message):
        read_model_file(file)


def test_refuses_what_is_no_file(tmp_path):
    with pytest.raises(ModelFileError, match="is a directory"):
        read_model_file(tmp_path)
    with pytest.raises(ModelFileError, match="is not there"):
        read_model_file(tmp_path / "absent.tflite")


def change(*path, to):
    """Sets (or, to None, removes) the value at a path of the manifest."""

    def apply(fields: dict) -> None:
        for key in path[:-1]:
            fields = fields[key]
        if to is None:
            del fields[path[-1]]
        else:
            fields[path[-1]] = to

    return apply


@pytest.mark.parametrize(
    "alter, message",
    [
        (change("threshold", to=0.5), "the manifest has the unknown key threshold"),
        (change("accuracy", "float_top5", to=1.0), "accuracy has the unknown key float_top5"),
        (change("selftest", 0, "input", to=[]), "a self-test vector has the unknown key input"),
        (change("resize", to=None), "the manifest lacks resize"),
        (change("accuracy", to=None), "accuracy is None, expected an object"),
        (change("accuracy", "split", to=None), "accuracy lacks split"),
        (change("provenance", "packages", to=None), "provenance lacks packages"),
        (change("schema_version", to=1), "has schema version 1, this litelens reads 2"),
        (change("schema_version", to=3), "has schema version 3, this litelens reads 2"),
        (change("schema_version", to=None), "has schema version None, this litelens reads 2"),
        (change("resize", to="letterbox"), "resize rule 'letterbox', this litelens knows centre-crop"),
        (change("name", to=7), "name is 7, expected str"),
        (change("accuracy", "int8_top1", to="high"), "int8_top1 is 'high', expected float"),
        (change("accuracy", "pictures", to=True), "pictures is True, expected int"),
        (change("accuracy", "agreement", to=float("nan")), "agreement is nan, expected a finite number"),
        (change("accuracy", "agreement", to=10**400), "expected a finite number"),
        (change("gate", to=None), "gate is None, expected an object"),
        (change("gate", "min_ratio", to=None), "gate lacks min_ratio"),
        (change("gate", "margin", to=1.0), "gate has the unknown key margin"),
        (change("gate", "outcome", to="missed"), "outcome is 'missed', expected passed or off"),
        (change("gate", "max_drop", to=float("inf")), "max_drop is inf, expected a finite number"),
        (change("gate", "max_class_drop", to="1"), "max_class_drop is '1', expected float"),
        (change("decision", to=None), "decision is None, expected an object"),
        (change("decision", "split", to=None), "decision lacks split"),
        (change("decision", "smoothing", to=3), "decision has the unknown key smoothing"),
        (change("decision", "temperature", to=0), "temperature is 0, expected a number above 0"),
        (change("decision", "temperature", to=-1.5), "temperature is -1.5, expected a number above 0"),
        (change("decision", "temperature", to=float("nan")), "temperature is nan, expected a finite"),
        (change("decision", "precision", to=95), "precision is 95, expected 0 to 1"),
        (change("decision", "pictures", to=2.5), "pictures is 2.5, expected int"),
        (change("decision", "thresholds", to=0.5), "thresholds are 0.5, expected numbers from 0 to 1"),
        (change("decision", "thresholds", 1, to=1.01), "expected numbers from 0 to 1"),
        (change("decision", "thresholds", 1, to=-0.01), "expected numbers from 0 to 1"),
        (change("decision", "thresholds", 1, to=float("nan")), "expected numbers from 0 to 1"),
        (change("decision", "thresholds", 1, to=True), "expected numbers from 0 to 1"),
        (change("decision", "thresholds", to=[0, 1]), "has 2 thresholds, labels.txt has 3 labels"),
        (change("decision", "thresholds", to=[]), "has 0 thresholds, labels.txt has 3 labels"),
        (change("provenance", "config", to=[]), r"config is \[\], expected dict"),
        (change("selftest", to={}), "selftest is {}, expected a list"),
        (change("selftest", to=[]), "expected a list of at least one vector"),
        (change("selftest", 0, "expected", to=5), "expected is 5, expected whole numbers"),
        (change("selftest", 0, "coefficients", to=[1, 2.5, 3]), "expected whole numbers"),
        (change("selftest", 0, "coefficients", to=[1, 2]), "has 2 coefficients, expected 3"),
        (change("model_sha256", to="0" * 64), "its manifest says 000000000000"),
        (change("model_sha256", to=""), "its manifest says nothing"),
    ],
)
def test_refuses_manifests_it_does_not_know(whole, manifest, file, alter, message):
    fields = json.loads(manifest.to_json())
    alter(fields)
    file.write_bytes(repacked(whole, litelens_json=json.dumps(fields)))
    with pytest.raises(ModelFileError, match=message) as caught:
        read_model_file(file)
    assert str(file) in str(caught.value) and caught.value.hint


@pytest.mark.parametrize(
    "members, message",
    [
        ({"litelens_json": "{"}, "litelens.json is no JSON"),
        ({"litelens_json": "[" * 100_000}, "litelens.json is no JSON"),
        ({"litelens_json": "1" * 5_000}, "litelens.json is no JSON"),
        ({"litelens_json": "[]"}, "holds a list, expected an object"),
        ({"litelens_json": None}, r"carries no litelens.json, only \['labels.txt'\]"),
        ({"labels_txt": None}, "carries no labels.txt"),
        ({"labels_txt": ""}, "empty or repeated"),
        ({"labels_txt": "blue\nblue\nred\n"}, "empty or repeated"),
        ({"labels_txt": "blue\n\nred\n"}, "empty or repeated"),
    ],
)
def test_refuses_other_zip_members(whole, file, members, message):
    file.write_bytes(repacked(whole, **members))
    with pytest.raises(ModelFileError, match=message):
        read_model_file(file)


@pytest.mark.parametrize("name", [LABELS_NAME, MANIFEST_NAME])
def test_refuses_what_unpacks_to_more_than_a_device_has_memory_for(whole, manifest, file, name):
    members = {LABELS_NAME: b"blue\ngreen\nred\n", MANIFEST_NAME: manifest.to_json().encode()}
    members[name] += b" " * LARGEST_MEMBER_BYTES
    packed = io.BytesIO(whole[:400])
    with zipfile.ZipFile(packed, "a", zipfile.ZIP_DEFLATED) as archive:
        for member, content in members.items():
            archive.writestr(member, content)
    file.write_bytes(packed.getvalue())
    with pytest.raises(
        ModelFileError, match=f"is damaged: {name} is larger than {LARGEST_MEMBER_BYTES} bytes"
    ):
        read_model_file(file)


@pytest.mark.parametrize("count", [1, 2, 4, 26])
def test_labels_must_fit_the_models_output(whole, manifest, file, count):
    labels = tuple(string.ascii_lowercase[:count])
    file.write_bytes(pack(whole[: start_of_zip(whole)], labels, fitting(manifest, labels)))
    with pytest.raises(ModelFileError, match=f"has {count} labels, the model's output has shape"):
        Classifier(file)


def test_selftest_vectors_must_fit_the_models_output(whole, manifest, file):
    short = dataclasses.replace(manifest.selftest[0], expected=(1, 2))
    fields = dataclasses.replace(manifest, selftest=(short,))
    file.write_bytes(pack(whole[: start_of_zip(whole)], ("blue", "green", "red"), fields))
    with pytest.raises(ModelFileError, match="a self-test vector expects 2 outputs, the model has 3"):
        Classifier(file)


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"thresholds": (0.5,)}, "the model to pack: the decision has 1 thresholds, labels.txt has 3"),
        ({"temperature": 0.0}, "temperature is 0.0, expected a number above 0"),
        ({"temperature": float("nan")}, "temperature is nan, expected a finite number"),
        ({"precision": 1.5}, "precision is 1.5, expected 0 to 1"),
    ],
)
def test_pack_refuses_a_manifest_that_a_device_would_refuse(whole, manifest, changes, message):
    altered = dataclasses.replace(manifest, decision=dataclasses.replace(manifest.decision, **changes))
    with pytest.raises(ModelFileError, match=message):
        pack(whole[: start_of_zip(whole)], ("blue", "green", "red"), altered)


NUMBER = st.floats(allow_nan=False, allow_infinity=False)
SHARE = st.floats(0, 1)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | NUMBER | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=5,
)
MANIFEST = st.builds(
    Manifest,
    name=st.text(),
    version=st.text(),
    resize=st.sampled_from(RESIZE_RULES),
    method=st.text(),
    accuracy=st.builds(
        Accuracy, st.text(), st.integers(), float_top1=NUMBER, int8_top1=NUMBER, agreement=NUMBER
    ),
    gate=st.builds(
        Gate, st.sampled_from(["passed", "off"]), max_drop=NUMBER, min_ratio=NUMBER, max_class_drop=NUMBER
    ),
    decision=st.builds(
        DecisionRule,
        temperature=st.floats(0, exclude_min=True, allow_infinity=False),
        thresholds=st.lists(SHARE).map(tuple),
        precision=SHARE,
        split=st.text(),
        pictures=st.integers(),
    ),
    selftest=st.lists(
        st.builds(
            SelfTestVector, st.tuples(*[st.integers()] * 3), st.lists(st.integers()).map(tuple), st.integers()
        ),
        min_size=1,
    ).map(tuple),
    provenance=st.builds(
        Provenance, st.text(), st.dictionaries(st.text(), JSON), st.dictionaries(st.text(), JSON)
    ),
    model_sha256=st.text(),
)


@given(MANIFEST)
def test_any_manifest_comes_back_as_it_went_in(any_manifest):
    assert Manifest.from_json(any_manifest.to_json()) == any_manifest


def test_a_manifest_says_all_it_holds(manifest):
    assert Manifest.from_json(manifest.to_json()) == manifest
    assert json.loads(manifest.to_json()) == json.loads(json.dumps(dataclasses.asdict(manifest)))
