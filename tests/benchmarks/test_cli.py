import json
import os
import shutil

import click
import pytest
from click.testing import CliRunner
from PIL import Image

from benchmarks import cli
from benchmarks.card.json_file import read_card
from benchmarks.measuring.bench import Extent
from benchmarks.measuring.table import table
from edge_runtime.errors import WriteError

FILES = ("card.json", "card.md", "card.html")


@pytest.fixture(scope="module")
def pictures(tmp_path_factory, coloured):
    """A picture of each of the tiny model's classes."""
    folder = tmp_path_factory.mktemp("pictures")
    for label in ("blue", "green", "red"):
        (folder / label).mkdir()
        Image.fromarray(coloured(label)).save(folder / label / "a.png")
    return folder


@pytest.fixture(scope="module")
def quick(litelens, tiny, pictures, tmp_path_factory):
    """What a quick bench printed, and the folder of what it wrote; started by a process with 300 MB."""
    out = tmp_path_factory.mktemp("bench")
    options = [word for name in FILES for word in (f"--{name.partition('.')[2]}", out / name)]
    options[options.index("--md")] = "--markdown"
    ballast = bytearray(b"x" * 300_000_000)
    ended = litelens("bench", "--quick", tiny, "--threads", 1, "--data", pictures, *options)
    del ballast
    assert ended.returncode == 0, ended.stderr
    return ended, out


def test_a_table_for_people(quick):
    ended, _ = quick
    assert ended.stdout.startswith("A first look, not to be quoted:")
    for word in ("capture", "whole", "p99", "jitter", "cold start", "memory", "top-1        100.00%"):
        assert word in ended.stdout
    assert "window 1 of 1, 2 s" in ended.stderr and "Traceback" not in ended.stderr


def test_the_card_in_three_formats(quick, tiny):
    ended, out = quick
    card = read_card(out / "card.json")
    assert card.quick and card.model.file == tiny.name and card.accuracy.top1 == 1.0
    assert f"{card.stages.whole.p50_ms:.2f}" in ended.stdout
    assert card.model.sha256[:12] in (out / "card.md").read_text()
    assert "<html" in (out / "card.html").read_text().lower()
    assert json.loads((out / "card.json").read_text())["schema"] == 1


def test_memory_is_not_that_of_the_process_before(quick):
    """On Linux a child's ru_maxrss begins with its parent's."""
    _, out = quick
    assert read_card(out / "card.json").memory.peak_bytes < 200e6


@pytest.mark.parametrize("option", ["--json", "--markdown", "--html"])
def test_a_card_that_could_not_be_written_is_an_error_before_anything_is_measured(tiny, tmp_path, option):
    ended = CliRunner().invoke(cli.bench, [str(tiny), option, str(tmp_path / "absent" / "card")])
    assert isinstance(ended.exception, WriteError)
    assert (
        f"there is no folder {tmp_path / 'absent'}" in str(ended.exception) and "window" not in ended.stderr
    )


def test_a_folder_that_goes_away_meanwhile_leaves_the_table(tiny, tmp_path, monkeypatch):
    monkeypatch.setattr(cli, "QUICK", Extent(1, 0.1, 0.05, 0.05, cold_starts=1))
    folder = tmp_path / "folder"
    folder.mkdir()
    monkeypatch.setattr(cli, "table", lambda card: folder.rmdir() or table(card))
    arguments = [tiny, "--quick", "--threads", os.cpu_count() + 1, "--json", folder / "card.json"]
    ended = CliRunner().invoke(cli.bench, list(map(str, arguments)))
    assert isinstance(ended.exception, WriteError)
    assert "(more than the" in ended.stdout and "p50" in ended.stdout


@pytest.mark.parametrize("name", ["absent.tflite", "text.tflite", "compare"])
def test_a_model_that_cannot_be_loaded(litelens, tmp_path, name):
    (tmp_path / "text.tflite").write_text("no model at all")
    (tmp_path / "compare").write_text("no model either")
    ended = litelens("bench", f"./{name}", cwd=tmp_path)
    assert ended.returncode == 1 and ended.stdout == ""
    assert ended.stderr.startswith("error: ") and name in ended.stderr and "hint: " in ended.stderr


def test_pictures_of_other_classes(litelens, tiny, pictures, tmp_path):
    shutil.copytree(pictures, tmp_path / "other")
    (tmp_path / "other" / "red").rename(tmp_path / "other" / "rot")
    ended = litelens("bench", tiny, "--data", tmp_path / "other")
    assert ended.returncode == 1 and ended.stdout == ""
    assert "'blue', 'green', 'rot'" in ended.stderr and "'blue', 'green', 'red'" in ended.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("{tiny}", "another.tflite"),
        ("{tiny}", "--threads", "0"),
        ("{tiny}", "--fast"),
        ("{tiny}", "--on"),
    ],
)
def test_wrong_usage(tiny, arguments):
    with pytest.raises(click.UsageError):
        context(*(word.format(tiny=tiny) for word in arguments))


def context(*arguments: str) -> click.Context:
    return cli.bench.make_context("bench", list(arguments))


@pytest.mark.parametrize("name", cli.COMMANDS)
def test_the_first_argument_may_be_another_command(name):
    found = cli.bench.commands[name]
    assert isinstance(found, click.Command) and found.name == name
    with pytest.raises(click.exceptions.Exit) as ended:
        context(name, "--help")
    assert ended.value.exit_code == 0


def test_everything_else_is_a_model():
    for name in ("parts.tflite", "./compare", "matrices"):
        made = context(name, "--quick")
        assert made.command is cli.bench and str(made.params["model"]) == name.removeprefix("./")
    assert str(context("--quick", "matrix").params["model"]) == "matrix"


def test_help_names_the_other_commands():
    ended = CliRunner().invoke(cli.bench, ["--help"])
    assert ended.exit_code == 0
    for name, (_, _, line) in cli.COMMANDS.items():
        assert f"  {name}" in ended.stdout and line in ended.stdout


def test_another_command_is_called_by_its_full_name(litelens):
    ended = litelens("bench", "compare", "--help")
    assert ended.returncode == 0 and "litelens bench compare [OPTIONS]" in ended.stdout.splitlines()[0]
