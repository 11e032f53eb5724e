import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.card.json_file import read_card, write_card
from benchmarks.measuring.machine import this_machine
from benchmarks.result_file import ResultError
from benchmarks.result_tables import TABLES
from benchmarks.results_page import PageStale, machine_name, page, read_folder, write_page
from edge_runtime.errors import LitelensError

ROOT = Path(__file__).parents[2]
PI = "Raspberry Pi 4 Model B Rev 1.4"


def run(*arguments: object, cwd: Path = ROOT) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", *map(str, arguments)]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=120)


@pytest.fixture(scope="session")
def measured(tiny, tmp_path_factory) -> Path:
    """Results as the commands write them: this machine's folder with a card and another result."""
    folder = tmp_path_factory.mktemp("results") / machine_name(this_machine())
    folder.mkdir()
    commands = (
        ("litelens", "bench", tiny, "--quick", "--json", folder / "bench.json"),
        ("benchmarks.frame_overhead", tiny, "--runs", 20, "--json", folder / "frame_overhead.json"),
    )
    for command in commands:
        ended = run(*command)
        assert ended.returncode == 0, ended.stderr
    return folder


@pytest.fixture
def folder(measured, tmp_path) -> Path:
    """A copy of it, to change."""
    return Path(shutil.copytree(measured, tmp_path / "results" / measured.name))


def change(path: Path, **changes: object) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def line_of(text: str, words: str) -> str:
    (line,) = (line for line in text.splitlines() if words in line)
    return line


def test_the_page_in_the_docs_is_what_the_results_give():
    ended = run("benchmarks.results_page", "--check")
    assert ended.returncode == 0, ended.stderr


def test_no_kept_result_names_a_folder_of_its_machine():
    """A folder's name in an argument is cut off when a result is written."""
    kept = sorted((ROOT / "benchmarks" / "results").glob("*/*.json"))
    assert kept
    for path in kept:
        assert '"/' not in path.read_text() and " /" not in path.read_text(), path


def test_a_result_shows_its_numbers_its_command_and_its_machine(folder):
    text = page(folder.parent, ())
    machine, card = this_machine(), read_card(folder / "bench.json")
    overhead = json.loads((folder / "frame_overhead.json").read_text())
    heading = f"## {machine.cpu}, {machine.cores} core"
    assert line_of(text, "## " + machine.cpu).startswith(heading)
    assert machine.os in line_of(text, "| system |") and overhead["created"][:10] in line_of(
        text, "| measured |"
    )
    assert line_of(text, "# bench.json") == (
        f"    litelens bench tiny.tflite --quick --threads {card.setting.threads}  # bench.json, {card.created[:10]}"
    )
    assert line_of(text, "# frame_overhead.json").startswith(
        "    python -m benchmarks.frame_overhead tiny.tflite --runs 20  # "
    )
    whole, invoke = card.stages.whole, card.stages.invoke
    numbers = (whole.p50_ms, whole.p90_ms, whole.p99_ms, whole.std_ms, whole.jitter_ms, invoke.p50_ms)
    assert " | ".join(f"{ms:.2f}" for ms in numbers) in line_of(text, "| tiny.tflite | 8 x 8 int8 |")
    (one,) = overhead["models"]
    times = (one["invoke"]["p50_ms"], one["classify"]["p50_ms"], one["overhead_p50_ms"])
    assert line_of(text, "| tiny.tflite | 8 x 8 |").endswith(" | ".join(f"{ms:.2f}" for ms in times) + " |")


def test_a_quick_card_is_marked(folder):
    text = page(folder.parent, ())
    assert line_of(text, "| tiny.tflite | 8 x 8 int8 |").endswith("| **no** |")
    assert "1 x 2 s were measured" in line_of(text, "- bench.json: ")


def test_a_calm_card_is_not(folder):
    card = read_card(folder / "bench.json")
    calm = replace(card, quick=False, noise=replace(card.noise, quotable=True, reasons=()))
    write_card(folder / "bench.json", calm)
    text = page(folder.parent, ())
    assert line_of(text, "| tiny.tflite | 8 x 8 int8 |").endswith("| yes |")
    assert "- bench.json: " not in text and "--quick" not in text


@pytest.mark.parametrize(
    "changes, marked",
    [
        ({"others_share": 0.31}, "other programs took 31% of all cores, expected at most 5%"),
        ({"others_share": 0.01}, None),
        ({"others_share": None}, None),
        ({"others_share": 0.31, "reasons": ["2 rounds, expected 6"]}, "2 rounds, expected 6"),
    ],
)
def test_a_result_measured_beside_other_work_is_marked(folder, changes, marked):
    change(folder / "frame_overhead.json", **changes)
    lines = [
        line for line in page(folder.parent, ()).splitlines() if line.startswith("- frame_overhead.json")
    ]
    assert lines == ([f"- frame_overhead.json: {marked}."] if marked else [])


def test_the_governor_and_the_temperature_are_told(folder):
    text = page(folder.parent, ())
    change(folder / "frame_overhead.json", governor="ondemand", temperature_c=61.2)
    card = read_card(folder / "bench.json")
    readings = tuple(replace(one, governor="performance", temperature_c=48.3) for one in card.readings)
    write_card(folder / "bench.json", replace(card, readings=readings))
    told = page(folder.parent, ())
    assert line_of(told, "| governor |") == "| governor | ondemand, performance |"
    assert line_of(told, "| temperature |") == "| temperature | 48 to 61 °C |"
    assert told != text
    card = replace(card, readings=tuple(replace(one, governor=None, temperature_c=None) for one in readings))
    write_card(folder / "bench.json", card)
    change(folder / "frame_overhead.json", governor=None, temperature_c=None)
    told = page(folder.parent, ())
    assert line_of(told, "| governor |") == "| governor | not told |"
    assert line_of(told, "| temperature |") == "| temperature | not told |"


def test_a_new_machines_folder_appears(folder):
    card = read_card(folder / "bench.json")
    machine = replace(card.machine, cpu=PI, architecture="aarch64", cores=4)
    other = folder.parent / machine_name(machine)
    other.mkdir()
    write_card(other / "parts.json", replace(card, machine=machine))
    text = page(folder.parent, ())
    assert text.count("\n## ") == 3 and f"\n## {PI}, 4 cores\n" in text
    assert f"[benchmarks/results/{other.name}](../benchmarks/results/{other.name})" in text


@pytest.mark.parametrize(
    "cpu, cores, name",
    [
        (PI, 4, "raspberry-pi-4-model-b-rev-1-4-4-cores"),
        ("Intel(R) Xeon(R) Processor", 2, "intel-xeon-2-cores"),
        ("Intel(R) Core(TM) i7-4770 CPU @ 3.40GHz", 8, "intel-core-i7-4770-8-cores"),
        ("ARMv6-compatible processor rev 7 (v6l)", 1, "armv6-compatible-rev-7-v6l-1-core"),
    ],
)
def test_machine_name(cpu, cores, name):
    assert machine_name(replace(this_machine(), cpu=cpu, cores=cores)) == name


@pytest.mark.parametrize(
    "content, why",
    [
        ("", "cannot read .*bad.json"),
        ('{"kind": "soak", ', "cannot read .*bad.json"),
        ("[" * 100_000, "cannot read .*bad.json"),
        ('{"kind": NaN}', "NaN is no number"),
        ("[1]", "no JSON object"),
        ("{}", "bad.json is no card"),
        ('{"schema": 99}', "newer litelens"),
        ('{"schema": 99, "kind": "soak"}', "schema 99"),
        ('{"schema": 1, "kind": "soak"}', "machine is None"),
    ],
)
def test_a_file_that_is_no_result_is_a_named_error(folder, content, why):
    (folder / "bad.json").write_text(content)
    with pytest.raises(LitelensError, match=why) as refused:
        page(folder.parent, ())
    assert "bad.json" in str(refused.value) and refused.value.hint and refused.value.exit_code == 1


@pytest.mark.parametrize(
    "changes, why",
    [
        ({"kind": "guess"}, "unknown kind 'guess'"),
        ({"models": None}, "does not hold what frame_overhead writes"),
        ({"models": [{}]}, "does not hold what frame_overhead writes"),
        ({"kind": "training_time"}, "does not hold what training_time writes"),
        ({"reasons": 5}, "does not hold what frame_overhead writes"),
        ({"machine": asdict(replace(this_machine(), cpu=PI))}, "measured on another machine"),
    ],
)
def test_a_result_that_contradicts_itself_is_a_named_error(folder, changes, why):
    change(folder / "frame_overhead.json", **changes)
    with pytest.raises(ResultError, match=why) as refused:
        page(folder.parent, ())
    assert "frame_overhead.json" in str(refused.value)


def test_a_name_that_is_no_text_does_not_hold_the_page_up(folder, tmp_path):
    card = read_card(folder / "bench.json")
    write_card(folder / "bench.json", replace(card, model=replace(card.model, file="tiny\udcff.tflite")))
    write_page(folder.parent, tmp_path / "page.md")
    assert "| tiny?.tflite |" in (tmp_path / "page.md").read_text()


def test_an_empty_folder_is_a_named_error(tmp_path):
    (tmp_path / "nothing-2-cores").mkdir()
    with pytest.raises(ResultError, match="nothing-2-cores has no result"):
        page(tmp_path, ())


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=3,
)


SPREAD = {"p50_ms": 2.0, "p90_ms": 3.0}
RATIO = {"median": 1.25, "low": 1.2, "high": 1.3}
MODEL = {"name": "a", "size_bytes": 2**20, "input_height_px": 96, "input_width_px": 128}
CELL = {
    "number": 1, "model": "a", "interpreter": "ai_edge_litert", "threads": 2, "problem": "", "accuracy": {"top1": 0.9},
    "latency": {"whole": SPREAD, "spread": 0.03, "ratio": RATIO}, "agreement": None, "on_front": True,
}  # fmt: skip
PEER = {
    "name": "bare loop", "model": "int8", "preprocessing": "centre", "version": "2.3.0", "p50_ms": 2.0, "p90_ms": 3.0,
    "ratio": RATIO, "agreement": 0.9, "top1": None, "largest_difference": 0.1, "cores": 1.0, "start_s": 0.2,
    "environment_bytes": 5_000_000, "problem": None,
}  # fmt: skip
PEERS = {
    "model": {"file": "a.tflite"}, "data": "parts", "frame_width_px": 640, "frame_height_px": 480, "pictures": 9,
    "threads": 1, "rounds": 30,
}  # fmt: skip
OTHERS = [("bare loop, same rule", "int8"), ("MediaPipe Tasks", "int8"), ("ONNX Runtime", "int8")]
FOUND = {
    "matrix": (
        {
            "models": [MODEL], "rounds": 6, "round_s": 1.0, "notes": ["no pictures"],
            "cells": [CELL, CELL | {"number": 2, "latency": None, "problem": "it was\nkilled"}],
            "interpreters": [{"name": "ai_edge_litert", "version": "2.3.0"}, {"name": "tflite_runtime", "version": ""}],
        },
        [
            "| 1 | a | 128 x 96 | 1.0 | ai_edge_litert | 2 | 2.00 | 3.00 | 3.0% | 1.25 [1.20, 1.30] | 90.00% | - | **yes** |",
            "- 2 failed: it was killed", "- tflite_runtime was not installed", "- no pictures",
        ],
    ),
    "peers": (
        PEERS | {"peers": [PEER, *(PEER | {"name": n, "model": m, "ratio": None, "problem": "no\nwheel"} for n, m in OTHERS)]},
        [
            "| bare loop | 2.3.0 | int8 | centre | 2.00 | 3.00 | 1.25 [1.20, 1.30] | 90.0% | - | 0.100 | 1.0 | 0.2 | 5 |",
            "- MediaPipe Tasks, int8: no wheel",
        ],
    ),
    "training_time": (
        {
            "data": "cats", "alpha": 1.0, "ratio": 0.18,
            "notebook": [{"seconds": 500.04, "test_accuracy": 0.977}], "litelens": [{"seconds": 90.0, "test_accuracy": 0.98}],
        },
        ["| 1 | notebook recipe | 500.0 | 97.70% |", "| 1 | litelens | 90.0 | 98.00% |", "median of the rounds: 0.180"],
    ),
    "input_pipeline": (
        {"data": "cats", "alpha": 1.0, "size": 160, "pictures_per_s": {"decode": [100, 300, 200], "backbone": [50, 100, 150]}},
        ["cats, alpha 1.0, 160 px:", "median of 3 rounds", "| decode | 200 | 2.0 |", "| backbone | 100 | 1.0 |"],
    ),
    "default_settings": (
        {"data": "dogs", "alpha": 1.0, "size": 160, "judge": "test", "accuracies": {"defaults": [{"test": 0.5}, {"test": 0.6}]}},
        ["dogs, alpha 1.0, 160 px:", "accuracy on test", "| defaults | 0.5500 | 0.5000 0.6000 |"],
    ),
    "frame_overhead": (
        {"models": [{
            "model": "runs/a.tflite", "input_width_px": 128, "input_height_px": 96, "threads": 1, "runs": 9,
            "invoke": SPREAD, "classify": {"p50_ms": 2.5}, "overhead_p50_ms": 0.5,
        }]},
        ["| a.tflite | 128 x 96 | 1 | 9 | 2.00 | 2.50 | 0.50 |"],
    ),
    "sustained_rate": (
        {"model": "a.tflite", "rates": [{
            "camera_fps": 30.02, "invoke_ms": 2.0, "wanted_fps": 30.0, "reached_fps": 15.0, "age_p50_ms": 3.0, "age_p99_ms": 9.0,
        }]},
        ["a.tflite:", "| 30.0 | 2.00 | 30.0 | 15.0 | 50.0% | 3.0 | 9.0 |"],
    ),
    "soak": (
        {
            "model": "a.tflite", "video": "belt.avi", "seconds": 1800.0, "captured": 9, "dropped": 1, "classified": 8,
            "age_p50_ms": 3.0, "age_p99_ms": 9.0, "start_memory_bytes": 2**20, "end_memory_bytes": 2**21,
            "watched_bytes": 0, "saved": 30, "events": 5, "messages": 5, "hard_examples": 0,
        },
        ["a.tflite on belt.avi:", "| minutes | 30.0 |", "| memory at the end, MiB | 2.0 |", "| hard examples | 0 |"],
    ),
    "bench_overhead": (
        {"model": "a.tflite", "threads": 1, "rounds": 20} | dict.fromkeys(
            ("wall", "processor"), {"bare_ms": 2.0, "benched_ms": 2.01, "overhead": {"median": 0.005, "low": -0.01, "high": 0.02}}
        ),
        ["| wall | 2.00 | 2.01 | +0.50% | -1.00% to +2.00% |"],
    ),
}  # fmt: skip


@pytest.mark.parametrize("kind", TABLES)
def test_each_kind_has_its_table(kind):
    found, expected = FOUND[kind]
    drawn = TABLES[kind][1](found)
    for words in expected:
        assert words in drawn
    columns = {line.count(" |") for line in drawn.splitlines() if line.startswith("|")}
    assert len(columns) == 1


def objects(value: object) -> Iterator[dict]:
    """All in it, itself too."""
    if isinstance(value, dict):
        yield value
    for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from objects(inner)


@settings(max_examples=100, deadline=None)
@given(data=st.data())
def test_any_change_to_a_result_gives_a_page_or_a_named_error(measured, tmp_path_factory, data):
    folder = tmp_path_factory.getbasetemp() / "changed" / measured.name
    folder.mkdir(parents=True, exist_ok=True)
    kind = data.draw(st.sampled_from(sorted(FOUND)))
    head = json.loads((measured / "frame_overhead.json").read_text())
    content = json.loads(json.dumps(head | FOUND[kind][0] | {"kind": kind, "reasons": []}))
    place = data.draw(st.sampled_from(list(objects(content))).filter(len))
    place[data.draw(st.sampled_from(sorted(place)))] = data.draw(json_values)
    (folder / "result.json").write_text(json.dumps(content))
    try:
        assert page(folder.parent, ()).startswith("# Benchmarks")
    except LitelensError as refused:
        assert refused.hint


@pytest.mark.parametrize("rounds, marked", [(1, True), (2, True), (3, False)])
def test_a_training_time_of_few_rounds_is_marked(folder, rounds, marked):
    found = FOUND["training_time"][0]
    several = {name: found[name] * rounds for name in ("notebook", "litelens")}
    change(folder / "frame_overhead.json", **found | several, kind="training_time", others_share=0.0)
    assert (f": {rounds} of at least 3 rounds." in page(folder.parent, ())) == marked


def test_a_page_that_is_not_what_the_results_give_is_stale(folder, tmp_path):
    path = tmp_path / "benchmarks.md"
    with pytest.raises(PageStale, match="benchmarks.md is not what"):
        write_page(folder.parent, path, check=True)
    assert not path.exists()
    write_page(folder.parent, path)
    write_page(folder.parent, path, check=True)
    assert len(read_folder(folder)) == 2
    (folder / "frame_overhead.json").unlink()
    with pytest.raises(PageStale) as stale:
        write_page(folder.parent, path, check=True)
    assert stale.value.exit_code == 3


def test_the_command_exits_with_3_on_a_stale_page(tmp_path):
    """In a copy of the repository's part: the command takes no paths."""
    for name in ("benchmarks", "edge_runtime"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "docs").mkdir()
    code = "import sys; sys.path.insert(0, '.'); sys.argv[1:] = {}; from benchmarks.results_page import main; main()"

    def command(*arguments: str) -> subprocess.CompletedProcess:
        call = [sys.executable, "-c", code.format(list(arguments))]
        return subprocess.run(call, cwd=tmp_path, capture_output=True, text=True, timeout=120)

    absent = command("--check")
    assert absent.returncode == 3, absent.stderr
    assert (
        "benchmarks.md is not what" in absent.stderr
        and "hint: python -m benchmarks.results_page" in absent.stderr
    )
    assert command().returncode == 0 and command("--check").returncode == 0
    assert (tmp_path / "docs" / "benchmarks.md").read_bytes() == (
        ROOT / "docs" / "benchmarks.md"
    ).read_bytes()
