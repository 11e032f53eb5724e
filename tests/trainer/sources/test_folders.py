"""Class folders, as people lay them out and as they do not."""

import os
import shutil

import pytest

from edge_runtime.errors import DataError
from trainer.audit.findings import HIDDEN, TOO_DEEP
from trainer.sources.open_source import open_source


def test_class_folders_that_are_not_split(tmp_path, build, listed):
    folder = build(tmp_path / "data", "dog/b.jpg", "dog/a.jpg", "cat/10.png", "cat/9.png")
    source = open_source(str(folder))
    assert source.folder == folder and source.spec == str(folder)
    assert listed(source) == [
        ("cat/10.png", "cat", ""),
        ("cat/9.png", "cat", ""),
        ("dog/a.jpg", "dog", ""),
        ("dog/b.jpg", "dog", ""),
    ]
    assert source.remarks == ()


@pytest.mark.parametrize(
    "splits", [("train", "validation"), ("train", "validation", "test"), ("train", "test")]
)
def test_class_folders_in_splits(tmp_path, build, listed, splits):
    folder = build(tmp_path, *(f"{split}/{label}/0.png" for split in splits for label in ("cat", "dog")))
    assert listed(open_source(str(folder))) == sorted(
        (f"{split}/{label}/0.png", label, split) for split in splits for label in ("cat", "dog")
    )


def test_train_alone_is_not_split(tmp_path, build, listed):
    folder = build(tmp_path, "train/cat/0.png", "train/dog/0.png")
    assert listed(open_source(str(folder))) == [
        ("train/cat/0.png", "cat", ""),
        ("train/dog/0.png", "dog", ""),
    ]


@pytest.mark.parametrize("others", [("bus", "plane"), ("test", "bus"), ("dev", "bus")])
def test_a_class_may_be_called_train(tmp_path, build, others):
    source = open_source(str(build(tmp_path, *(f"{label}/0.png" for label in ("train", *others)))))
    assert {file.label for file in source.files} == {"train", *others}
    assert {file.split for file in source.files} == {""}


def test_what_is_no_picture_is_left_to_the_audit(tmp_path, build, listed):
    folder = build(tmp_path, "cat/0.png", "dog/0.png")
    (folder / "cat" / "notes.txt").write_text("a cat")
    (folder / "dog" / "gone.png").symlink_to(folder / "nowhere.png")
    os.mkfifo(folder / "dog" / "pipe")  # opening it would wait for ever
    assert [name for name, _, _ in listed(open_source(str(folder)))] == [
        "cat/0.png",
        "cat/notes.txt",
        "dog/0.png",
        "dog/gone.png",
    ]


def test_hidden_files_and_folders_are_not_looked_at_but_told(tmp_path, build):
    hidden = (".git/x.png", "train/.DS_Store", "train/cat/._0.png", "validation/dog/.thumbs/0.png")
    seen = [f"{split}/{label}/0.png" for split in ("train", "validation") for label in ("cat", "dog")]
    source = open_source(str(build(tmp_path / "data", *seen, *hidden)))
    assert len(source.files) == 4
    assert {(r.kind, r.path.relative_to(source.folder).as_posix()) for r in source.remarks} == {
        (HIDDEN, ".git"),
        (HIDDEN, "train/.DS_Store"),
        (HIDDEN, "train/cat/._0.png"),
        (HIDDEN, "validation/dog/.thumbs"),
    }


def test_pictures_below_a_class_folder_that_has_pictures_are_told(tmp_path, build, listed):
    folder = build(tmp_path / "data", "cat/0.png", "cat/more/1.png", "cat/more/still/2.png", "dog/0.png")
    source = open_source(str(folder))
    assert [name for name, _, _ in listed(source)] == ["cat/0.png", "dog/0.png"]
    assert [(r.kind, r.path.relative_to(folder).as_posix()) for r in source.remarks] == [
        (TOO_DEEP, "cat/more/1.png"),
        (TOO_DEEP, "cat/more/still/2.png"),
    ]


def test_links_are_followed_and_a_circle_of_them_ends(tmp_path, build, listed):
    build(tmp_path / "store", "many/0.png", "one.png")
    folder = build(tmp_path / "data", "dog/0.png")
    (folder / "cat").symlink_to(tmp_path / "store" / "many")
    (folder / "dog" / "1.png").symlink_to(tmp_path / "store" / "one.png")
    (folder / "dog" / "circle").symlink_to(folder)
    source = open_source(str(folder))
    assert [name for name, _, _ in listed(source)] == ["cat/0.png", "dog/0.png", "dog/1.png"]
    assert {remark.kind for remark in source.remarks} == {TOO_DEEP}


def test_names_beyond_ascii(tmp_path, build, listed):
    folder = build(tmp_path / "Bäume и 木", "Ölbaum/ä ö.png", "猫/猫 1.jpg")
    assert listed(open_source(str(folder))) == [("Ölbaum/ä ö.png", "Ölbaum", ""), ("猫/猫 1.jpg", "猫", "")]


def test_the_order_does_not_depend_on_the_machine(tmp_path, build, listed):
    names = [f"{label}/{number}.png" for label in ("b", "a", "B") for number in (3, 1, 2, 10)]
    first, second = build(tmp_path / "1", *names), build(tmp_path / "2", *reversed(names))
    assert listed(open_source(str(first))) == listed(open_source(str(second)))


@pytest.mark.parametrize(
    "layout, says, hint",
    [
        ([], "has no class folders", "expected DIR/CLASS/picture.jpg"),
        (["0.png"], "has no class folders", "expected DIR/CLASS/picture.jpg"),
        (["cat/0.png", "dog/"], "dog has no readable picture", "add pictures"),
        (["cat/0.png", "dog/.DS_Store"], "dog has no readable picture", "add pictures"),
        (
            ["train/cat/0.png", "train/dog/0.png", "validation/cat/0.png"],
            "validation/dog has no readable picture",
            "remove its folder everywhere",
        ),
        (
            ["train/cat/0.png", "validation/cat/0.png", "validation/dog/0.png"],
            "train/dog has no readable picture",
            "remove its folder everywhere",
        ),
        (["train/0.png", "validation/1.png"], "train has no class folders", "expected DIR/CLASS"),
        (["train/cat/0.png", "val/cat/0.png"], "val: expected the name validation", "mv "),
        (["train/cat/0.png", "validation/cat/0.png", "testing/cat/0.png"], "expected the name test", "mv "),
        (["training/cat/0.png", "validation/cat/0.png"], "expected train beside validation", "expected DIR"),
        (
            ["train/a/0.png", "validation/a/0.png", "extra/a/0.png"],
            "and nothing but test with them",
            "expected",
        ),
        (
            ["cat/black/0.png", "cat/white/0.png", "dog/0.png"],
            "cat has no pictures of its own",
            "/cat/black/* ",
        ),
        (["pictures/cat/0.png", "pictures/dog/0.png"], "pictures has no pictures of its own", "--data "),
    ],
)
def test_a_folder_that_cannot_be_used_is_an_instruction(tmp_path, build, layout, says, hint):
    folder = build(tmp_path / "data", *(name for name in layout if not name.endswith("/")))
    folder.mkdir(exist_ok=True)
    for name in layout:
        if name.endswith("/"):
            (folder / name).mkdir()
    with pytest.raises(DataError) as caught:
        open_source(str(folder))
    assert says in str(caught.value) and hint in caught.value.hint


def test_the_instruction_for_pictures_that_lie_too_deep_is_right(tmp_path, build):
    folder = build(tmp_path / "data", "outer/cat/0.png", "outer/dog/0.png")
    with pytest.raises(DataError) as caught:
        open_source(str(folder))
    named = caught.value.hint.split("--data ")[1]
    assert {file.label for file in open_source(named).files} == {"cat", "dog"}


@pytest.mark.parametrize("name, says", [("absent", "is not there"), ("file", "is a file")])
def test_what_is_no_folder_is_an_instruction(tmp_path, name, says):
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match=says):
        open_source(str(tmp_path / name))


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_folder_that_may_not_be_read_is_an_instruction(tmp_path, build):
    folder = build(tmp_path / "data", "cat/0.png", "dog/0.png")
    (folder / "cat").chmod(0)
    try:
        with pytest.raises(DataError, match="cannot read"):
            open_source(str(folder))
    finally:
        (folder / "cat").chmod(0o700)


def test_a_folder_that_vanishes_is_an_instruction(tmp_path, build, monkeypatch):
    folder = build(tmp_path / "data", "cat/0.png", "dog/0.png")
    monkeypatch.setattr("trainer.sources.folders._splits", lambda *_: shutil.rmtree(folder) or {"": folder})
    with pytest.raises(DataError, match="cannot read"):
        open_source(str(folder))
