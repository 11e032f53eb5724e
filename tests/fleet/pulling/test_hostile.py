"""Devices that are not what they should be: nothing leaves DIR, nothing of others is touched, and it is said."""

import io
import json
import os
import tarfile

import numpy as np
import pytest
from PIL import Image

from .conftest import MODEL, lines, names, picture

pytest_plugins = ["ssh_fixtures"]

GOOD = "saved/red/20260314-130001-000-0123abcd.jpg"


@pytest.fixture
def outside(tmp_path, garden):
    """Everything beside DIR, to be the same after a pull."""

    def found() -> set:
        folder = tmp_path
        return {
            path for path in folder.rglob("*") if "pulled" not in path.parts and "sshd0" not in path.parts
        }

    return found


def listing_of(*entries: tuple[str, int]) -> str:
    """A `find` that prints this, whatever is there."""
    said = "".join(f"{size} {path}\\0" for path, size in entries).replace("'", "'\\''")
    return f"#!/bin/sh\nprintf '{said.replace('%', '%%')}'\n"


def archive_of(*entries: tarfile.TarInfo | tuple[tarfile.TarInfo, bytes]) -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as archive:
        for entry in entries:
            info, content = entry if isinstance(entry, tuple) else (entry, b"")
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return file.getvalue()


def entry(name: str, kind: bytes = tarfile.REGTYPE, link: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, link
    return info


def test_names_that_no_litelens_gives_are_left_out(garden, pull, pulled, outside):
    """Real files, with names as an attacker may choose them; folders and links among them."""
    before = outside()
    garden.saved("red", 1, picture(1))
    bad = [
        "saved/red/../../up.jpg",
        "saved/.hidden/20260314-130001-000-0123abcd.jpg",
        "saved/red/IMG 1.jpg",
        "saved/red/20261314-130001-000-0123abcd.jpg",  # a 13th month
        "saved/red/20260314-130001-000-0123abcd.jpg\n",
        "saved/a\x1b[31mb/20260314-130001-000-0123abcd.jpg",
        "saved/a\\b/20260314-130001-000-0123abcd.jpg",
        "saved/20260314-130001-000-0123abcd.jpg",
        f"saved/{'x' * 101}/20260314-130001-000-0123abcd.jpg",
        "saved/red/deeper/20260314-130001-000-0123abcd.jpg",
        "hard-examples/20260314T120000.000Z-uncertain.png",
        "hard-examples/20260314T120000.000Z-$(touch x).jpg",
        "hard-examples/٢٠٢٦0314T120000.000Z-uncertain.jpg",
    ]
    for name in bad:
        garden.put(name, picture(2))
    os.symlink("/etc/hostname", garden.state / "saved" / "red" / "20260314-130001-000-00000000.jpg")
    os.mkfifo(garden.state / "saved" / "red" / "20260314-130001-000-00000001.jpg")
    (garden.state / os.fsdecode(b"saved/\xff\xfe")).mkdir()
    (garden.state / os.fsdecode(b"saved/\xff\xfe/20260314-130001-000-0123abcd.jpg")).write_bytes(picture(3))
    ended = pull()
    assert len(names(pulled)) == 1 and names(pulled)[0].startswith("red/saved-garden-")
    # Of the 14 one lies above saved, and one deeper than a class.
    assert "left out: 12 not named as litelens names pictures" in ended.stdout
    assert "\x1b" not in ended.output
    assert outside() == before


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\xff\xd8\xff\xe0 cut",
        picture(1)[:-2000],
        b"<html>",
        "png",
        "tiny",
        "bomb",
    ],
)
def test_what_is_no_jpeg_is_left_out_and_not_brought_again(garden, pull, pulled, content):
    made = {"png": ((64, 64), "PNG"), "tiny": ((4, 4), "JPEG"), "bomb": ((12_000, 12_000), "JPEG")}
    if content in made:
        size, form = made[content]
        file = io.BytesIO()
        Image.fromarray(np.zeros(size, np.uint8)).save(file, form)
        content = file.getvalue()
    garden.saved("red", 1, content)
    assert "left out: 1 no usable JPEG" in pull().stdout
    assert not (pulled / "red").exists()
    assert "left out: 1 brought before" in pull().stdout


def test_a_file_that_is_too_large_is_not_brought(garden, pull, pulled):
    path = garden.saved("red", 1, picture(1))
    os.truncate(path, 10**12)
    assert "left out: 1 above 32 MB" in pull().stdout
    assert not (pulled / "pulled.jsonl").exists()


@pytest.mark.parametrize(
    "description",
    [
        b"",
        b"[" * 100_000,
        b"\xff\xfe",
        b"[]",
        b'{"scores": {}}',
        b'{"scores": {"red": NaN}, "model": {"name": "m", "version": "1"}}',
        b'{"scores": {"red": "1"}, "model": {"name": "m", "version": "1"}}',
        b'{"scores": {"red": 1}, "model": {"name": "m", "version": 1}}',
    ],
)
def test_a_hard_example_without_a_usable_description_is_left_out(garden, pull, pulled, description):
    garden.hard(1, picture(1)).with_suffix(".json").write_bytes(description)
    assert "left out: 1 without a usable description" in pull().stdout
    assert names(pulled) == []


@pytest.mark.parametrize(
    "label", ["../../up", "/etc/x", ".hidden", "", "a/b", "a\x1bb", "\ud800", "x" * 300, "pulled.jsonl"]
)
def test_a_label_that_no_folder_may_be_called_is_left_out(garden, pull, pulled, outside, label):
    before = outside()
    garden.hard(1, picture(1), {label: 0.5})
    assert "left out: 1 of a label that no folder may be called" in pull().stdout
    assert (names(pulled), outside()) == ([], before)


def test_more_classes_than_anybody_has_are_not_made(garden, pull, pulled, monkeypatch):
    monkeypatch.setattr("fleet.pulling.collection.MOST_CLASSES", 3)
    for second in range(5):
        garden.saved(f"class {second}", second, picture(second))
    assert "left out: 2 of a label that no folder may be called" in pull().stdout
    assert len(names(pulled)) == 3


def test_a_model_that_names_itself_with_control_characters_is_printable(garden, pull, pulled):
    path = garden.hard(1, picture(1)).with_suffix(".json")
    model = MODEL | {"name": "\x1b[2J" + "x" * 10_000}
    path.write_text(json.dumps({"scores": {"red": 0.5}, "model": model}))
    pull()
    (line,) = lines(pulled)
    assert line["model"].startswith("?[2Jxxx") and len(line["model"]) == 500


def test_a_list_without_an_end_is_cut_off(garden, pull, monkeypatch):
    monkeypatch.setattr("fleet.pulling.listing._MOST_LIST_BYTES", 100_000)
    garden.saved("red", 1, picture(1))
    garden.program("find", "#!/bin/sh\nexec yes\n")
    assert "is longer than" in pull(exit_code=1).stderr


@pytest.mark.parametrize(
    "entries",
    [
        [(entry("../../../up.jpg"), picture(1))],
        [(entry("/tmp/litelens-pull-test-up.jpg"), picture(1))],
        [(entry("saved/blue/20260314-130001-000-0123abcd.jpg"), picture(1))],  # not asked for
        [entry(GOOD, tarfile.SYMTYPE, "/etc/hostname")],
        [entry("x", tarfile.SYMTYPE, "/etc"), entry(GOOD, tarfile.LNKTYPE, "x/hostname")],
        [entry(GOOD, tarfile.CHRTYPE)],
        [entry(GOOD, tarfile.DIRTYPE)],
        [],
    ],
)
def test_an_archive_of_other_things_brings_nothing(garden, pull, pulled, outside, entries):
    before = outside()
    garden.put(GOOD, picture(1))
    (garden.device.home / "archive").write_bytes(archive_of(*entries))
    garden.program("tar", f"#!/bin/sh\nexec cat '{garden.device.home}/archive'\n")
    assert "left out: 1 rotated away meanwhile" in pull().stdout
    assert (names(pulled), outside()) == ([], before)


def test_an_archive_that_names_a_picture_twice_brings_one(garden, pull, pulled):
    garden.put(GOOD, picture(1) * 2)
    content = archive_of((entry(GOOD), picture(1)), (entry(GOOD), picture(2)))
    (garden.device.home / "archive").write_bytes(content)
    garden.program("tar", f"#!/bin/sh\nexec cat '{garden.device.home}/archive'\n")
    pull()
    (name,) = names(pulled)
    assert (pulled / name).read_bytes() == picture(1)


def test_a_sparse_file_of_a_terabyte_is_not_unpacked(garden, pull, pulled):
    """GNU's sparse format, as `tar -S` of a file with a hole makes it."""
    path = garden.put(GOOD, picture(1))
    hole = garden.put("hole.jpg", b"")
    os.truncate(hole, 10**12)
    garden.program(
        "tar",
        f"#!/bin/sh\nexec /bin/tar -c -S -f - --transform 's,.*,{GOOD},' -C '{garden.state}' hole.jpg\n",
    )
    assert "left out: 1 rotated away meanwhile" in pull().stdout
    assert path.exists() and names(pulled) == []


@pytest.mark.parametrize(
    "program, said",
    [
        ("exec yes", "sends more than the"),
        ("head -c 3000 /dev/urandom", "is no archive of pictures"),
        ("exit 127", "ended with status 127"),
        ("echo tar: a secret disk: Permission denied >&2; exit 2", "may not read"),
    ],
)
def test_a_tar_that_is_none(garden, pull, pulled, program, said):
    garden.saved("red", 1, picture(1))
    garden.program("tar", f"#!/bin/sh\n{program}\n")
    ended = pull(exit_code=1)
    assert said in ended.stderr and "hint: " in ended.stderr
    assert names(pulled) == []


def test_a_device_cannot_take_anothers_pictures_place(garden, shed, pull, pulled):
    """The same name and time: the sum in the file's name keeps them apart, and what is there is never written again."""
    shed.put(GOOD, picture(1))
    pull("shed")
    (first,) = names(pulled)
    garden.put(GOOD, picture(2))
    garden.put("saved/red/20260314-130001-000-ffffffff.jpg", picture(3))
    pull("garden,shed")
    assert len(names(pulled)) == 3
    assert (pulled / first).read_bytes() == picture(1)
