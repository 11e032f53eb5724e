import io
import os
import threading
import unicodedata

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from edge_runtime.capture.frame import Frame
from edge_runtime.errors import WriteError
from edge_runtime.web.answers import Refusal
from edge_runtime.web.saving import MOST_CLASSES, MOST_NAME_BYTES, ClassFolders, checked_name

LABELS = ("blue", "green", "red")
ACCENTED = "épée"
APART = unicodedata.normalize("NFD", ACCENTED)


@pytest.fixture
def frame(coloured):
    return Frame(coloured("red"), "0", 7, time=1_795_348_639.193)


@pytest.fixture
def folders(tmp_path):
    return ClassFolders(tmp_path / "saved", keep_free_bytes=0)


def everything_in(folder) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


def test_a_frame_becomes_a_jpeg_in_its_class(folders, frame):
    saved = folders.save("red", frame, LABELS)
    assert (saved.label, saved.count) == ("red", 1)
    assert saved.file.startswith("red/20261122-115719-193-") and saved.file.endswith(".jpg")
    content = (folders.folder / saved.file).read_bytes()
    with Image.open(io.BytesIO(content)) as picture:
        assert (picture.format, picture.size) == ("JPEG", (64, 48))
    assert folders.save("red", frame, LABELS).file != saved.file
    assert folders.counts() == {"red": 2}


@pytest.mark.parametrize(
    "name, folder",
    [
        ("red", "red"),
        ("  new class ", "new class"),
        ("größer", "größer"),
        (APART, ACCENTED),
        ("n02085620-Chihuahua", "n02085620-Chihuahua"),
        ("می\u200cخواهم", "می\u200cخواهم"),  # Persian, with its joiner
        ("👩\u200d🔧", "👩\u200d🔧"),
        ("a.b", "a.b"),
        ("-rf", "-rf"),
        ("~", "~"),
        ("$(id)", "$(id)"),
        ("x" * MOST_NAME_BYTES, "x" * MOST_NAME_BYTES),
    ],
)
def test_a_class_may_be_called(folders, frame, name, folder):
    assert folders.save(name, frame, LABELS).label == folder
    assert os.listdir(folders.folder) == [folder]


@pytest.mark.parametrize(
    "name, why",
    [
        ("", "is empty"),
        (" \t ", "is empty"),
        (".", "starts with a dot"),
        ("..", "starts with a dot"),
        (".hidden", "starts with a dot"),
        ("  .hidden", "starts with a dot"),
        ("../up", "starts with a dot"),
        ("a/../../b", "contains / or"),
        ("/etc", "contains / or"),
        ("a\\b", "contains / or"),
        ("a\0b", "not shown"),
        ("a\nb", "not shown"),
        ("a\x7fb", "not shown"),
        ("a\u202eb", "not shown"),  # turns the direction of what follows
        ("a\u2028b", "not shown"),
        ("a\ufeffb", "not shown"),
        ("a\ud800b", "not shown"),
        ("x" * (MOST_NAME_BYTES + 1), "more than 100 bytes"),
        ("ß" * 51, "more than 100 bytes"),
    ],
)
def test_a_class_may_not_be_called(folders, frame, name, why):
    with pytest.raises(Refusal, match=why) as caught:
        folders.save(name, frame, LABELS)
    assert caught.value.status == 422 and caught.value.hint
    assert everything_in(folders.folder) == []


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(name=st.text() | st.text(alphabet="./\\ aA~\0\n%2eC:\u202e", max_size=12))
def test_nothing_is_ever_written_outside_the_folder(folders, frame, tmp_path, name):
    around = {path for path in tmp_path.rglob("*") if not path.is_relative_to(folders.folder)}
    before = set(folders.folder.rglob("*"))
    try:
        saved = folders.save(name, frame, LABELS)
    except Refusal:
        assert set(folders.folder.rglob("*")) == before
    else:
        written = (folders.folder / saved.file).resolve()
        assert written.parent.parent == folders.folder and written.is_file()
        assert checked_name(saved.label) == saved.label
    assert {path for path in tmp_path.rglob("*") if not path.is_relative_to(folders.folder)} == around


@pytest.mark.parametrize(
    "present, labels, name, existing",
    [
        ("Cat", LABELS, "cat", "Cat"),
        ("cat", LABELS, "CAT", "cat"),
        (None, LABELS, "Red", "red"),
        ("STRASSE", LABELS, "straße", "STRASSE"),
        (APART, LABELS, ACCENTED.upper(), APART),
    ],
)
def test_a_name_that_differs_in_capitals_alone_is_refused_with_the_one_that_is_there(
    folders, frame, present, labels, name, existing
):
    if present:
        (folders.folder / present).mkdir()
    with pytest.raises(Refusal, match="in capital letters alone") as caught:
        folders.save(name, frame, labels)
    assert (caught.value.status, caught.value.more) == (409, {"existing": existing})


def test_a_folder_whose_accents_stand_apart_is_the_same_class(folders, frame):
    """macOS writes names so."""
    (folders.folder / APART).mkdir()
    assert folders.save(ACCENTED, frame, LABELS).label == APART
    assert os.listdir(folders.folder) == [APART]


@pytest.mark.parametrize("target", ["folder", "nothing", "file"])
def test_a_link_in_the_way_is_not_followed(folders, frame, tmp_path, target):
    elsewhere = tmp_path / "elsewhere"
    if target == "folder":
        elsewhere.mkdir()
    elif target == "file":
        elsewhere.write_bytes(b"mine")
    (folders.folder / "red").symlink_to(elsewhere)
    with pytest.raises(Refusal, match="is no folder") as caught:
        folders.save("red", frame, LABELS)
    assert caught.value.status == 409
    assert folders.counts() == {} and (folders.folder / "red").is_symlink()
    assert elsewhere.exists() == (target != "nothing")
    assert target != "folder" or not os.listdir(elsewhere)
    assert target != "file" or elsewhere.read_bytes() == b"mine"


def test_a_file_in_the_way_stays(folders, frame):
    (folders.folder / "red").write_bytes(b"mine")
    with pytest.raises(Refusal, match="is no folder"):
        folders.save("red", frame, LABELS)
    assert (folders.folder / "red").read_bytes() == b"mine"


def test_counts_see_what_comes_and_goes_by_other_ways(folders, frame):
    folders.save("red", frame, LABELS)
    other = folders.folder / "other"
    other.mkdir()
    for name in ("a.jpg", "b.PNG", "c.jpeg", "notes.txt", ".half.jpg"):
        (other / name).write_bytes(b"")
    (folders.folder / ".hidden").mkdir()
    (folders.folder / "notes.txt").write_bytes(b"")
    assert folders.counts() == {"other": 3, "red": 1}
    (other / "a.jpg").unlink()
    assert folders.counts() == {"other": 2, "red": 1}
    for file in other.iterdir():
        file.unlink()
    other.rmdir()
    assert folders.counts() == {"red": 1}


def test_no_frame_is_saved_that_leaves_too_little_room(tmp_path, frame):
    folders = ClassFolders(tmp_path / "saved", keep_free_bytes=2**60)
    with pytest.raises(Refusal, match="MiB left, expected at least") as caught:
        folders.save("red", frame, LABELS)
    assert caught.value.status == 507 and everything_in(folders.folder) == []


def test_a_full_disk_leaves_no_empty_class(tmpfs, frame):
    """`litelens train` refuses a class without a picture."""
    disk = tmpfs("size=64k")
    (disk / "filler").write_bytes(bytes(60 * 1024))
    folders = ClassFolders(disk / "saved", keep_free_bytes=0)
    noise = np.random.default_rng(0).integers(0, 256, (240, 320, 3), np.uint8)
    with pytest.raises((WriteError, Refusal)) as caught:
        folders.save("red", Frame(noise, "0", 0), LABELS)
    assert caught.value.hint and everything_in(folders.folder) == []


def test_classes_are_not_endless(folders, frame):
    for number in range(MOST_CLASSES):
        (folders.folder / str(number)).mkdir()
    with pytest.raises(Refusal, match="expected fewer"):
        folders.save("one more", frame, LABELS)
    assert folders.save("7", frame, LABELS).count == 1


def test_a_frame_that_no_jpeg_holds_is_refused(folders):
    with pytest.raises(Refusal, match="the frame 70000x1") as caught:
        folders.save("red", Frame(np.zeros((1, 70_000, 3), np.uint8), "0", 0), LABELS)
    assert caught.value.status == 422 and everything_in(folders.folder) == []


def test_saving_from_many_threads_loses_nothing(folders, frame):
    threads = [
        threading.Thread(target=lambda: [folders.save("red", frame, LABELS) for _ in range(5)])
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert folders.counts() == {"red": 40}


@pytest.mark.parametrize("wrong", ["a file", "below a file"])
def test_a_folder_that_cannot_be_made_is_an_error_at_the_start(tmp_path, wrong):
    (tmp_path / "file").write_bytes(b"")
    path = tmp_path / "file" if wrong == "a file" else tmp_path / "file" / "saved"
    with pytest.raises(WriteError, match="cannot make the folder") as caught:
        ClassFolders(path, 0)
    assert caught.value.hint


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write into every folder")
def test_a_folder_that_may_not_be_written_is_an_error_at_the_start(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(WriteError, match="may not be written"):
        ClassFolders(tmp_path, 0)
