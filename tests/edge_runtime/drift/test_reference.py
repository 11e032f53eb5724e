import json
import zipfile

import pytest

from edge_runtime.classifier import Classifier
from edge_runtime.drift.reference import (
    REFERENCE_NAME,
    NoReference,
    Reference,
    measure_reference,
    read_reference,
)
from edge_runtime.errors import ModelFileError, SourceError
from edge_runtime.model_file import LARGEST_MEMBER_BYTES, read_model_file


def test_what_is_packed_is_read(with_member, reference):
    path = with_member(reference.to_json())
    found = read_reference(read_model_file(path))
    assert found.to_json() == reference.to_json() and found.split == "validation"
    with zipfile.ZipFile(path) as archive:
        assert archive.namelist()[2:] == [REFERENCE_NAME] and archive.testzip() is None


def test_the_model_file_is_the_same_but_for_it(with_member, reference, tiny):
    """A litelens that does not know of it reads labels and manifest alone."""
    path = with_member(reference.to_json())
    assert read_model_file(path).manifest == read_model_file(tiny).manifest
    assert path.read_bytes().startswith(tiny.read_bytes()[: tiny.read_bytes().index(b"PK\x03\x04")])
    assert Classifier(path).selftest().passed
    assert path.read_bytes() == with_member(reference.to_json()).read_bytes(), "the same bytes every time"


def test_a_file_of_an_earlier_export_says_what_to_do(tiny):
    with pytest.raises(NoReference, match="kept no histogram of the validation pictures") as missing:
        read_reference(read_model_file(tiny))
    assert "export the run again" in missing.value.hint and "--data PICTURES" in missing.value.hint


def test_pictures_stand_in_for_it(tiny, pictures):
    skipped = []
    (pictures / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n cut")
    found = measure_reference(Classifier(tiny), pictures, skipped.append)
    assert (found.split, found.histogram.frames, len(skipped)) == ("pictures", 3, 1)
    assert found.histogram.counts[:, -1].tolist() == [1, 1, 1], "each colour once, and sure"
    with pytest.raises(SourceError):
        measure_reference(Classifier(tiny), pictures / "none", skipped.append)


def changed(reference: Reference, **fields) -> str:
    return json.dumps(reference.to_dict() | fields)


@pytest.mark.parametrize(
    "text, why",
    [
        (lambda _: "", "Expecting value"),
        (lambda _: "[]", "expected an object with the split's name"),
        (lambda _: "[" * 100_000, "nested too deeply"),
        (lambda _: "1" * 5000, "4300 digits"),
        (lambda reference: changed(reference, split=None), "the split's name"),
        (
            lambda reference: changed(reference, more=1),
            "expected an object with bins, counts, frames, unknown",
        ),
        (lambda reference: changed(reference, counts={"cat": {"19": 90}}), "'cat' is none of"),
        (lambda reference: changed(reference, frames=91), "the counts' sum is 90"),
    ],
)
def test_a_reference_that_is_none_is_named(with_member, reference, text, why):
    with pytest.raises(ModelFileError, match=f"{REFERENCE_NAME} cannot be read: .*{why}"):
        read_reference(read_model_file(with_member(text(reference))))


@pytest.mark.parametrize("text", ["x" * (LARGEST_MEMBER_BYTES + 1), None])
def test_one_that_is_too_large_or_altered_is_damaged(with_member, reference, text):
    path = with_member(text or reference.to_json())
    if text is None:
        content = path.read_bytes()
        path.write_bytes(content.replace(b'"split": "validation"', b'"split": "validatiom"'))
    with pytest.raises(ModelFileError, match="is damaged"):
        read_reference(read_model_file(path))


def test_a_file_that_is_gone_by_now(with_member, reference):
    model = read_model_file(with_member(reference.to_json()))
    model.path.unlink()
    with pytest.raises(ModelFileError, match="cannot read .*No such file"):
        read_reference(model)
