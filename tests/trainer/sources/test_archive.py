"""Archives: honest ones in every packing, hostile ones, damaged ones."""

import io
import os
import shutil
import stat
import tarfile
import zipfile

import pytest

from edge_runtime.errors import ConfigError, DataError
from trainer.sources import archive
from trainer.sources.cache import sha256_of
from trainer.sources.open_source import open_source

NAMES = ("cat/0.png", "cat/1.png", "dog/ä 猫.png", "dog/3.png")


def pack(folder, target, top=""):
    """Packs a folder by the ending of the target's name."""
    if target.suffix == ".zip":
        with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as packed:
            for path in sorted(folder.rglob("*")):
                packed.write(path, os.path.join(top, path.relative_to(folder)))
    else:
        mode = {".tar": "w", ".gz": "w:gz", ".tgz": "w:gz", ".bz2": "w:bz2", ".xz": "w:xz"}[target.suffix]
        with tarfile.open(target, mode) as packed:
            packed.add(folder, top or ".")
    return target


@pytest.mark.parametrize("top", ["", "set", "a/set"])
@pytest.mark.parametrize("name", ["s.zip", "s.tar", "s.tar.gz", "s.tgz", "s.tar.bz2", "s.tar.xz"])
def test_class_folders_in_an_archive(tmp_path, build, listed, name, top):
    folder = build(tmp_path / "data", *NAMES)
    source = open_source(str(pack(folder, tmp_path / name, top)))
    assert listed(source) == listed(open_source(str(folder)))
    assert all(
        file.path.read_bytes() == (folder / file.path.relative_to(source.folder)).read_bytes()
        for file in source.files
    )


def test_an_archive_is_unpacked_once(tmp_path, build, capsys, cache):
    path = pack(build(tmp_path / "data", *NAMES), tmp_path / "s.zip")
    first = open_source(str(path))
    assert "unpacked 6 entries: 0.0 MB" in capsys.readouterr().err
    moved = path.rename(tmp_path / "without an ending")
    assert open_source(str(moved)).files == first.files
    assert capsys.readouterr().err == ""
    assert first.folder == cache / "data" / f"archive-{sha256_of(moved)[:32]}"


def test_a_sum_is_compared_and_only_for_an_archive(tmp_path, build, listed):
    folder = build(tmp_path / "data", *NAMES)
    path = pack(folder, tmp_path / "s.zip")
    assert len(open_source(str(path), sha256_of(path).upper()).files) == 4
    with pytest.raises(DataError, match=f"has the sha256 {sha256_of(path)}, expected {'0' * 64}"):
        open_source(str(path), "0" * 64)
    with pytest.raises(ConfigError, match="64 hexadecimal digits, got 'abc'"):
        open_source(str(path), "abc")
    with pytest.raises(ConfigError, match="is no archive"):
        open_source(str(folder), "0" * 64)
    with pytest.raises(ConfigError, match="is no archive"):
        open_source(str(folder / "cat" / "0.png"), "0" * 64)


def test_a_csv_and_splits_and_one_class_in_archives(tmp_path, build, listed):
    folder = build(tmp_path / "dogs", "train/a.jpg", "train/b.jpg", "test/c.jpg")
    (folder / "labels.csv").write_text("id,breed\na,pug\nb,beagle\n")
    found = listed(open_source(str(pack(folder, tmp_path / "dogs.zip", "dogs"))))
    assert found == [("train/a.jpg", "pug", ""), ("train/b.jpg", "beagle", "")]
    split = build(
        tmp_path / "split", *(f"{s}/{label}/0.png" for s in ("train", "validation") for label in "ab")
    )
    assert {f.split for f in open_source(str(pack(split, tmp_path / "split.tar"))).files} == {
        "train",
        "validation",
    }
    one = build(tmp_path / "one", "cat/0.png")
    assert [file.label for file in open_source(str(pack(one, tmp_path / "one.zip"))).files] == ["cat"]


def test_idx_files_in_an_archive(tmp_path, listed):
    (tmp_path / "raw").mkdir()
    (tmp_path / "raw" / "train-images-idx3-ubyte").write_bytes(b"\0\0\x08\3\0\0\0\2\0\0\0\1\0\0\0\1\x07\x08")
    (tmp_path / "raw" / "train-labels-idx1-ubyte").write_bytes(b"\0\0\x08\1\0\0\0\2\3\4")
    source = open_source(str(pack(tmp_path / "raw", tmp_path / "mnist.zip", "MNIST/raw")))
    assert listed(source) == [("3/000000.png", "3", ""), ("4/000001.png", "4", "")]


def test_what_macos_and_windows_put_into_a_zip(tmp_path, encoded, listed):
    path = tmp_path / "s.zip"
    with zipfile.ZipFile(path, "w") as packed:
        for number, name in enumerate(("cat\\0.png", "dog\\1.png", "__MACOSX/cat/._0.png", "dog/.DS_Store")):
            packed.writestr(zipfile.ZipInfo(name), encoded(number))
    content = path.read_bytes().replace(b"cat\\0.png", b"k\xc3\xa4t\\0.pn")  # UTF-8 without the flag for it
    path.write_bytes(content)
    source = open_source(str(path))
    assert [label for _, label, _ in listed(source)] == ["dog", "kät"]


def test_links_in_a_tar_become_the_files_they_name(tmp_path, build, listed, encoded):
    path = tmp_path / "s.tar.gz"
    with tarfile.open(path, "w:gz") as packed:
        packed.add(build(tmp_path / "data", *NAMES), ".")
        for kind, name, target in (
            (tarfile.SYMTYPE, "cat/2.png", "../dog/3.png"),
            (tarfile.LNKTYPE, "dog/5.png", "./cat/0.png"),
        ):
            link = tarfile.TarInfo(name)
            link.type, link.linkname = kind, target
            packed.addfile(link)
    source = open_source(str(path))
    assert len(source.files) == 6 and not any(file.path.is_symlink() for file in source.files)
    assert (source.folder / "cat" / "2.png").read_bytes() == encoded(3)
    assert (source.folder / "dog" / "5.png").read_bytes() == encoded(0)


def tar_with(path, *entries):
    with tarfile.open(path, "w") as packed:
        for name, kind, target, content in entries:
            entry = tarfile.TarInfo(name)
            entry.type, entry.linkname, entry.size = kind, target, len(content)
            packed.addfile(entry, io.BytesIO(content))
    return path


FILE, LINK, HARD = tarfile.REGTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE


@pytest.mark.parametrize(
    "entries, says",
    [
        ([("../evil", FILE, "", b"x")], "'../evil' that would lie outside"),
        ([("/tmp/evil", FILE, "", b"x")], "would lie outside"),
        ([("cat/../../evil", FILE, "", b"x")], "would lie outside"),
        ([("..\\evil", FILE, "", b"x")], "would lie outside"),
        ([("C:\\evil", FILE, "", b"x")], "would lie outside"),
        ([("cat/a", LINK, "/etc/passwd", b"")], "'/etc/passwd' that would lie outside"),
        ([("cat/a", LINK, "../../../etc/passwd", b"")], "would lie outside"),
        ([("cat/a", HARD, "../etc/passwd", b"")], "would lie outside"),
        ([("dog/a", FILE, "", b"x"), ("cat", LINK, "dog", b"")], "link cat to dog, which is no file in it"),
        ([("cat/a", LINK, "b", b""), ("cat/b", LINK, "a", b"")], "which is no file in it"),
        ([("cat/a", tarfile.CHRTYPE, "", b"")], "device or pipe"),
        ([("cat/a", tarfile.FIFOTYPE, "", b"")], "device or pipe"),
        ([("cat", FILE, "", b"x"), ("cat/a", FILE, "", b"x")], "a file and a folder of the same name"),
    ],
)
def test_a_hostile_tar_writes_nothing_outside_and_nothing_stays(tmp_path, cache, entries, says):
    path = tar_with(tmp_path / "evil.tar", *entries)
    before = {p for p in tmp_path.rglob("*") if cache not in (p, *p.parents)}
    with pytest.raises(DataError) as caught:
        open_source(str(path))
    assert says in str(caught.value) and caught.value.hint
    assert {p for p in tmp_path.rglob("*") if cache not in (p, *p.parents)} == before
    assert not [p for p in cache.rglob("*") if not p.name.endswith(".lock") and p.is_file()]


@pytest.mark.parametrize("name", ["../evil", "/tmp/evil", "cat/../../evil", "..\\evil", "C:\\evil"])
def test_a_hostile_zip_writes_nothing_outside(tmp_path, cache, name):
    path = tmp_path / "evil.zip"
    with zipfile.ZipFile(path, "w") as packed:
        packed.writestr(zipfile.ZipInfo(name), b"x")
    with pytest.raises(DataError, match="would lie outside"):
        open_source(str(path))
    assert not list(tmp_path.rglob("evil"))


def test_a_link_in_a_zip_is_no_link_here(tmp_path, build):
    path = pack(build(tmp_path / "data", *NAMES), tmp_path / "s.zip")
    with zipfile.ZipFile(path, "a") as packed:
        link = zipfile.ZipInfo("cat/link.png")
        link.create_system, link.external_attr = 3, (stat.S_IFLNK | 0o777) << 16
        packed.writestr(link, "/etc/passwd")
    linked = next(file.path for file in open_source(str(path)).files if file.path.name == "link.png")
    assert not linked.is_symlink() and linked.read_text() == "/etc/passwd"


@pytest.mark.parametrize("name", ["bomb.zip", "bomb.tar.gz"])
def test_a_bomb_is_refused(tmp_path, monkeypatch, cache, name):
    monkeypatch.setattr(archive, "ALWAYS_ALLOWED_BYTES", 1_000_000)
    folder = tmp_path / "data" / "cat"
    folder.mkdir(parents=True)
    for number in range(4):
        with (folder / f"{number}.bmp").open("wb") as file:
            file.truncate(3_000_000)
    with pytest.raises(DataError, match="unpacks to more than"):
        open_source(str(pack(tmp_path / "data", tmp_path / name)))
    assert not [p for p in (cache / "data").iterdir() if p.is_dir()]


def test_too_many_entries_are_refused(tmp_path, build, monkeypatch):
    monkeypatch.setattr(archive, "MOST_ENTRIES", 3)
    with pytest.raises(DataError, match="or 3 entries"):
        open_source(str(pack(build(tmp_path / "data", *NAMES), tmp_path / "s.tar")))


@pytest.mark.parametrize("name", ["s.zip", "s.tar", "s.tar.gz", "s.tar.bz2", "s.tar.xz"])
@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.8])
def test_a_cut_archive_is_an_instruction_and_leaves_nothing(tmp_path, build, cache, name, share):
    folder = build(tmp_path / "data", *NAMES)
    (folder / "cat" / "noise.png").write_bytes(os.urandom(20_000))
    path = pack(folder, tmp_path / name)
    # A tar is filled up to 10,240 bytes with zeros, which may be cut.
    os.truncate(path, int(min(path.stat().st_size, 22_000) * share))
    with pytest.raises(DataError, match="is cut, damaged, or no zip or tar") as caught:
        open_source(str(path))
    assert caught.value.hint == "copy or download it again"
    assert not cache.exists() or not [p for p in (cache / "data").iterdir() if p.is_dir()]


def test_a_tar_cut_between_two_entries_is_seen(tmp_path):
    path = tar_with(tmp_path / "s.tar", ("cat/a", FILE, "", b"x" * 512), ("dog/b", FILE, "", b"y" * 512))
    os.truncate(path, 1024)
    with pytest.raises(DataError, match="its end is not there"):
        open_source(str(path))


def test_a_changed_byte_in_a_zip_is_seen(tmp_path, build):
    path = tmp_path / "s.zip"
    with zipfile.ZipFile(path, "w") as packed:
        packed.writestr("cat/0.png", b"a" * 1000)
    path.write_bytes(path.read_bytes().replace(b"aaa", b"aab", 1))
    with pytest.raises(DataError, match="Bad CRC-32"):
        open_source(str(path))


def test_an_encrypted_zip_is_an_instruction(tmp_path, build):
    path = pack(build(tmp_path / "data", *NAMES), tmp_path / "s.zip")
    content = bytearray(path.read_bytes())
    for mark, offset in ((b"PK\3\4", 6), (b"PK\1\2", 8)):
        start = content.find(mark)
        while start >= 0:
            content[start + offset] |= 1
            start = content.find(mark, start + 1)
    path.write_bytes(content)
    with pytest.raises(DataError, match="is encrypted"):
        open_source(str(path))


def test_an_archive_without_class_folders_is_an_instruction(tmp_path, build):
    path = pack(build(tmp_path / "data", "0.png"), tmp_path / "s.zip")
    with pytest.raises(DataError, match="s.zip has no class folders"):
        open_source(str(path))
    shutil.rmtree(tmp_path / "data")
