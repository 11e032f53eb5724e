"""From a file to the version that answers, through the real self-test."""

import io
import os

import pytest

from edge_runtime.errors import ModelFileError
from edge_runtime.selftest import SelfTestUnfinished
from edge_runtime.store.errors import SelfTestMissed, StoreBusy, VersionRefused
from edge_runtime.store.install import install

# Of the tiny model: a tensor's index becomes 127, and LiteRT reads far outside its tensors.
CRASHING = (2019, 127)


@pytest.fixture
def crashing(tiny, packed) -> bytes:
    content = tiny.read_bytes()
    model = bytearray(content[: content.index(b"PK\x03\x04")])
    model[CRASHING[0]] = CRASHING[1]
    return packed("4", model=bytes(model))


def test_a_good_file_answers(store, model, links, whats):
    done = install(store, model("4"), max_latency_ms=60_000, by="me", why="newer")
    assert (done.version, done.did) == ("4", "switched") and done.report.passed
    assert done.report.model == str(store.file("4"))
    assert links(store) == ("4", "2")
    assert whats(store)[-3:] == [("added", None, "4"), ("switched", "2", "4"), ("removed", None, "1")]


def test_the_current_version_is_not_tried_again(store, model, whats):
    before = whats(store)
    done = install(store, io.BytesIO(store.file("2").read_bytes()), by="me")
    assert (done.version, done.did, done.report) == ("2", "already", None) and whats(store) == before


REFUSED = {
    "wrong answers": (
        lambda packed, crashing: packed("4", off=100),
        SelfTestMissed,
        "differs by .* output steps",
        3,
        "4",
    ),
    "a crash": (lambda packed, crashing: crashing, SelfTestUnfinished, "SIGSEGV", 1, "4"),
    "garbage": (lambda packed, crashing: b"garbage", ModelFileError, "is no TFLite model", 1, None),
    "other bytes": (lambda packed, crashing: packed("1", off=1), VersionRefused, "is in the store", 1, "1"),
}


@pytest.mark.slow
@pytest.mark.parametrize("content, kind, why, code, version", REFUSED.values(), ids=REFUSED)
def test_a_refused_file_changes_nothing_and_the_history_says_why(
    store, packed, crashing, links, content, kind, why, code, version
):
    before = sorted(os.listdir(store.folder))
    with pytest.raises(kind, match=why) as refused:
        install(store, io.BytesIO(content(packed, crashing)), by="me")
    assert refused.value.exit_code == code and refused.value.hint
    assert links(store) == ("2", "1")
    assert sorted(os.listdir(store.folder)) == sorted([*before, "installing"])
    event = store.history().events[-1]
    assert (event.what, event.from_version, event.to_version, event.by) == ("refused", "2", version, "me")
    assert event.why in str(refused.value) and ".incoming" not in event.why


@pytest.mark.slow
def test_a_file_that_is_too_slow_is_refused(store, model, links):
    with pytest.raises(
        SelfTestMissed, match=r"tiny 4 takes .* ms for 99 of 100 frames, expected at most 0.001 ms"
    ):
        install(store, model("4"), max_latency_ms=0.001, by="me")
    assert links(store) == ("2", "1") and not store.file("4").exists()


@pytest.mark.slow
def test_a_refused_file_may_be_installed_where_the_budget_is_larger(store, model, links):
    with pytest.raises(SelfTestMissed):
        install(store, model("4"), max_latency_ms=0.001, by="me")
    install(store, model("4"), max_latency_ms=60_000, healthy_s=30, by="me")
    assert links(store) == ("4", "2") and store.state().trial.healthy_s == 30


def test_nothing_is_installed_during_a_trial_or_another_installation(store, model, links):
    with store.installing("alice"), pytest.raises(StoreBusy, match="alice"):
        install(store, model("4"), by="bob")
    store.switch("3", healthy_s=30, by="alice")
    with pytest.raises(StoreBusy, match="tiny 3 is on trial for alice"):
        install(store, model("4"), by="bob")
    assert links(store) == ("3", "2") and not store.file("4").exists()
    assert install(store, model("3"), by="bob").did == "already"
