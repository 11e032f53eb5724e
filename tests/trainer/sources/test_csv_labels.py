"""labels.csv as it comes from contests, spreadsheets and hands."""

import csv
import io
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_runtime.errors import DataError
from trainer.audit.findings import ABSENT, HIDDEN, LISTED_TWICE, NOT_LISTED
from trainer.sources.csv_labels import _read
from trainer.sources.open_source import open_source

DOG_BREEDS = Path(__file__).parents[4] / "shared" / "data" / "dog_breeds"


@pytest.fixture
def folder(tmp_path, build):
    return build(tmp_path / "dogs", "train/a.jpg", "train/b.jpg", "train/c.d.png", "test/z.jpg")


def remarks(source):
    return {(r.kind, r.path.relative_to(source.folder).as_posix()) for r in source.remarks}


@pytest.mark.parametrize(
    "content",
    [
        "id,breed\na,pug\nb,beagle\nc.d,pug\n",
        "id,breed\na.jpg,pug\nb.jpg,beagle\nc.d.png,pug\n",
        "File Name,Was ist es?\r\ntrain/a.jpg,pug\r\ntrain/b,beagle\r\n./train/c.d.png,pug\r\n",
        "\ufeffid,breed\n\n a , pug \ntrain\\b.jpg,beagle\nc.d,pug",
        '"id","breed"\n"a","pug"\n"b","beagle"\n"c.d","pug"\n',
    ],
)
@pytest.mark.parametrize("name", ["labels.csv", "other.CSV"])
def test_a_picture_is_named_with_or_without_ending_and_folder(folder, listed, name, content):
    (folder / name).write_text(content, encoding="utf-8", newline="")
    source = open_source(str(folder if name == "labels.csv" else folder / name))
    assert source.folder == folder
    assert listed(source) == [
        ("train/a.jpg", "pug", ""),
        ("train/b.jpg", "beagle", ""),
        ("train/c.d.png", "pug", ""),
    ]
    assert source.remarks == ()  # test/ holds nothing that is listed: it is not looked at


def test_what_is_odd_is_told(folder, build, listed):
    build(folder, "train/extra.jpg", "train/.hidden.jpg")
    (folder / "train" / "notes.txt").write_text("no picture")
    (folder / "labels.csv").write_text(
        "id,breed\na,pug\ngone,pug\na.jpg,pug\nb,beagle\ntrain/gone2.jpg,pug\n"
    )
    source = open_source(str(folder))
    assert [name for name, _, _ in listed(source)] == ["train/a.jpg", "train/b.jpg"]
    assert remarks(source) == {
        (LISTED_TWICE, "train/a.jpg"),
        (ABSENT, "gone"),
        (ABSENT, "train/gone2.jpg"),
        (NOT_LISTED, "train/c.d.png"),
        (NOT_LISTED, "train/extra.jpg"),
        (HIDDEN, "train/.hidden.jpg"),
    }
    details = {remark.kind: remark.detail for remark in source.remarks}
    assert "lines 2 and 4" in details[LISTED_TWICE] and "line 6" in details[ABSENT]


def test_a_picture_is_told_from_its_side_file_and_from_one_beside_the_csv(folder, build, listed):
    build(folder, "train/a.xml", "b.jpg")
    (folder / "labels.csv").write_text("id,breed\na,pug\n./b.jpg,beagle\ntrain/b.jpg,pug\n")
    assert listed(open_source(str(folder))) == [
        ("b.jpg", "beagle", ""),
        ("train/a.jpg", "pug", ""),
        ("train/b.jpg", "pug", ""),
    ]


def test_names_composed_and_decomposed(tmp_path, build, listed):
    folder = build(tmp_path / "data", "e\u0301té.jpg", "猫.jpg")
    (folder / "labels.csv").write_text("name,label\n\u00e9té,sommer\n猫.jpg,ネコ\n", encoding="utf-8")
    assert sorted(label for _, label, _ in listed(open_source(str(folder)))) == ["sommer", "ネコ"]


@pytest.mark.parametrize(
    "content, says",
    [
        (b"", "is empty"),
        (b"id,breed\n", "a header and no other line"),
        (b"id,breed,size\na,pug,3\n", "has 3 columns (id, breed, size)"),
        (b"id;breed\na;pug\n", "has 1 column (id;breed)"),
        (b"id,breed\na,pug\nb\n", "line 3: 'b', expected a name and a label"),
        (b"id,breed\na,pug,3\n", "line 2: 'a,pug,3', expected"),
        (b"id,breed\na,\n", "line 2: 'a,', expected a name and a label"),
        (b"id,breed\n ,pug\n", "line 2: ',pug', expected"),
        (b"id,breed\n\n\na,pug\na.jpg,beagle\n", "'pug' in line 4 and 'beagle' in line 5"),
        (b"id,breed\nx,pug\ny,pug\n", "names 2 pictures and none is there"),
        (b"a.jpg,pug\nb.jpg,pug\n", "line 1: the header names a picture, 'a.jpg'"),
        (b"a,pug\nb,pug\n", "line 1: the header names a picture, 'a'"),
        (b"id,breed\n../dogs/train/a.jpg,pug\n", "line 2: '../dogs/train/a.jpg' leads out"),
        (b"id,breed\ntrain/../../a.jpg,pug\n", "leads out"),
        (b"id,breed\n/etc/passwd,pug\n", "leads out"),
        (b"id,breed\nC:\\a.jpg,pug\n", "leads out"),
        (b"id,breed\ntwin,pug\n", "line 2: 'twin' fits 2 files"),
        (b"id,breed\ntwin.jpg,pug\n", "line 2: 'twin.jpg' fits 2 files"),
        (b"id,breed\n\xff\xfe,pug\n", "cannot read"),
        (b'id,breed\n"a,pug\n', "cannot read"),
    ],
)
def test_a_csv_that_cannot_be_used_is_an_instruction(folder, build, content, says):
    build(folder, "train/twin.jpg", "test/twin.jpg")
    (folder / "labels.csv").write_bytes(content)
    with pytest.raises(DataError) as caught:
        open_source(str(folder))
    assert says in str(caught.value) and caught.value.hint


@given(
    st.lists(
        st.tuples(*[st.text(st.characters(exclude_categories=("Cs", "Cc")), min_size=1)] * 2),
        min_size=1,
        max_size=8,
    )
)
def test_what_the_csv_module_writes_is_read_as_it_was(tmp_path_factory, rows):
    path = tmp_path_factory.mktemp("csv") / "labels.csv"
    text = io.StringIO()
    csv.writer(text).writerows([("id", "label"), *rows])
    path.write_bytes(text.getvalue().encode())
    wanted = [(name.strip(), label.strip()) for name, label in rows]
    try:
        lines = _read(path)[1:]
    except DataError:
        assert any(not name or not label or _leads_out(name) for name, label in wanted)
    else:
        assert [(line.name, line.label) for line in lines] == [
            (n.replace("\\", "/"), label) for n, label in wanted
        ]


def _leads_out(name: str) -> bool:
    parts = name.replace("\\", "/").split("/")
    return ".." in parts or parts[0] == "" or name[1:2] == ":"


@given(content=st.binary(max_size=200))
def test_any_bytes_are_a_csv_or_an_instruction(tmp_path_factory, content):
    path = tmp_path_factory.mktemp("csv") / "labels.csv"
    path.write_bytes(b"id,label\n" + content)
    try:
        assert len(_read(path)) > 1
    except DataError as problem:
        assert problem.hint


@pytest.mark.skipif(not DOG_BREEDS.is_dir(), reason=f"{DOG_BREEDS} is not there")
def test_the_dog_breeds():
    source = open_source(str(DOG_BREEDS))
    assert len(source.files) == 785 and len({file.label for file in source.files}) == 120
    assert source.remarks == ()
