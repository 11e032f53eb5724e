import io
import os
import stat

import pytest

from edge_runtime.errors import ModelFileError
from edge_runtime.model_file import read_model_file
from edge_runtime.store import incoming
from edge_runtime.store.errors import StoreBusy, StoreError, StoreMissing, VersionRefused
from edge_runtime.store.lock import in_use
from edge_runtime.store.store import Store, stores


def names(store) -> list[str]:
    return sorted(os.listdir(store.folder))


OURS = [".reserve", "history.jsonl", "lock", "state.json"]


def test_a_first_version(empty, model, links, whats):
    assert empty.add(model("1"), by="me", why="a test") == ("1", "added")
    assert names(empty) == sorted([*OURS, "1.tflite"]) and links(empty) == (None, None)
    assert empty.switch("1", by="me") == "switched"
    assert links(empty) == ("1", None) and os.readlink(empty.folder / "current") == "1.tflite"
    assert whats(empty) == [("added", None, "1"), ("switched", None, "1")]
    first = empty.history().events[0]
    assert (first.by, first.why, first.when, first.boot) == (
        *("me", "a test", "2026-01-01T00:00:00+00:00"),
        "boot 1",
    )


def test_versions_are_told_with_what_they_are(store, model):
    found = {version.version: version for version in store.versions()}
    assert list(found) == ["1", "2", "3"]
    content = found["2"].path.read_bytes()
    assert found["2"].size_bytes == len(content) and found["2"].problem == ""
    assert store.add(io.BytesIO(content), found["2"].sha256.upper(), by="me") == ("2", "already")
    found["3"].path.write_bytes(content)
    assert "holds 'tiny' '2'" in {v.version: v.problem for v in store.versions()}["3"]


def test_the_same_file_again_changes_nothing(store, model, whats):
    before, told = {n: os.stat(store.folder / n).st_ino for n in names(store)}, whats(store)
    assert store.add(model("2"), by="me") == ("2", "already")
    assert store.switch("2", by="me") == "already" and store.confirm("2", by="me") == "already"
    assert {n: os.stat(store.folder / n).st_ino for n in names(store)} == before and whats(store) == told


def test_another_file_under_a_version_is_refused(store, model, whats):
    content = store.file("2").read_bytes()
    with pytest.raises(VersionRefused, match="2 is in the store with sha256 .*, the new file has"):
        store.add(model("2", off=1), by="me")
    assert store.file("2").read_bytes() == content and whats(store)[-1] == ("refused", "2", "2")


def test_a_damaged_version_is_repaired_by_the_same_file(store, model, links, whats):
    path = store.file("2")
    path.write_bytes(path.read_bytes()[:-100])
    assert "cut short" in {v.version: v.problem for v in store.versions()}["2"]
    assert store.add(model("2"), by="me") == ("2", "repaired")
    assert links(store) == ("2", "1") and whats(store)[-1] == ("repaired", None, "2")


REFUSED = {
    "garbage": (lambda packed: b"garbage" * 1000, ModelFileError, "is no TFLite model"),
    "empty": (lambda packed: b"", ModelFileError, "is no TFLite model"),
    "cut short": (lambda packed: packed("9")[:-50], ModelFileError, "was cut short"),
    "altered": (
        lambda packed: packed("9")[:2000] + b"\xff" + packed("9")[2001:],
        ModelFileError,
        "is damaged",
    ),
    "another model": (
        lambda packed: packed("9", name="flowers"),
        VersionRefused,
        "is the model 'flowers', expected 'tiny'",
    ),
    "a model of a bad name": (lambda packed: packed("9", name="../x"), VersionRefused, "is the model '../x'"),
}


@pytest.mark.parametrize("content, kind, why", REFUSED.values(), ids=REFUSED)
@pytest.mark.parametrize("streamed", [False, True])
def test_a_refused_file_leaves_a_line_in_the_history_and_nothing_else(
    store, packed, tmp_path, content, kind, why, streamed, whats
):
    before, file = names(store), tmp_path / "bad.tflite"
    file.write_bytes(content(packed))
    with pytest.raises(kind, match=why) as refused:
        store.add(io.BytesIO(file.read_bytes()) if streamed else file, by="me")
    assert str(refused.value).startswith("the stream" if streamed else str(file))
    assert names(store) == before and whats(store)[-1] == ("refused", "2", None)
    assert store.history().events[-1].why == str(refused.value)[:500]


def test_another_sha256_is_refused(store, model, whats):
    with pytest.raises(VersionRefused, match="has sha256 .*, expected 00"):
        store.add(model("9"), "00", by="me")
    assert "9.tflite" not in names(store) and whats(store)[-1] == ("refused", "2", None)


def test_an_endless_stream_ends(store, monkeypatch):
    monkeypatch.setattr(incoming, "LARGEST_BYTES", 5_000_000)

    class Endless:
        taken = 0

        def read(self, count):
            self.taken += count
            return bytes(count)

    endless, before = Endless(), names(store)
    with pytest.raises(VersionRefused, match="has more than 5000000 bytes"):
        store.add(endless, by="me")
    assert endless.taken < 7_000_000 and names(store) == before


def test_a_stream_that_breaks_off_leaves_nothing(store, packed):
    class Cut:
        left = [packed("9")[:1000]]

        def read(self, count):
            if self.left:
                return self.left.pop()
            raise ConnectionResetError("connection reset by peer")

    before = names(store)
    with pytest.raises(ModelFileError, match="cannot read the stream: connection reset"):
        store.add(Cut(), by="me")
    assert names(store) == before


@pytest.mark.parametrize("source", ["absent.tflite", "", "."])
def test_a_file_that_is_not_there_makes_no_folder(empty, tmp_path, source):
    with pytest.raises(ModelFileError, match="cannot read"):
        empty.add(tmp_path / source, by="me")
    assert not empty.folder.exists()


def test_without_a_store_nothing_is_made(tmp_path, model):
    with pytest.raises(StoreError, match="there is no store") as raised:
        Store(tmp_path / "absent" / "tiny").add(model(), by="me")
    assert "install -d" in raised.value.hint and not (tmp_path / "absent").exists()
    with pytest.raises(StoreError, match="there is no tiny in the store"):
        Store(tmp_path / "tiny").state()
    with pytest.raises(StoreError, match="there is no tiny in the store"):
        Store(tmp_path / "tiny").switch("1", by="me")


def test_switches_and_rollbacks(store, links, whats):
    assert links(store) == ("2", "1")
    assert store.switch("3", by="me", why="newer") == "switched" and links(store) == ("3", "2")
    assert store.rollback(by="me") == "rolled back" and links(store) == ("2", "3")
    assert store.rollback(by="me") == "rolled back" and links(store) == ("3", "2")
    assert whats(store)[-3:] == [("switched", "2", "3"), ("rolled back", "3", "2"), ("rolled back", "2", "3")]
    assert store.state().trial is None


def test_a_rollback_that_names_what_it_leaves_is_safe_to_repeat(store, links):
    assert store.rollback(leaving="2", by="me") == "rolled back"
    assert store.rollback(leaving="2", by="me") == "already"
    assert links(store) == ("1", "2")


def test_a_first_version_has_no_way_back(empty, model, links):
    empty.add(model("1"), by="me")
    with pytest.raises(StoreError, match="no version before the first"):
        empty.rollback(by="me")
    empty.switch("1", by="me")
    with pytest.raises(StoreError, match="no version before 1"):
        empty.rollback(by="me")
    assert links(empty) == ("1", None)


def test_nothing_leads_to_a_version_that_does_not_load(store, links, whats):
    with pytest.raises(StoreError, match="tiny 9: is not in the store"):
        store.switch("9", by="me")
    store.file("3").write_bytes(b"garbage")
    with pytest.raises(StoreError, match="tiny 3: .* is no TFLite model") as raised:
        store.switch("3", by="me")
    assert "litelens store add" in raised.value.hint
    store.file("1").write_bytes(b"garbage")
    with pytest.raises(StoreError, match="tiny 1: "):
        store.rollback(by="me")
    assert store.state().current == "2" and whats(store)[-1] == ("switched", "1", "2")


def test_only_the_current_version_can_be_confirmed(store):
    with pytest.raises(StoreError, match="'1' is not on trial: it was switched"):
        store.confirm("1", by="me")
    with pytest.raises(StoreError, match="'9' is not on trial: it is not in the history"):
        store.confirm("9", by="me")


@pytest.mark.parametrize(
    "count, left",
    [(1, ["1", "2", "5"]), (2, ["1", "2", "4", "5"]), (4, ["1", "2", "3", "4", "5"]), (9, None)],
)
def test_the_last_versions_are_kept_and_those_that_are_needed(store, model, links, count, left):
    for version in "45":
        store.add(model(version), by="me")
    removed = store.keep(count, by="me")
    assert [v.version for v in store.versions()] == (left or ["1", "2", "3", "4", "5"])
    assert set(removed) == set("12345") - set(left or "12345")
    assert [e.to_version for e in store.history().events if e.what == "removed"] == list(removed)
    assert links(store) == ("2", "1")


def test_a_version_in_use_is_kept(store, model):
    store.add(model("4"), by="me")
    with in_use(store.file("3")):
        assert store.keep(1, by="me") == ()
    assert store.keep(1, by="me") == ("3",)
    with pytest.raises(ValueError):
        store.keep(0, by="me")


def test_the_order_is_that_of_coming_not_of_a_clock(store, model):
    os.utime(store.file("3"), (0, 0))  # 1970, as a Pi has it until it finds a time server
    store.add(model("4"), by="me")
    assert [v.version for v in store.versions()] == ["1", "2", "3", "4"]
    assert store.keep(2, by="me") == ()


def test_what_was_done_by_hand_is_taken_in(store, links, whats):
    (store.folder / "4.tflite").write_bytes(store.file("3").read_bytes())
    store.file("3").unlink()
    (store.folder / "current").unlink()
    (store.folder / "1_edgetpu.tflite").write_bytes(b"not ours")
    store.settle(by="me")
    assert links(store) == ("2", "1") and store.state().added == ("1", "2", "4")
    assert whats(store)[-2:] == [("removed", None, "3"), ("added", None, "4")]
    assert "holds 'tiny' '3'" in store.versions()[-1].problem


def test_without_the_current_file_the_one_before_answers(store, links, whats):
    store.file("2").unlink()
    assert store.settle(by="me").current == "1"
    assert links(store) == ("1", None) and whats(store)[-1] == ("repaired", "2", "1")


@pytest.mark.parametrize("content", [None, b"", b"\0" * 500, b"{}", b'{"schema_version": 1}', b"\xff\xfe"])
def test_without_a_state_the_links_say_it(store, links, whats, content):
    if content is None:
        (store.folder / "state.json").unlink()
    else:
        (store.folder / "state.json").write_bytes(content)
    assert (store.state().current, store.state().previous) == ("2", "1")
    assert store.switch("3", by="me") == "switched" and links(store) == ("3", "2")
    assert ("repaired", "2", "2") in whats(store)


def test_what_a_dead_process_left_is_removed(store, links):
    (store.folder / ".incoming.0123").write_bytes(b"half")
    (store.folder / ".state.json.new").write_bytes(b"half")
    os.symlink("9.tflite", store.folder / ".current.new")
    store.switch("3", by="me")
    assert names(store) == sorted([*OURS, "1.tflite", "2.tflite", "3.tflite", "current", "previous"])
    assert links(store) == ("3", "2")


def test_what_a_living_process_writes_is_not_removed(store, packed):
    with store.staged(io.BytesIO(packed("9")), by="me") as staged:
        Store(store.folder).switch("3", by="another")
        assert staged.path.exists() and store.place(staged, by="me") == "added"
    assert not staged.path.exists() and store.file("9").exists()


@pytest.mark.parametrize(
    "mode, file, shared", [(0o755, 0o644, 0o644), (0o2775, 0o644, 0o664), (0o700, 0o600, 0o600)]
)
@pytest.mark.parametrize("umask", [0o022, 0o077])
def test_files_are_open_to_whom_the_store_is(tmp_path, model, mode, file, shared, umask):
    root = tmp_path / "store"
    root.mkdir()
    root.chmod(mode)
    before = os.umask(umask)
    try:
        store = Store(root / "tiny")
        store.add(model("1"), by="me")
        store.switch("1", by="me")
    finally:
        os.umask(before)
    modes = {name: stat.S_IMODE(os.lstat(store.folder / name).st_mode) for name in names(store)}
    assert stat.S_IMODE(store.folder.stat().st_mode) == mode
    assert modes.pop("current") == 0o777
    assert modes == dict.fromkeys((".reserve", "1.tflite", "state.json"), file) | dict.fromkeys(
        ("history.jsonl", "lock"), shared
    )


def test_a_store_has_models(tmp_path, packed):
    root = tmp_path / "store"
    root.mkdir()
    for name in ("parts", "flowers"):
        Store(root / name).add(io.BytesIO(packed("1", name=name)), by="me")
    (root / ".hidden").mkdir()
    (root / "a file").touch()
    assert [store.name for store in stores(root)] == ["flowers", "parts"]
    with pytest.raises(StoreMissing, match="there is no store"):
        stores(tmp_path / "absent")


def test_reading_changes_nothing_and_waits_for_nobody(store, model, links):
    (store.folder / "state.json").write_bytes(b"damaged")
    before = {n: os.lstat(store.folder / n) for n in names(store)}
    with store._locked("work", "another"):
        assert store.state().current == "2" and len(store.versions()) == 3 and store.history().events
    after = {n: os.lstat(store.folder / n) for n in names(store)}
    assert {n: (s.st_ino, s.st_size) for n, s in before.items()} == {
        n: (s.st_ino, s.st_size) for n, s in after.items()
    }


def test_a_switch_while_another_version_is_on_trial_is_refused(store, model, links):
    store.switch("3", healthy_s=30, by="alice from 192.0.2.7")
    with pytest.raises(StoreBusy, match="tiny 3 is on trial for alice from 192.0.2.7, 210 s left"):
        store.switch("1", by="bob")
    assert store.switch("3", by="bob") == "already"
    assert links(store) == ("3", "2") and read_model_file(store.file("1"))
