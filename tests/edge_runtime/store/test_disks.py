"""Disks that are full, read-only or another's: nothing is half done, and what is wrong is told."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from edge_runtime.store.errors import StoreError
from edge_runtime.store.install import install
from edge_runtime.store.store import Store

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can be another user")


@pytest.fixture
def disk(tmpfs) -> Path:
    return tmpfs("size=256k,mode=755")


@pytest.fixture
def full(disk, unchanged, clock) -> Store:
    """A store on a disk without a byte left."""
    shutil.copytree(unchanged.folder, disk / "tiny", symlinks=True)
    fill(disk)
    return Store(disk / "tiny", clock)


def fill(disk: Path) -> None:
    with (disk / "filler").open("ab", buffering=0) as file:
        try:
            while True:
                file.write(bytes(4096))
        except OSError as problem:
            assert problem.errno == 28


def names(store: Store) -> list[str]:
    return sorted(os.listdir(store.folder))


def whys(store: Store) -> list[str]:
    return [event.what for event in store.history().events][5:]


def test_a_full_disk_takes_no_version_and_keeps_those_it_has(full, model, links):
    before = names(full)
    with pytest.raises(StoreError, match="No space left on device") as raised:
        full.add(model("4"), by="me")
    assert "free some disk space" in raised.value.hint
    assert names(full) == before and links(full) == ("2", "1") and full.state().current == "2"


def test_a_disk_that_becomes_full_takes_no_half_version(full, disk, model, links):
    os.truncate(disk / "filler", os.path.getsize(disk / "filler") - 4096)
    before = names(full)
    with pytest.raises(StoreError, match="No space left on device"):
        full.add(model("4"), by="me")
    assert names(full) == before and links(full) == ("2", "1")
    os.truncate(disk / "filler", 0)
    assert full.add(model("4"), by="me") == ("4", "added")


@pytest.mark.parametrize("operation", ["switch", "rollback"])
def test_on_a_full_disk_a_switch_takes_the_room_that_was_kept(full, disk, links, operation):
    if operation == "switch":
        full.switch("3", by="me")
    else:
        full.rollback(by="me")
    assert links(full) == (("3", "2") if operation == "switch" else ("1", "2"))
    os.unlink(disk / "filler")
    full.settle("me")
    assert whys(full) == ["switched" if operation == "switch" else "rolled back"]
    assert (full.folder / ".reserve").stat().st_size == 16_384, "it is kept again"


def test_on_a_full_disk_a_trial_ends_as_its_starts_cannot_be_counted(store, disk, clock, links):
    store.switch("3", healthy_s=30, by="me")
    shutil.copytree(store.folder, disk / "tiny", symlinks=True)
    full = Store(disk / "tiny", clock)
    assert full.started("loop") == "tiny 3 is on trial, start 1 of 3"
    fill(disk)
    assert full.started("loop") == "tiny 3 was rolled back: the disk is full, so its starts cannot be counted"
    assert links(full) == ("2", "1") and full.state().trial is None
    fill(disk)  # what became free, another program takes
    assert full.started("loop") == "" and links(full) == ("2", "1")


def test_on_a_full_disk_a_trial_ends_when_its_time_is_over(store, disk, clock, links):
    store.switch("3", healthy_s=30, by="me")
    shutil.copytree(store.folder, disk / "tiny", symlinks=True)
    fill(disk)
    clock.uptime_s += 1000
    assert Store(disk / "tiny", clock).settle("loop").current == "2"
    assert links(Store(disk / "tiny", clock)) == ("2", "1")


def test_what_the_disk_kept_from_the_history_is_not_forgotten(store, links):
    told = store.folder / "history.jsonl"
    kept = told.read_bytes()
    told.unlink()
    told.symlink_to(told.name)  # no file can be opened through it
    store.switch("3", by="me")
    store.rollback(by="me")
    assert links(store) == ("2", "3")
    told.unlink()
    told.write_bytes(kept)
    store.settle("me")
    assert whys(store) == ["switched", "rolled back"] and store.history().damaged_lines == 0


def test_a_read_only_disk_is_read(disk, unchanged, model, links, clock):
    shutil.copytree(unchanged.folder, disk / "tiny", symlinks=True)
    store = Store(disk / "tiny", clock)
    subprocess.run(["mount", "-o", "remount,ro", disk], check=True)
    for call in (
        lambda: store.add(model("4"), by="me"),
        lambda: store.switch("3", by="me"),
        lambda: store.rollback(by="me"),
        lambda: store.keep(1, by="me"),
        lambda: store.settle("me"),
        lambda: install(store, model("4"), by="me"),
    ):
        with pytest.raises(StoreError, match="Read-only file system") as raised:
            call()
        assert raised.value.hint == "mount the disk writable"
    assert links(store) == ("2", "1") and store.started("loop") == "" and len(store.versions()) == 3
    assert store.history().events == unchanged.history().events


AS_ANOTHER = """
import json, os, sys
from pathlib import Path
from edge_runtime.errors import LitelensError
from edge_runtime.store.cli import store as command
from edge_runtime.store.store import Store
from edge_runtime.model_file import read_model_file
uid, gid, umask, folder, verb, *words = json.loads(sys.argv[1])
read_model_file(sys.argv[2])  # loads what the other user may not be able to read
os.umask(umask)
os.setgroups([gid])
os.setgid(uid)
os.setuid(uid)
store = Store(Path(folder))
try:
    if verb == "add":
        print(*store.add(sys.stdin.buffer, by=str(uid)))
    else:
        print(getattr(store, verb)(*words, by=str(uid)))
except LitelensError as error:
    print(f"{type(error).__name__}: {error}")
    print(error.hint)
"""


@pytest.fixture
def as_user(tiny):
    """Calls a method of a store as another user, who is in one group besides his own; returns what he is told."""

    def call(
        folder: Path, verb: str, *words: str, uid=4321, gid=4321, umask=0o027, stdin: bytes = b""
    ) -> str:
        arguments = json.dumps([uid, gid, umask, str(folder), verb, *words])
        ended = subprocess.run(
            [sys.executable, "-c", AS_ANOTHER, arguments, tiny],
            input=stdin,
            capture_output=True,
            timeout=120,
            env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
        )
        assert ended.returncode == 0, ended.stderr.decode()
        return ended.stdout.decode()

    return call


@pytest.fixture
def shared(memory) -> Path:
    """A folder that other users can reach, which those of pytest are not."""
    memory.chmod(0o755)
    return memory


@as_root
@pytest.mark.slow
def test_another_users_store_is_not_changed(shared, unchanged, links, packed, as_user):
    shutil.copytree(unchanged.folder, shared / "tiny", symlinks=True)
    store = Store(shared / "tiny")
    before = names(store)
    for verb, words, stdin in (("add", (), packed("4")), ("switch", ("3",), b""), ("rollback", (), b"")):
        told = as_user(store.folder, verb, *words, stdin=stdin)
        assert told.startswith("StoreError: ") and "Permission denied" in told, told
        assert f"ls -ld {store.folder}" in told
    assert names(store) == before and links(store) == ("2", "1")
    assert as_user(store.folder, "started") == "\n"
    shared.chmod(0o700)
    assert "Permission denied" in as_user(store.folder, "started")


@as_root
@pytest.mark.slow
@pytest.mark.parametrize("umask", [pytest.param(0o027, marks=pytest.mark.soak), 0o077])
def test_a_store_may_be_a_groups(shared, links, packed, as_user, umask):
    """The service runs as one user, flash comes as another; both are in the store's group."""
    root = shared / "store"
    root.mkdir()
    os.chown(root, 0, 4000)
    root.chmod(0o2775)
    flash, service = ({"uid": uid, "gid": 4000, "umask": umask} for uid in (5001, 5002))
    folder = root / "tiny"
    for version in "12":
        assert as_user(folder, "add", stdin=packed(version), **flash) == f"{version} added\n"
    assert as_user(folder, "switch", "1", **flash) == "switched\n"
    assert as_user(folder, "add", stdin=packed("3"), **service) == "3 added\n"
    assert as_user(folder, "switch", "3", **service) == "switched\n"
    assert as_user(folder, "rollback", **flash) == "rolled back\n"
    assert as_user(folder, "rollback", uid=5003, gid=5003).startswith("StoreError: ")
    store = Store(folder)
    assert links(store) == ("1", "3")
    assert [event.by for event in store.history().events] == ["5001"] * 3 + ["5002"] * 2 + ["5001"]
    assert {os.stat(folder / name).st_gid for name in names(store)} == {4000}
