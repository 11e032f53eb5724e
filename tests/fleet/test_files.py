"""Files that go to another machine and come back: whole, absent, or continued."""

import asyncio
import os
import random

import pytest
from ssh_server import wait_until

from edge_runtime.errors import WriteError
from fleet.connection import connect
from fleet.errors import (
    ConnectionCut,
    RemoteCommandFailed,
    RemoteDiskFull,
    RemotePermissionDenied,
    TransferDamaged,
)
from fleet.files import download, sha256_of, upload, upload_together

pytest_plugins = ["ssh_fixtures"]


@pytest.fixture
def on(device):
    """Calls one of the functions with a connection to the device; returns what it returns."""

    def call(function, *arguments, **options):
        async def connected():
            async with connect(device.name) as machine:
                return await function(machine, *arguments, **options)

        return asyncio.run(connected())

    return call


@pytest.fixture
def file(tmp_path):
    """8 MB that repeat nowhere."""
    path = tmp_path / "a model.tflite"
    path.write_bytes(random.Random(0).randbytes(8_000_000))
    return path


@pytest.fixture
def target(device):
    """Where it goes: a name that a shell would take apart."""
    folder = device.home / "it's a $(folder)"
    folder.mkdir()
    return folder / "-the model's; name.tflite"


def test_a_file_arrives(on, file, target):
    arrived = []
    assert on(upload, file, str(target), mode=0o640, progress=arrived.append) == 8_000_000
    assert target.read_bytes() == file.read_bytes()
    assert target.stat().st_mode & 0o777 == 0o640
    assert sum(arrived) == 8_000_000
    assert os.listdir(target.parent) == [target.name]


@pytest.mark.parametrize("size_bytes", [0, 1])
def test_a_small_file_arrives(on, tmp_path, target, size_bytes):
    (tmp_path / "small").write_bytes(bytes(size_bytes))
    assert on(upload, tmp_path / "small", str(target)) == size_bytes
    assert target.read_bytes() == bytes(size_bytes)


def test_a_file_that_is_there_is_not_sent_again(on, file, target):
    target.write_bytes(file.read_bytes())
    before = target.stat()
    arrived = []
    assert on(upload, file, str(target), progress=arrived.append) == 0
    assert (target.stat().st_ino, target.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    assert sum(arrived) == 8_000_000


def test_a_cut_upload_is_continued(on, file, target, ssh_server):
    target.write_bytes(b"the old one")
    arrived = 0

    def cut_in_the_middle(more_bytes: int) -> None:
        nonlocal arrived
        arrived += more_bytes
        if arrived > 4_000_000:
            wait_until(
                lambda: [part for part in _partials(target) if part.stat().st_size], "a part has arrived"
            )
            ssh_server.cut()

    with pytest.raises(ConnectionCut):
        on(upload, file, str(target), progress=cut_in_the_middle)
    wait_until(lambda: not ssh_server.commands("cat >"), "the far side has ended too")
    assert target.read_bytes() == b"the old one"
    (part,) = _partials(target)
    there = part.stat().st_size
    assert 0 < there < 8_000_000

    progress = []
    assert on(upload, file, str(target), progress=progress.append) == 8_000_000 - there
    assert progress[0] == there
    assert target.read_bytes() == file.read_bytes()
    assert os.listdir(target.parent) == [target.name]


@pytest.mark.parametrize("size_bytes", [1000, 9_000_000])
def test_a_part_that_is_no_beginning_is_not_continued(on, file, target, size_bytes):
    """As left by a program that wrote into it; shorter than the file, or longer."""
    target.with_name(f"{target.name}.{sha256_of(file)[:16]}.partial").write_bytes(bytes(size_bytes))
    arrived = []
    on(upload, file, str(target), progress=arrived.append)
    assert target.read_bytes() == file.read_bytes()
    assert sum(arrived) == 8_000_000
    assert os.listdir(target.parent) == [target.name]


def test_a_file_that_changes_while_it_is_sent_is_refused(on, file, target):
    def change(more_bytes: int) -> None:
        with file.open("r+b") as content:
            content.seek(-1, os.SEEK_END)
            content.write(b"?")

    with pytest.raises(TransferDamaged, match="did not become the same"):
        on(upload, file, str(target), progress=change)
    assert os.listdir(target.parent) == []


def test_a_full_disk_is_said_and_not_kept_full(on, file, tmpfs):
    disk = tmpfs("size=1m")
    with pytest.raises(RemoteDiskFull, match="garden has no room left.*No space left on device"):
        on(upload, file, str(disk / "model.tflite"))
    assert os.listdir(disk) == []
    with pytest.raises(RemoteDiskFull):
        on(upload_together, [("model.tflite", file)], str(disk / "folder"))
    assert os.listdir(disk) == []


@pytest.mark.parametrize(
    "folder, error, message",
    [
        ("/sys", RemotePermissionDenied, "Permission denied"),
        ("/no/such/folder", RemoteCommandFailed, "(?i)no such file|directory nonexistent"),
    ],
)
def test_a_folder_that_takes_no_file_is_named(on, file, folder, error, message):
    with pytest.raises(error, match=message):
        on(upload, file, f"{folder}/litelens-model.tflite")


def test_a_read_only_disk_is_named(on, file, tmpfs):
    disk = tmpfs("size=1m,ro")
    with pytest.raises(RemotePermissionDenied, match="Read-only file system"):
        on(upload, file, str(disk / "model.tflite"))


def test_a_folder_is_not_written_over(on, file, target):
    target.mkdir()
    with pytest.raises(RemoteCommandFailed, match="Is a directory"):
        on(upload, file, str(target))
    assert os.listdir(target) == []


def test_a_file_comes_back(on, file, target, tmp_path):
    target.write_bytes(file.read_bytes())
    on(download, str(target), tmp_path / "back")
    assert (tmp_path / "back").read_bytes() == file.read_bytes()


def test_a_file_that_is_not_there_leaves_nothing_here(on, target, tmp_path):
    (tmp_path / "here").mkdir()
    with pytest.raises(RemoteCommandFailed, match="(?i)no such file"):
        on(download, str(target), tmp_path / "here" / "back")
    assert os.listdir(tmp_path / "here") == []


def test_a_disk_that_is_full_here_is_said(on, file, target, tmpfs):
    target.write_bytes(file.read_bytes())
    disk = tmpfs("size=1m")
    with pytest.raises(WriteError, match="No space left on device"):
        on(download, str(target), disk / "back")
    assert os.listdir(disk) == []


def test_a_cut_download_leaves_the_old_file(on, file, target, ssh_server, tmp_path):
    target.write_bytes(file.read_bytes())
    (tmp_path / "here").mkdir()
    back = tmp_path / "here" / "back"
    back.write_bytes(b"the old one")
    with pytest.raises(ConnectionCut):
        on(download, str(target), back, progress=lambda more_bytes: ssh_server.cut())
    assert back.read_bytes() == b"the old one"
    assert os.listdir(back.parent) == ["back"]


def test_many_files_arrive_together(on, tmp_path, target):
    (tmp_path / "empty").mkdir()
    contents = {"a": b"", "folder/b": bytes(511), "folder/c'; rm -rf": bytes(512), "ü\n" * 60: bytes(513)}
    files = [("none", tmp_path / "empty")]
    for number, (name, content) in enumerate(contents.items()):
        (tmp_path / str(number)).write_bytes(content)
        files.append((name, tmp_path / str(number)))
    on(upload_together, files, str(target))
    assert {
        str(path.relative_to(target)): path.read_bytes() for path in target.rglob("*") if path.is_file()
    } == contents
    assert (target / "none").is_dir()


def test_of_many_files_that_are_cut_nothing_stays(on, file, target, ssh_server):
    been_there = False

    def cut(more_bytes: int) -> None:
        nonlocal been_there
        if not been_there:
            wait_until(target.exists, "the folder is there")
            been_there = True
            ssh_server.cut()

    with pytest.raises(ConnectionCut):
        on(upload_together, [("one", file), ("two", file)], str(target), progress=cut)
    assert been_there
    wait_until(lambda: not target.exists(), "the far side has cleaned up")


def _partials(target):
    return [path for path in target.parent.iterdir() if path.name.endswith(".partial")]
