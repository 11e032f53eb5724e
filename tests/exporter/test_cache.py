import json

import pytest

from edge_runtime.errors import WriteError
from exporter.cache import Cached, CandidateCache

INPUTS = {"model": "ab12", "packages": {"tensorflow": "2.21"}, "calibration": [1, 2, 3]}
MADE = Cached(b"TFL3 model", {"fidelity": {"agreement": 0.98, "pictures": 64}})


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "candidates"


@pytest.fixture
def cache(folder):
    """One that has MADE for INPUTS."""
    cache = CandidateCache(folder)
    cache.write("ptq", INPUTS, MADE)
    return cache


def test_what_was_kept_comes_back_in_another_process_too(cache, folder):
    assert cache.read("ptq", INPUTS) == MADE
    in_another_order = dict(reversed(INPUTS.items()))
    assert CandidateCache(folder).read("ptq", in_another_order) == MADE
    (model,) = folder.glob("*.tflite")
    assert model.read_bytes() == MADE.model and model.name.startswith("ptq-")


@pytest.mark.parametrize(
    "kind, changed",
    [
        ("qat", {}),
        ("ptq", {"model": "ab13"}),
        ("ptq", {"packages": {"tensorflow": "2.22"}}),
        ("ptq", {"calibration": [1, 2, 4]}),
        ("ptq", {"edge_tpu": False}),
    ],
)
def test_what_was_made_of_other_inputs_is_absent(cache, kind, changed):
    assert cache.read(kind, INPUTS | changed) is None


def test_the_latest_is_kept(cache, folder):
    later = Cached(b"TFL3 later", {})
    cache.write("ptq", INPUTS, later)
    assert cache.read("ptq", INPUTS) == later
    assert len(list(folder.iterdir())) == 2


@pytest.mark.parametrize(
    "suffix, content",
    [
        (".tflite", None),
        (".tflite", b""),
        (".tflite", b"TFL3 model, altered"),
        (".json", None),
        (".json", b""),
        (".json", b'{"inputs": {}, "fac'),
        (".json", b"\xff\xfe"),
        (".json", b"[]"),
        (".json", b"null"),
        (".json", b'"model_sha256 facts"'),
        (".json", b'{"facts": {}}'),
        (".json", b'{"facts": {}, "model_sha256": "0"}'),
        (".json", json.dumps({"model_sha256": "0" * 64}).encode()),
    ],
)
def test_what_is_cut_or_altered_is_absent_and_is_made_again(cache, folder, suffix, content):
    (file,) = folder.glob(f"*{suffix}")
    if content is None:
        file.unlink()
    else:
        file.write_bytes(content)
    assert cache.read("ptq", INPUTS) is None
    cache.write("ptq", INPUTS, MADE)
    assert cache.read("ptq", INPUTS) == MADE


@pytest.mark.parametrize("before", [None, Cached(b"TFL3 earlier", {"seconds": 1})])
def test_a_kill_between_the_two_files_leaves_none(folder, monkeypatch, before):
    """The facts are written first; what a kill leaves of the model is the earlier one or nothing."""
    cache = CandidateCache(folder)
    if before:
        cache.write("ptq", INPUTS, before)

    def write(path, content):
        if path.suffix == ".tflite":
            raise KeyboardInterrupt
        path.write_bytes(content)

    monkeypatch.setattr("exporter.cache.write_whole", write)
    with pytest.raises(KeyboardInterrupt):
        cache.write("ptq", INPUTS, MADE)
    assert cache.read("ptq", INPUTS) is None


def test_without_a_folder_nothing_is_kept(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    cache = CandidateCache(None)
    cache.write("ptq", INPUTS, MADE)
    assert cache.read("ptq", INPUTS) is None and list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("blocked", ["candidates", "."], ids=["a file is in the way", "no run folder"])
def test_a_folder_that_cannot_be_made_is_an_instruction(tmp_path, blocked):
    if blocked == "candidates":
        (tmp_path / "candidates").write_bytes(b"")
    cache = CandidateCache(tmp_path / ("" if blocked == "candidates" else "absent") / "candidates")
    assert cache.read("ptq", INPUTS) is None
    with pytest.raises(WriteError, match="cannot make the folder .*candidates") as caught:
        cache.write("ptq", INPUTS, MADE)
    assert caught.value.hint
