"""The verb `audit`, its JSON and its page."""

import html.parser
import json
import os
import shutil
import sys

import pytest
from click.testing import CliRunner
from PIL import Image

from litelens.cli import main
from trainer.audit.findings import KINDS
from trainer.audit.report import printable, thumbnail


@pytest.fixture
def audit():
    """Runs the verb in this process, as `litelens audit` would be run; its result has exit_code, stdout, stderr."""

    def run(*arguments: object):
        return CliRunner().invoke(main, ["audit", *map(str, arguments)])

    return run


@pytest.fixture
def folder(save, scene, tmp_path):
    """Two classes, with a double in both, an empty file and names of all kinds."""
    for seed in range(16):
        save(f"set/{'chat été' if seed < 8 else '猫'}/{seed:02}.png", scene(seed))
    shutil.copy(tmp_path / "set/猫/15.png", tmp_path / "set/chat été/<script>alert(1)<script>.png")
    save("set/猫/\x1b[31mred\n.jpg", b"")
    return tmp_path / "set"


def test_prints_a_table_and_accounts_for_every_file(audit, folder):
    ended = audit(folder)
    assert ended.exit_code == 0, ended.stderr
    lines = ended.stdout.splitlines()
    assert lines[0].split()[:2] == ["zero-bytes", "1"] and KINDS["zero-bytes"] in lines[0]
    assert lines[1].split() == ["first:", r"猫/\x1b[31mred\n.jpg:", "0", "bytes"]
    assert any(line.startswith("label-conflict") for line in lines)
    assert "18 files: 17 used, 1 skipped, 0 hidden" in lines
    assert (
        sum(int(line.split()[1]) for line in lines if line.split(":")[0] in ("train", "validation", "test"))
        == 17
    )
    assert "\x1b" not in ended.stdout


@pytest.mark.parametrize(
    "strict, exit_code, says",
    [
        ("--strict=label-conflict", 1, "error: the audit found 1 label-conflict, the first: equal pixels: "),
        ("--strict", 1, "error: the audit found 1 zero-bytes"),
        ("--strict=zero-bytes,bomb", 1, "leave zero-bytes out of --strict"),
        ("--strict=bomb,truncated", 0, ""),
        ("--strict=label-conflit", 1, "did you mean 'label-conflict'?"),
        ("--test-fraction=2", 1, "test_fraction is 2.0"),
    ],
)
def test_strict(audit, folder, strict, exit_code, says):
    ended = audit(folder, strict)
    assert ended.exit_code == exit_code, ended.stderr
    assert says in ended.stderr and "Traceback" not in ended.stderr


def test_json_on_stdout_alone(audit, folder):
    ended = audit(folder, "--json", "-")
    found = json.loads(ended.stdout)
    assert (found["files"], found["used"], found["skipped"], found["hidden"], found["left_out"]) == (
        18,
        17,
        1,
        0,
        0,
    )
    assert found["problem"] is None and sum(sum(n.values()) for n in found["counts"].values()) == 17
    by_kind = {finding["kind"]: finding["paths"] for finding in found["findings"]}
    assert by_kind["zero-bytes"] == ["猫/\x1b[31mred\n.jpg"]
    assert by_kind["label-conflict"] == ["chat été/<script>alert(1)<script>.png", "猫/15.png"]
    assert found["kinds"]["label-conflict"] == 1


class Page(html.parser.HTMLParser):
    """The tags of a page, and what its attributes refer to."""

    def __init__(self, text: str):
        super().__init__()
        self.tags, self.references = [], []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.references += [
            value for name, value in attributes if name in ("src", "href", "srcset", "onerror")
        ]


def test_the_page_needs_no_other_file_and_runs_no_names(audit, folder, tmp_path):
    ended = audit(folder, "--report", tmp_path / "audit.html")
    assert ended.exit_code == 0, ended.stderr
    text = (tmp_path / "audit.html").read_text(encoding="utf-8")
    page = Page(text)
    assert "script" not in page.tags and "&lt;script&gt;" in text and "chat été" in text and "猫" in text
    assert all(reference.startswith(("data:image/jpeg;base64,", "#")) for reference in page.references)
    assert page.tags.count("img") >= 2  # the two of the label conflict, side by side
    assert "18 files: 17 used" in text


def test_says_how_many_more_there_are(audit, folder, scene, save, tmp_path):
    for number in range(45):
        save(f"set/猫/empty{number}.jpg", b"")
    for number in range(12):
        shutil.copy(folder / "猫/14.png", folder / f"猫/copy{number}.png")
    audit(folder, "--report", tmp_path / "audit.html")
    text = (tmp_path / "audit.html").read_text(encoding="utf-8")
    assert "and 6 more; " in text  # 46 empty files, 40 shown
    assert "and 5 more\n" in text  # 13 of one picture, 8 shown


def test_says_what_cannot_be_trained_on_and_audits_it_all_the_same(audit, save, scene, tmp_path):
    save("a.png", scene(0))
    ended = audit(tmp_path)
    assert ended.exit_code == 0
    assert "1 files: 1 used, 0 skipped, 0 hidden" in ended.stdout
    assert "nothing can be trained on this as it is" in ended.stderr and "hint: " in ended.stderr


def test_a_folder_that_is_not_there(audit, tmp_path):
    ended = audit(tmp_path / "nowhere")
    assert ended.exit_code == 1 and "is not there" in ended.stderr and "Traceback" not in ended.stderr


@pytest.mark.skipif(sys.platform != "linux", reason="other systems refuse names that are no UTF-8")
def test_names_that_are_no_text(litelens, folder, tmp_path):
    with open(os.fsencode(folder) + b"/\xe7\x8c\xab/bad\xff.jpg", "wb"):
        pass
    ended = litelens(
        "audit", folder, "--report", tmp_path / "a.html", "--json", tmp_path / "a.json", "--strict"
    )
    assert ended.returncode == 1 and "Traceback" not in ended.stderr
    assert r"bad\udcff.jpg" in (tmp_path / "a.html").read_text(encoding="utf-8")
    found = json.loads((tmp_path / "a.json").read_text(encoding="ascii"))
    assert found["skipped"] == 2


@pytest.mark.parametrize(
    "text, shown",
    [
        ("chat été 猫 🐱", "chat été 猫 🐱"),
        ("a\nb\x1b[31m", r"a\nb\x1b[31m"),
        ("gpj.\u202eexe", r"gpj.\u202eexe"),
        ("bad\udcff", r"bad\udcff"),
    ],
)
def test_shows_names_without_obeying_them(text, shown):
    assert printable(text) == shown


def test_thumbnails(save, scene):
    assert thumbnail(save("a.png", scene(0))).startswith("data:image/jpeg;base64,")
    assert thumbnail(save("b.png", b"x")) == ""
    assert thumbnail(save("c.gif", Image.new("L", (9, 900)))).startswith("data:image/jpeg;base64,")


def test_imports_no_tensorflow(litelens, folder):
    """Seconds saved, and it runs beside a training."""
    ended = litelens("audit", folder, env={**os.environ, "PYTHONPROFILEIMPORTTIME": "1"})
    imported = {line.rpartition("|")[2].strip() for line in ended.stderr.splitlines()}
    assert "trainer.audit.audited" in imported
    assert not {"tensorflow", "tf_keras", "matplotlib"} & imported
