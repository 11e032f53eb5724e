import json
import re

import pytest
from click.testing import CliRunner

from edge_runtime.errors import LitelensError
from edge_runtime.store.cli import store as command


@pytest.fixture
def run():
    """Runs `litelens store`; returns (exit code, standard output)."""

    def call(*arguments: object, stdin: bytes = b"") -> tuple[int, str]:
        result = CliRunner().invoke(command, list(map(str, arguments)), input=stdin)
        if isinstance(result.exception, LitelensError):  # litelens/cli.py prints it
            return result.exception.exit_code, result.stdout
        assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
        return result.exit_code, result.stdout

    return call


@pytest.fixture
def at(store) -> tuple[str, str]:
    return str(store.folder.parent), "tiny"


def loaded(answer: tuple[int, str]) -> dict:
    assert answer[0] == 0, answer
    return json.loads(answer[1])


def test_list_for_programs(run, at, store):
    found = loaded(run("list", at[0], "--json"))
    assert found.pop("device")["interpreter"]
    assert found == {"store": at[0], "models": [loaded(run("list", *at, "--json"))["models"][0]]}
    (model,) = found["models"]
    sha256 = [version.sha256 for version in store.versions()]
    assert model == {
        "name": "tiny",
        "folder": str(store.folder),
        "current": "2",
        "previous": "1",
        "trial": None,
        "running": False,
        "problem": "",
        "versions": [
            {"version": str(n + 1), "size_bytes": 4686, "sha256": sha256[n], "problem": ""} for n in range(3)
        ],
    }


def test_list_for_people(run, at, store):
    store.switch("3", healthy_s=30, by="alice\x1b[2J")
    code, said = run("list", at[0])
    assert code == 0 and said.splitlines()[0] == f"tiny  {store.folder}"
    assert re.search(r"  3 +current +4686 bytes\n", said) and re.search(r"  2 +previous +4686 bytes\n", said)
    assert "3 is on trial for alice?[2J: 30 s healthy wanted," in said and "\x1b" not in said


def test_add_switch_rollback_confirm(run, at, model, packed, links, store):
    added = loaded(run("add", *at, model("4"), "--json", "--by", "alice", "--why", "newer"))
    assert (added["did"], added["version"], added["removed"]) == ("added", "4", [])
    assert [v["version"] for v in added["model"]["versions"]] == ["1", "2", "3", "4"]
    switched = loaded(run("switch", *at, "4", "--trial", "30", "--json", "--by", "alice"))
    assert switched["did"] == "switched" and switched["model"]["current"] == "4"
    assert switched["model"]["trial"] == {
        **{"version": "4", "healthy_s": 30.0, "starts": 0, "by": "alice"},
        "left_s": pytest.approx(210, abs=60),
    }
    assert loaded(run("switch", *at, "4", "--json"))["did"] == "already"
    confirmed = loaded(run("confirm", *at, "4", "--json"))
    assert confirmed["did"] == "confirmed" and confirmed["model"]["trial"] is None
    back = loaded(run("rollback", *at, "--from", "4", "--why", "odd", "--json"))
    assert (back["did"], back["version"]) == ("rolled back", "2")
    assert loaded(run("rollback", *at, "--from", "4", "--json"))["did"] == "already"
    assert links(store) == ("2", "4")
    events = loaded(run("history", *at, "--json"))["events"]
    assert [(e["what"], e["from"], e["to"], e["why"]) for e in events[-4:]] == [
        ("added", None, "4", "newer"),
        ("switched", "2", "4", ""),
        ("confirmed", "4", "4", ""),
        ("rolled back", "4", "2", "odd"),
    ]
    assert events[-4]["by"] == "alice" and events[-1]["by"]


def test_add_keeps_the_last_versions(run, at, model):
    assert loaded(run("add", *at, model("4"), "--json", "--keep", "1"))["removed"] == ["3"]
    loaded(run("add", *at, model("5"), "--json"))
    again = loaded(run("add", *at, model("4"), "--json", "--keep", "1"))
    assert (again["did"], again["removed"]) == ("already", []), "what was asked for is not removed"


def test_add_reads_standard_input(run, at, packed):
    assert run("add", *at, "-", stdin=packed("4")) == (0, "tiny 4: added\n")
    assert run("add", *at, "-", stdin=packed("4")) == (0, "tiny 4: is so already, nothing has changed\n")


def test_install(run, at, packed, links, store):
    done = loaded(
        run("install", *at, "-", "--max-latency-ms", "60000", "--trial", "30", "--json", stdin=packed("4"))
    )
    assert (done["did"], done["version"], done["selftest"]["passed"]) == ("switched", "4", True)
    assert links(store) == ("4", "2") and done["model"]["trial"]["healthy_s"] == 30
    again = loaded(run("install", *at, "-", "--json", stdin=packed("4")))
    assert (again["did"], again["selftest"]) == ("already", None)


FAILURES = {
    "no such version": (("switch", "9"), b"", "StoreError", 1),
    "no model file": (("add", "-"), b"garbage", "ModelFileError", 1),
    "another sha256": (("add", "-", "--sha256", "00"), b"garbage", "VersionRefused", 1),
    "not on trial": (("confirm", "1"), b"", "StoreError", 1),
    "a bad name": (("switch", "../1"), b"", "VersionRefused", 1),
}


@pytest.mark.parametrize("words, stdin, kind, code", FAILURES.values(), ids=FAILURES)
def test_failures_for_programs(run, at, words, stdin, kind, code):
    verb, *more = words
    found, said = run(verb, *at, *more, "--json", stdin=stdin)
    error = json.loads(said)["error"]
    assert (found, error["kind"]) == (code, kind) and error["message"] and error["hint"]
    assert run(verb, *at, *more, stdin=stdin) == (code, "")


@pytest.mark.slow
def test_a_missed_gate_has_an_exit_code_of_its_own(run, at, packed):
    code, said = run("install", *at, "-", "--json", stdin=packed("4", off=100))
    assert (code, json.loads(said)["error"]["kind"]) == (3, "SelfTestMissed")


def test_somebody_else_is_named(run, at, store):
    store.switch("3", healthy_s=30, by="alice")
    code, said = run("switch", *at, "1", "--json")
    error = json.loads(said)["error"]
    assert (code, error["kind"]) == (1, "StoreBusy") and "alice" in error["message"]


@pytest.mark.parametrize("name", ["../tiny", "..", "/etc", "current"])
def test_no_name_leads_out_of_the_store(run, at, name):
    code, said = run("list", at[0], name, "--json")
    assert (code, json.loads(said)["error"]["kind"]) == (1, "VersionRefused")


def test_history_tells_of_damaged_lines_and_moves_no_cursor(run, at, store):
    store.rollback(by="bob\x1b[2J", why="\x1b]0;title\x07")
    with (store.folder / "history.jsonl").open("ab") as file:
        file.write(b'{"when": "2026')
    code, said = run("history", *at)
    assert code == 0 and "\x1b" not in said and "\x07" not in said
    assert "rolled back  2 -> 1: ?]0;title? (bob?[2J)\n" in said
    assert said.endswith("and 1 damaged line, as a power cut leaves them\n")
    assert loaded(run("history", *at, "--json"))["damaged_lines"] == 1


@pytest.mark.parametrize(
    "words", [("switch", "1", "--trial", "0"), ("add", "-", "--keep", "0"), ("frobnicate",), ("switch",)]
)
def test_wrong_usage(run, at, words):
    verb, *more = words
    assert run(verb, *at, *more)[0] == 2


@pytest.mark.parametrize(
    "environment, who",
    [
        ({}, "root"),
        ({"SUDO_USER": "pi"}, "pi as root"),
        ({"SSH_CONNECTION": "192.0.2.7 50000 192.0.2.1 22"}, "root from 192.0.2.7"),
    ],
)
def test_who_did_it(run, at, store, monkeypatch, environment, who):
    monkeypatch.setattr("os.geteuid", lambda: 0)
    for name in ("SUDO_USER", "SSH_CONNECTION"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert run("rollback", *at)[0] == 0 and store.history().events[-1].by == who
