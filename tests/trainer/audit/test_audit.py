"""What an audit finds in a whole set, and that every file is accounted for."""

import shutil
from pathlib import Path

import pytest
from PIL import Image

from edge_runtime.errors import DataError
from trainer.audit.audit import refuse
from trainer.audit.audited import audit_data
from trainer.audit.findings import KINDS, SKIPPED_KINDS, Audit, Finding
from trainer.audit.totals import Totals
from trainer.config import Selection

ODD = Path(__file__).parents[3].parent / "shared" / "data" / "odd"


def audit_of(folder: Path, **settings):
    return audit_data(Selection(str(folder), **settings))


def kinds_of(audit: Audit) -> dict[str, int]:
    return {kind: len(audit.of(kind)) for kind in KINDS if audit.of(kind)}


@pytest.fixture
def classes(save, scene, tmp_path) -> Path:
    """Two classes of eight pictures, none like another."""
    for seed in range(16):
        save(f"set/{'cat' if seed < 8 else 'dog'}/{seed:02}.png", scene(seed))
    return tmp_path / "set"


@pytest.fixture
def split(save, scene, tmp_path) -> Path:
    """The same in train and validation."""
    for seed in range(16):
        save(
            f"split/{('train', 'validation')[seed % 2]}/{'cat' if seed < 8 else 'dog'}/{seed:02}.png",
            scene(seed),
        )
    return tmp_path / "split"


def test_a_clean_set(classes):
    audited = audit_of(classes)
    assert kinds_of(audited.audit) == {} and audited.problem is None
    assert (audited.audit.files, audited.audit.usable) == (16, 16)
    assert list(audited.audit.counts) == ["train", "validation", "test"]
    assert sum(n for of_split in audited.audit.counts.values() for n in of_split.values()) == 16


# (copy of which picture, to where, as a JPEG) and what is found
DOUBLES = [
    ("train/cat/00.png", "train/cat/x.png", {"exact-duplicate": 1}),
    ("train/cat/00.png", "train/cat/x.jpg", {"near-duplicate": 1}),
    ("train/cat/00.png", "validation/cat/x.png", {"leakage": 1}),
    ("train/cat/00.png", "validation/cat/x.jpg", {"leakage": 1}),
    ("train/cat/00.png", "train/dog/x.png", {"label-conflict": 1}),
    ("train/cat/00.png", "train/dog/x.jpg", {"label-conflict": 1}),
    ("train/cat/00.png", "validation/dog/x.jpg", {"leakage": 1, "label-conflict": 1}),
]


@pytest.mark.parametrize(
    "original, double, found", DOUBLES, ids=lambda value: value if isinstance(value, str) else ""
)
def test_doubles_are_told_by_where_they_lie(split, original, double, found):
    if double.endswith(".png"):
        shutil.copy(split / original, split / double)
    else:
        with Image.open(split / original) as image:
            image.save(split / double)
    audit = audit_of(split).audit
    assert kinds_of(audit) == found
    for finding in audit.findings:
        assert set(finding.paths) == {split / original, split / double}
        assert original in finding.detail and double in finding.detail
        assert ("equal pixels" in finding.detail) is double.endswith(".png")


def test_a_group_of_equal_and_alike_pictures(split):
    """Two copies and a JPEG of one picture, and a copy in the other split."""
    for name in ("train/cat/x.png", "validation/cat/y.png"):
        shutil.copy(split / "train/cat/00.png", split / name)
    with Image.open(split / "train/cat/00.png") as image:
        image.save(split / "train/cat/z.jpg")
    audit = audit_of(split).audit
    assert kinds_of(audit) == {"exact-duplicate": 1, "near-duplicate": 1, "leakage": 1}
    assert [path.name for path in audit.of("exact-duplicate")[0].paths] == ["00.png", "x.png"]
    assert [path.name for path in audit.of("near-duplicate")[0].paths] == ["00.png", "z.jpg"]
    assert len(audit.of("leakage")[0].paths) == 4


def test_litelens_own_split_leaks_nothing(classes):
    """What looks alike in a class goes into one split, whatever the seed."""
    for number in range(3):
        shutil.copy(classes / "cat/00.png", classes / f"cat/copy{number}.png")
    for seed in range(10):
        audit = audit_of(classes, seed=seed).audit
        assert kinds_of(audit) == {"exact-duplicate": 1}


def test_a_rare_class(classes, save, scene):
    for seed in range(100, 190):
        save(f"set/bird/{seed}.png", scene(seed, (20, 20)))
    audit = audit_of(classes).audit
    assert [finding.detail for finding in audit.of("imbalance")] == [
        "'cat' has 8 usable pictures, 'bird' has 90",
        "'dog' has 8 usable pictures, 'bird' has 90",
    ]


def test_every_file_is_accounted_for(classes, save, scene):
    save("set/cat/empty.jpg", b"")
    save("set/cat/page.jpg", b"<!DOCTYPE html>")
    save("set/dog/.hidden.jpg", b"x")
    save("set/.DS_Store", b"x")
    save("set/dog/deeper/1.png", scene(50))
    audited = audit_of(classes)
    totals = Totals.of(audited.audit)
    assert totals == Totals(files=21, used=16, skipped=2, hidden=2, left_out=1)
    assert totals.files == sum(path.is_file() for path in classes.rglob("*"))
    assert str(totals) == "21 files: 16 used, 2 skipped, 2 hidden, 1 left out"


def test_what_a_csv_does_not_name_is_left_out(tmp_path, save, scene):
    for seed in range(9):
        save(f"train/{seed}.png", scene(seed))
    lines = [f"{seed},{'cat' if seed < 4 else 'dog'}" for seed in range(8)]
    save("labels.csv", "\n".join(["id,label", *lines, "0,cat", "99,dog"]).encode())
    audited = audit_of(tmp_path)
    assert kinds_of(audited.audit) == {"absent": 1, "listed-twice": 1, "not-listed": 1}
    assert Totals.of(audited.audit) == Totals(files=9, used=8, skipped=0, hidden=0, left_out=1)


def test_a_flat_folder_is_audited_and_cannot_be_trained_on(tmp_path, save, scene):
    for name, seed in (("a.png", 0), ("b.png", 1), ("c.png", 0), (".hidden.png", 2)):
        save(name, scene(seed))
    save("notes.txt", b"not a picture")
    audited = audit_of(tmp_path)
    assert Totals.of(audited.audit) == Totals(files=5, used=3, skipped=1, hidden=1, left_out=0)
    assert kinds_of(audited.audit) == {"unreadable": 1, "hidden": 1, "exact-duplicate": 1}
    assert audited.audit.counts == {"": {"": 3}} and "no class folders" in str(audited.problem)


def test_a_set_that_cannot_be_split_is_audited_all_the_same(tmp_path, save, scene):
    save("cat/0.png", scene(0))
    save("cat/1.png", scene(0))
    audited = audit_of(tmp_path)
    assert kinds_of(audited.audit) == {"exact-duplicate": 1} and audited.problem.hint
    assert audited.audit.counts == {"": {"cat": 2}}


@pytest.mark.parametrize(
    "content", [{}, {"notes.txt": b"x"}, {"a/b.txt": b"x"}], ids=["empty", "texts", "deep"]
)
def test_what_is_no_set_of_pictures(tmp_path, save, content):
    for name, text in content.items():
        save(name, text)
    if "a/b.txt" in content:
        (tmp_path / "a/c").mkdir()
        assert audit_of(tmp_path).problem
    else:
        with pytest.raises(DataError):
            audit_of(tmp_path)


def test_refuses_the_kinds_that_are_named(tmp_path):
    audit = Audit(3, 1, (
        Finding("bomb", (tmp_path / "a.png",), "a.png: huge"), Finding("bomb", (tmp_path / "b.png",), "b.png: huge"),
        Finding("leakage", (), "equal pixels: c.png, d.png"),
    ))  # fmt: skip
    refuse(audit, ())
    refuse(audit, ("truncated", "imbalance"))
    with pytest.raises(
        DataError, match="found 2 bomb, the first: a.png: huge; 1 leakage, the first: equal"
    ) as caught:
        refuse(audit, ("bomb", "truncated", "leakage"))
    assert "leave bomb, leakage out of --strict" in caught.value.hint


@pytest.mark.skipif(not ODD.is_dir(), reason="the collection of odd pictures is not here")
def test_every_odd_file_is_accounted_for():
    """79 odd files and their csv; two are hidden."""
    audit = audit_of(ODD).audit
    totals = Totals.of(audit)
    assert totals == Totals(files=80, used=57, skipped=21, hidden=2, left_out=0)
    skipped = [finding.paths[0].name for kind in SKIPPED_KINDS for finding in audit.of(kind)]
    hidden = [finding.paths[0].name for finding in audit.of("hidden")]
    assert len(set(skipped)) == 21 and sorted(hidden) == [".DS_Store", "._cat.1.jpg"]
    in_groups = [{path.name for path in finding.paths} for finding in audit.of("near-duplicate")]
    assert {"Landscape_1.jpg", "Landscape_3.jpg", "Landscape_6.jpg", "Landscape_8.jpg"} in in_groups
    assert any({"hopper.webp", "hopper.avif", "hopper_gray.jpg"} <= group for group in in_groups)
