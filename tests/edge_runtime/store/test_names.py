import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_runtime.store.errors import StoreError, VersionRefused
from edge_runtime.store.names import file_name, is_safe, version_of
from edge_runtime.store.store import open_store

SAFE = ["1", "20260101.120000", "parts", "Cats_and-dogs", "v1.2+rc.3", "a" * 100, "1.tflite", "0.."]
UNSAFE = {
    "empty": "",
    "this folder": ".",
    "the folder above": "..",
    "a way out": "../../etc/passwd",
    "absolute": "/etc/passwd",
    "a folder": "a/b",
    "hidden": ".hidden",
    "an option": "-rf",
    "NUL": "a\0b",
    "a line break": "1\n",
    "a space": "good 0",
    "not ASCII": "größe",
    "ASCII of another script": "１",
    "no UTF-8": "\udcff",
    "a terminal's": "\x1b[2J",
    "too long": "a" * 101,
    "much too long": "a" * 100_000,
    "the link": "current",
    "the other link": "previous",
    "the Edge TPU's": "1_edgetpu",
}


@pytest.mark.parametrize("name", SAFE)
def test_safe_names(name):
    assert is_safe(name) and version_of(file_name(name)) == name


@pytest.mark.parametrize("name", [name for name in UNSAFE.values() if name != "\udcff"], ids=ascii)
def test_no_file_brings_an_unsafe_version(empty, model, name):
    with pytest.raises(VersionRefused, match="no name of a file in a store") as refused:
        empty.add(model(version=name), by="test")
    assert len(str(refused.value)) < 500 and str(refused.value).isprintable()
    assert sorted(os.listdir(empty.folder)) == [".reserve", "history.jsonl", "lock"]
    assert [event.what for event in empty.history().events] == ["refused"]


@pytest.mark.parametrize("name", UNSAFE.values(), ids=UNSAFE)
def test_no_name_leads_out_of_the_store(tmp_path, name):
    with pytest.raises(VersionRefused):
        open_store(tmp_path / "store", name)


@pytest.mark.parametrize("name", UNSAFE.values(), ids=UNSAFE)
def test_no_call_follows_an_unsafe_version(unchanged, links, name):
    for call in (unchanged.switch, unchanged.confirm):
        with pytest.raises(StoreError):
            call(name, by="test")
    with pytest.raises(VersionRefused):
        unchanged.file(name)
    assert unchanged.rollback(leaving=name, by="test") == "already"
    assert links(unchanged) == ("2", "1")


@given(st.text(max_size=120) | st.text(st.sampled_from("./-_a1\0\n"), max_size=8))
def test_a_safe_name_is_one_file_in_its_folder(name):
    if not is_safe(name):
        return
    path = os.path.join("/store/tiny", file_name(name))
    assert os.path.normpath(path) == path and os.path.dirname(path) == "/store/tiny"
    assert file_name(name) not in ("state.json", "history.jsonl", "lock", "installing", "current", "previous")
    assert not file_name(name).startswith(".") and len(file_name(name)) < 200 and path.isprintable()
