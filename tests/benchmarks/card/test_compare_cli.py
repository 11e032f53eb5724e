import json
from dataclasses import replace

import pytest
from click.testing import CliRunner

from benchmarks.card.compare import NotAlike
from benchmarks.card.compare_cli import Regressed, compare
from benchmarks.card.json_file import CardError, write_card


@pytest.fixture
def cards(tmp_path, make_card):
    """Writes cards of these medians and returns their paths."""

    def write(*medians_ms: float, **kind) -> list[str]:
        paths = [tmp_path / f"{place}.json" for place in range(len(medians_ms))]
        for place, (path, median_ms) in enumerate(zip(paths, medians_ms, strict=True)):
            write_card(path, make_card(median_ms=median_ms, seed=place, **kind))
        return list(map(str, paths))

    return write


def run(*arguments: str):
    """The command as click calls it; its exception is in the result."""
    return CliRunner().invoke(compare, arguments, standalone_mode=False)


def test_it_says_what_changed(cards):
    ended = run(*cards(5.0, 5.5))
    assert ended.exception is None and ended.stderr == ""
    assert "slower: the median time of a whole frame changes by +10." in ended.stdout
    assert "(95 % interval +9." in ended.stdout
    rows = {line[:20].strip(): line[20:].split() for line in ended.stdout.splitlines()}
    assert rows["whole p50, ms"] == ["5.19", "5.72", "+10.1", "%"]
    assert rows["top-1, %"] == ["94.50", "94.50", "+0.00", "points"]
    assert rows["peak memory, MiB"] == ["71.43", "71.43", "+0.0", "%"]
    assert (
        "0.json: parts 3, 2 threads, Raspberry Pi 4 Model B Rev 1.4, 2026-10-01T12:30:00+00:00"
        in ended.stdout
    )


def test_a_regression_ends_with_three(cards):
    paths = cards(5.0, 6.0)
    ended = run(*paths, "--max-regression", "10")
    assert isinstance(ended.exception, Regressed) and ended.exception.exit_code == 3
    assert f"{paths[1]} is slower than allowed" in str(ended.exception) and "allowed is +10 %" in str(
        ended.exception
    )
    assert "regression of at most 10 %: missed" in ended.stdout, "what was found is shown all the same"
    assert run(*paths, "--max-regression", "30").exception is None


def test_a_hint_is_not_sold_as_a_finding(cards):
    ended = run(*cards(5.0, 15.0, windows=1), "--max-regression", "10")
    assert "a hint, not a finding" in ended.stdout and ended.exception.exit_code == 3
    assert ended.exception.hint.startswith("these cards may not be quoted: measure both again")
    assert "a hint, not" not in run(*cards(5.0, 6.0)).stdout


def test_what_is_not_proven_is_no_regression(cards):
    ended = run(*cards(5.0, 5.25), "--max-regression", "5")
    assert ended.exception is None and "regression of at most 5 %: not proven" in ended.stdout
    assert "windows" in ended.stdout.splitlines()[-1]
    quick = run(*cards(5.0, 5.25, windows=1), "--max-regression", "5")
    assert "bench again without --quick" in quick.stdout and "may not be quoted" in quick.stderr


def test_other_boards_need_force(cards, tmp_path, make_card, bare):
    (old,) = cards(5.0)
    other = tmp_path / "other.json"
    write_card(other, replace(bare, machine=replace(bare.machine, cpu="Raspberry Pi 5", cores=2)))
    refused = run(old, str(other))
    assert isinstance(refused.exception, NotAlike) and refused.exception.exit_code == 1
    assert (
        "machine.cpu: 'Raspberry Pi 4 Model B Rev 1.4' and 'Raspberry Pi 5'; machine.cores: 4 and 2"
        in str(refused.exception)
    )
    forced = run(old, str(other), "--force")
    assert forced.exception is None and "warning: not like with like: machine.cpu" in forced.stderr
    assert "differs   machine.cpu" in forced.stdout and " -" in forced.stdout


def test_the_comparison_as_json(cards, tmp_path):
    ended = run(*cards(5.0, 5.25), "--max-regression", "5", "--json", str(tmp_path / "out.json"))
    assert ended.exception is None
    found = json.loads((tmp_path / "out.json").read_text())
    assert found["verdict"] == "slower" and found["gate"]["outcome"] == "not proven"
    assert found["ratio"]["low"] < found["ratio"]["value"] < found["ratio"]["high"]
    assert {change["name"] for change in found["changes"]} >= {
        "invoke p50",
        "cold start",
        "top-1",
        "file size",
    }


def test_a_hostile_name_does_not_reach_the_terminal(tmp_path, hostile):
    named = replace(hostile, machine=replace(hostile.machine, cpu="\x1b]0;owned\x07"))
    for name in ("0.json", "1.json"):
        write_card(tmp_path / name, named)
    ended = run(str(tmp_path / "0.json"), str(tmp_path / "1.json"))
    assert ended.exception is None and "]0;owned" in ended.stdout
    assert all(char.isprintable() or char == "\n" for char in ended.output)


def test_a_file_that_is_no_card(cards, tmp_path):
    (old,) = cards(5.0)
    assert isinstance(run(old, str(tmp_path / "absent.json")).exception, CardError)


@pytest.mark.parametrize("percent", ["nan", "inf", "-1", "x"])
def test_a_limit_is_a_number_from_0(cards, litelens, percent):
    ended = CliRunner().invoke(compare, [*cards(5.0, 5.0), "--max-regression", percent])
    assert ended.exit_code == 2 and "--max-regression" in ended.stderr


def test_as_a_user_calls_it(cards, litelens):
    old, new = cards(5.0, 6.0)
    ended = litelens("bench", "compare", old, new, "--max-regression", 10)
    assert ended.returncode == 3 and "slower: " in ended.stdout
    assert f"error: {new} is slower than allowed" in ended.stderr and "hint: " in ended.stderr
    assert litelens("bench", "compare", old, old).returncode == 0
    assert litelens("bench", "compare", old).returncode == 2
    absent = litelens("bench", "compare", old, "absent.json")
    assert absent.returncode == 1 and "error: absent.json is not there, expected a card" in absent.stderr
