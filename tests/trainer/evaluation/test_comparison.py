import json

import pytest
from PIL import Image

from edge_runtime.errors import ConfigError, RunFolderError
from trainer.evaluation.charts import draw_comparison
from trainer.evaluation.comparison import find_differences, summarise_run


def test_a_run_is_summarised_from_its_files(write_run):
    folder = write_run("one", accuracies=(0.5, 0.6, 0.75), alpha=0.5)
    run = summarise_run(folder)
    assert (run.validation_accuracy, run.test_accuracy) == (0.75, 0.75)
    assert (run.model_bytes, run.parameters, run.epochs, run.seconds) == (2_500_000, 1234567, (2, 1), 6.5)
    assert (run.backbone, run.alpha, run.size) == ("mobilenet_v2", 0.5, 96)
    assert [(step.phase, step.val_accuracy, step.seconds) for step in run.steps] == [
        (1, 0.5, 2.0),
        (1, 0.6, 4.0),
        (2, 0.75, 6.0),
    ]


def test_the_table_has_a_line_a_run(call, write_run):
    runs = [write_run("one"), write_run("two", alpha=0.35, size=64)]
    ended = call("compare", *runs)
    assert ended.exception is None and ended.stderr == ""
    head, *lines = ended.stdout.splitlines()
    assert head.split() == (
        ["run", "validation", "test", "loss", "MB", "parameters", "trained", "epochs", "s/epoch", "seconds"]
        + ["backbone", "alpha", "px", "data"]
    )
    assert lines[1].split()[:3] == [str(runs[1]), "0.7500", "0.7500"]
    measured = ["2.5", "1,234,567", "10+99", "1+1", "2.0+3.0", "6"]
    assert lines[1].split()[4:] == [*measured, "mobilenet_v2", "0.35", "64", "ffffffff"]


def test_by_epoch_there_is_a_column_a_run_and_a_line_an_epoch(call, write_run):
    runs = [write_run("one", accuracies=(0.5, 0.6, 0.75)), write_run("two", accuracies=(0.25, 0.5))]
    ended = call("compare", *runs, "--by-epoch")
    assert ended.exception is None
    lines = ended.stdout.partition("after each epoch\n")[2].splitlines()
    assert [line.split() for line in lines] == [
        ["epoch", str(runs[0]), str(runs[1])],
        ["1", "0.5000", "0.2500"],
        ["2", "0.6000", "0.5000"],
        ["3", "0.7500"],
    ]


@pytest.mark.parametrize(
    "other, says",
    [
        ({}, []),
        ({"alpha": 0.35}, []),
        ({"data": "e"}, ["different data or splits"]),
        ({"data": "e", "names": ("3.jpg",)}, ["different data or splits", "different pictures"]),
    ],
)
def test_warns_where_figures_cannot_be_compared(call, write_run, other, says):
    runs = [write_run("one"), write_run("two", **other)]
    found = find_differences([summarise_run(run) for run in runs])
    assert len(found) == len(says) and all(word in line for word, line in zip(says, found, strict=True))
    ended = call("compare", *runs, "--json")
    assert ended.stderr.count("warning:") == len(says)
    printed = json.loads(ended.stdout)
    assert printed["warnings"] == found and len(printed["runs"]) == 2
    assert printed["runs"][0]["test_accuracy"] == 0.75


def test_a_run_without_a_test_split_is_compared_by_validation(call, write_run):
    folder = write_run("one")
    for name in ("metrics.json", "splits.json"):
        content = json.loads((folder / name).read_text())
        del content["splits"]["test"]
        (folder / name).write_text(json.dumps(content))
    run = summarise_run(folder)
    assert run.test_accuracy is None and run.loss > 0
    assert " - " in call("compare", folder).stdout


def test_the_plot_shows_every_run_over_epochs_and_seconds(call, write_run, tmp_path):
    runs = [write_run("one", (0.1, 0.2, 0.3)), write_run("two $x", (0.4, 0.5))]
    by_epoch, by_time = draw_comparison([summarise_run(run) for run in runs]).axes
    first, second = (
        line for line in by_epoch.lines if len(line.get_xdata()) > 1 and line.get_label()[0] != "_"
    )
    assert list(first.get_ydata()) == [0.1, 0.2, 0.3] and list(second.get_xdata()) == [1, 2]
    assert list(by_time.lines[1].get_xdata()) == [2.0, 4.0]
    assert call("compare", *runs, "--plot", tmp_path / "plot.png").exception is None
    assert Image.open(tmp_path / "plot.png").width > 800


@pytest.mark.parametrize("name", ["config.toml", "model.keras", "metrics.json", "splits.json", "history.csv"])
def test_names_what_a_run_folder_lacks(call, write_run, name):
    folder = write_run("one")
    (folder / name).unlink()
    ended = call("compare", folder)
    assert isinstance(ended.exception, RunFolderError) and f"has no {name}" in str(ended.exception)


@pytest.mark.parametrize(
    "name, content, error",
    [
        ("metrics.json", "{}", RunFolderError),
        ("metrics.json", "[1", RunFolderError),
        ("metrics.json", '{"splits": []}', RunFolderError),
        ("splits.json", '{"splits": {"test": {}}}', RunFolderError),
        ("history.csv", "phase,epoch\n1,1\n", RunFolderError),
        ("history.csv", "phase,val_accuracy,seconds\n1,much,2\n", RunFolderError),
        ("config.toml", "data = ", ConfigError),
    ],
)
def test_refuses_what_litelens_did_not_write(call, write_run, name, content, error):
    folder = write_run("one")
    (folder / name).write_text(content)
    ended = call("compare", folder)
    assert isinstance(ended.exception, error) and str(folder) in str(ended.exception)
