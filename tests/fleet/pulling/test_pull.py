"""`litelens pull` over a real sshd, as a user runs it."""

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
from collections import Counter

import pytest
from click.testing import CliRunner
from PIL import Image
from ssh_server import wait_until

from edge_runtime.whole_file import write_whole
from litelens.cli import main

from .conftest import lines, names, picture

pytest_plugins = ["ssh_fixtures"]


def kinds(folder) -> Counter:
    """{"red/guess": 2}: files by class and how their names begin."""
    return Counter(name.partition("-")[0] for name in names(folder))


@pytest.mark.slow  # seconds of a camera
def test_what_a_real_run_kept_comes_once_and_can_be_audited(worked, pull, pulled, litelens):
    on_device = sorted(path.relative_to(worked.state) for path in worked.state.rglob("*"))
    ended = pull("garden", "--json")
    told = json.loads(ended.stdout)
    (garden,) = told["devices"]
    hard = len(list(worked.state.glob("hard-examples/*.jpg")))
    assert sum(one["count"] for one in garden["came"]) + sum(garden["left_out"].values()) == hard + 2
    assert {"class": "hex nut", "kind": "saved", "count": 1} in garden["came"]
    assert told["came"] == len(names(pulled)) and 0 < told["guesses"] == told["came"] - 2
    assert {name for name in kinds(pulled) if name.endswith("saved")} == {"gear/saved", "hex nut/saved"}
    for line in lines(pulled):
        described = worked.state / line["there"].replace(".jpg", ".json")
        if line["kind"] == "saved":
            assert (line["scores"], line["why"], line["model"]) == (None, None, None)
            continue
        scores = json.loads(described.read_text())["scores"]
        assert line["scores"] == scores and line["label"] == max(scores, key=scores.get)
        assert (line["model"], line["version"]) == ("tiny", "1")
        assert line["why"] in line["there"] and line["when"][:4] == line["there"].partition("/")[2][:4]
    for line in lines(pulled):
        if line["file"]:
            content = (pulled / line["file"]).read_bytes()
            assert content == (worked.state / line["there"]).read_bytes()
            assert hashlib.sha256(content).hexdigest() == line["sha256"]

    again = json.loads(pull("garden", "--json").stdout)
    assert again["came"] == 0
    assert again["devices"][0]["left_out"] == {"brought before": hard + 2}
    audited = litelens("audit", pulled, "--strict")
    assert audited.returncode == 0, audited.stderr
    assert f"{told['came']} used, 0 skipped, 0 hidden" in audited.stdout
    assert sorted(path.relative_to(worked.state) for path in worked.state.rglob("*")) == on_device


def test_the_output_tells_guesses_from_labels(garden, shed, pull, pulled):
    garden.hard(1, picture(1))
    garden.hard(2, picture(2), {"blue": 0.5, "green": 0.5, "red": 0.0}, why="changed")
    garden.saved("red", 3, picture(3))
    told = pull("garden,shed").stdout.splitlines()
    assert "garden: 3 came: blue 1 (1 guessed), red 2 (1 guessed)" in told
    assert f"shed: nothing to pull: no hard examples, no saved frames in {shed.state}" in told
    assert told[-2] == "all: 3 came: blue 1 (1 guessed), red 2 (1 guessed)"
    assert told[-1].startswith(f"2 lie in the class that the model guessed, {pulled}/*/guess-*.jpg: ")
    assert kinds(pulled) == {"blue/guess": 1, "red/guess": 1, "red/saved": 1}
    assert names(pulled)[0].startswith("blue/guess-garden-20260314T120002.000Z-")
    assert {line["why"] for line in lines(pulled)} == {"changed", "uncertain", None}


def test_the_same_picture_on_two_devices_comes_once(garden, shed, pull, pulled):
    garden.saved("red", 1, picture(1))
    shed.saved("red", 2, picture(1))
    shed.saved("red", 3, picture(2))
    told = json.loads(pull("garden,shed", "--json").stdout)
    assert told["came"] == 2
    assert sum((Counter(device["left_out"]) for device in told["devices"]), Counter()) == {
        "the same as another": 1
    }
    (out,) = [line for line in lines(pulled) if line["left_out"]]
    assert out["file"] is None and out["like"] in names(pulled)
    assert json.loads(pull("garden,shed", "--json").stdout)["came"] == 0


def test_what_people_put_into_two_classes_comes_into_both(garden, shed, pull, pulled):
    """A press on the wrong button, then on the right one: the audit names it, and a person decides."""
    garden.saved("red", 1, picture(1))
    garden.saved("blue", 1, picture(1))
    shed.saved("blue", 1, picture(1))
    pull("garden,shed")
    assert kinds(pulled) == {"red/saved": 1, "blue/saved": 1}
    audited = CliRunner().invoke(main, ["audit", str(pulled), "--strict=label-conflict"])
    assert "1 label-conflict" in audited.stderr


def test_what_a_person_moved_or_deleted_does_not_come_again(garden, shed, pull, pulled):
    for second in (1, 2, 3):
        garden.hard(second, picture(second))
    pull()
    moved, deleted, kept = (pulled / name for name in names(pulled))
    (pulled / "green").mkdir()
    moved.rename(pulled / "green" / moved.name)
    deleted.unlink()
    shed.hard(9, picture(2))  # the deleted one, from another device
    garden.hard(10, picture(2, quality=60))  # and what looks like it
    assert "nothing new" in pull().stdout
    pull("shed")
    assert names(pulled) == [f"green/{moved.name}", f"red/{kept.name}"]


def test_what_looks_alike_comes_once_a_class_but_never_displaces_a_label(garden, pull, pulled):
    green = {"blue": 0.2, "green": 0.5, "red": 0.3}
    for second in range(5):  # a still scene, all night
        garden.hard(second, picture(1, quality=90 - second))
    garden.hard(10, picture(1, quality=70), green)
    pull()
    assert kinds(pulled) == {"red/guess": 1, "green/guess": 1}
    assert names(pulled)[1].startswith("red/guess-garden-20260314T120000"), "the first"
    garden.hard(11, picture(1, quality=65), {"red": 0.6, "blue": 0.1})  # something small has changed
    pull()
    assert kinds(pulled) == {"red/guess": 2, "green/guess": 1}
    garden.saved("red", 20, picture(1, quality=60))
    garden.saved("red", 21, picture(1, quality=50))
    garden.hard(22, picture(1, quality=40))
    assert "2 like another of its class" in pull().stdout
    assert kinds(pulled) == {"red/guess": 2, "green/guess": 1, "red/saved": 1}
    assert {line["like"] for line in lines(pulled) if line["left_out"]} <= set(names(pulled))


def test_a_class_is_found_again_whatever_its_capitals(garden, pull, pulled):
    (pulled / "Red").mkdir(parents=True)
    garden.hard(1, picture(1))
    garden.saved("RED", 2, picture(2))
    pull()
    assert kinds(pulled) == {"Red/guess": 1, "Red/saved": 1}


def test_a_file_that_was_rotated_away_meanwhile_is_counted(garden, shed, pull, pulled):
    """The device's tar is one that deletes a picture first."""
    for second in (1, 2, 3):
        gone = garden.hard(second, picture(second))
    garden.program("tar", f"#!/bin/sh\nrm -f '{gone}'\nexec /bin/tar \"$@\"\n")
    assert "left out: 1 rotated away meanwhile" in pull().stdout
    assert len(names(pulled)) == 2 == len(lines(pulled))


def test_a_device_without_state_is_told_from_one_without_pictures(garden, shed, pull, fleet, pulled):
    assert "nothing to pull" in pull().stdout
    shutil.rmtree(garden.state)
    shed.saved("red", 1, picture(1))
    ended = pull("garden,shed", exit_code=1)
    assert f"error: garden has no folder {garden.state}" in ended.stderr
    assert 'hint: name the right one in the fleet file: state = "' in ended.stderr
    assert "shed: 1 came: red 1" in ended.stdout, "one's failure is no other's"
    (problem,) = [
        device["error"] for device in json.loads(pull("garden", "--json", exit_code=1).stdout)["devices"]
    ]
    assert problem["kind"] == "StateMissing"


@pytest.mark.parametrize("program", ["ls", "find", "tar"])
def test_a_state_that_only_root_reads_is_an_instruction(garden, pull, program):
    """As systemd makes it where the service has no user of its own. One program runs as another user there: sshd, in
    tests, lets in whoever runs it."""
    if os.getuid():
        pytest.skip("only root may run a program as another user")
    garden.saved("red", 1, picture(1)).chmod(0o600)
    (garden.state / "saved").chmod(0o755 if program == "tar" else 0o700)
    garden.state.chmod(0o700)
    script = f'#!/bin/sh\nexec setpriv --reuid 65534 --clear-groups /usr/bin/{program} "$@"\n'
    garden.program(program, script)
    ended = pull(exit_code=1)
    assert f"error: garden may not read {garden.state}" in ended.stderr
    assert "hint: log in as root, or have the service run as the user you log in as" in ended.stderr


@pytest.mark.parametrize(
    "arguments, exit_code, said",
    [
        (["--to", "x"], 2, "no device is named"),
        (["garden"], 2, "Missing option '--to'"),
        (["gar den", "--to", "x"], 1, "names no machine"),
        (["--fleet", "none.toml", "--to", "x"], 1, "cannot read the fleet file"),
        (["garden", "--to", "/proc/no/folder"], 1, "cannot make or open the folder"),
    ],
)
def test_wrong_usage(workstation, tmp_path, monkeypatch, arguments, exit_code, said):
    monkeypatch.chdir(tmp_path)
    ended = CliRunner().invoke(main, ["pull", *arguments])
    assert isinstance(ended.exception, SystemExit) and ended.exit_code == exit_code
    assert said in ended.stderr


def test_a_folder_that_is_split_is_refused(garden, pull, pulled):
    garden.saved("red", 1, picture(1))
    (pulled / "train" / "red").mkdir(parents=True)
    (pulled / "validation" / "red").mkdir(parents=True)
    ended = pull(exit_code=1)
    assert "is split" in ended.stderr and f"--to {pulled}/train" in ended.stderr
    assert names(pulled) == []


def test_a_full_disk_leaves_whole_pictures_and_the_next_pull_goes_on(garden, pull, pulled, tmpfs):
    full = tmpfs("size=200k")
    for second in range(20):
        garden.saved("red", second, picture(second, size=(240, 320), quality=95))
    ended = pull("garden", "--to", str(full), exit_code=1)
    assert "error: cannot write" in ended.stderr and "No space left" in ended.stderr
    came = names(full)
    assert 0 < len(came) < 20 and all(name.endswith(".jpg") for name in came)
    assert {line["file"] for line in lines(full)} <= set(came)
    shutil.copytree(full, pulled)  # a larger disk
    pull()
    assert len(names(pulled)) == 20 == len(lines(pulled))


@pytest.mark.slow
@pytest.mark.parametrize("how", ["cut", "Ctrl-C", "kill"])
def test_what_is_broken_off_leaves_whole_pictures_and_the_next_pull_goes_on(
    garden, pull, pulled, fleet, ssh_server, how
):
    """The device's tar sends the first batch, then hangs in the midst of the second."""
    count = 5
    for second in range(count):  # what follows a JPEG's end is no part of the picture
        garden.saved("red", second, picture(second) + bytes(3_000_000))
    tar = '#!/bin/sh\nif [ -e {0}/sent ]; then head -c 100000 /dev/zero; sleep 600; fi\ntouch {0}/sent\nexec /bin/tar "$@"\n'
    program = garden.program("tar", tar.format(garden.device.home))
    command = [sys.executable, "-m", "litelens", "pull", "garden", "--fleet", fleet, "--to", pulled]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    wait_until(lambda: ssh_server.commands("sleep 600") and pulled.exists() and names(pulled), "a batch", 240)
    {
        "cut": ssh_server.cut,
        "Ctrl-C": lambda: process.send_signal(signal.SIGINT),
        "kill": process.kill,
    }[how]()
    _, said = process.communicate(timeout=120)
    assert "Traceback" not in said
    assert {"cut": "the connection to garden was cut", "Ctrl-C": "Aborted!", "kill": ""}[how] in said
    assert process.returncode == (-signal.SIGKILL if how == "kill" else 1)
    wait_until(lambda: not ssh_server.commands("sleep 600"), "the tar there ends")
    came = names(pulled)
    assert 0 < len(came) < count
    assert sorted(line["file"] for line in lines(pulled)) == came
    for name in came:
        with Image.open(pulled / name) as whole:
            whole.load()
    program.unlink()
    pull()
    assert len(names(pulled)) == count == len(lines(pulled))


def test_a_kill_between_picture_and_index_brings_nothing_twice(garden, pull, pulled):
    """Of what a kill leaves at its worst: a picture without its line, a torn line, half a file."""
    for second in (1, 2):
        garden.saved("red", second, picture(second))
    pull()
    first, second = names(pulled)
    (pulled / "green").mkdir()
    (pulled / second).rename(pulled / "green" / second.partition("/")[2])
    index = pulled / "pulled.jsonl"
    whole = index.read_text().splitlines(keepends=True)
    index.write_text(whole[0] + whole[1][:50])
    (pulled / "red" / f".{first.partition('/')[2]}.abcd1234").write_bytes(b"half")
    pull()
    assert names(pulled) == sorted([first, f"green/{second.partition('/')[2]}"])
    assert [line["file"] for line in lines(pulled)] == [first, f"green/{second.partition('/')[2]}"]


@pytest.mark.parametrize(
    "spoilt",
    [
        lambda line: {"file": line["file"]},
        lambda line: [line],
        lambda line: line | {"more": 1},
        lambda line: line | {"bytes": "7"},
        lambda line: line | {"scores": None},
        lambda line: line | {"look": line["look"][:100]},
    ],
)
def test_an_index_that_somebody_spoilt_is_named(garden, pull, pulled, spoilt):
    garden.hard(1, picture(1))
    pull()
    write_whole(pulled / "pulled.jsonl", json.dumps(spoilt(*lines(pulled))).encode() + b"\n")
    ended = pull(exit_code=1)
    assert f"{pulled}/pulled.jsonl, line 1 is none of litelens" in ended.stderr


def test_a_second_pull_into_the_folder_is_refused(garden, pull, pulled):
    from fleet.pulling.collection import open_collection

    with open_collection(pulled):
        assert "another litelens pull is writing" in pull(exit_code=1).stderr
    pull()


@pytest.mark.slow  # a process of its own
def test_without_imagehash_the_extra_is_named(litelens, workstation, tmp_path):
    (tmp_path / "imagehash.py").write_text(
        "raise ImportError('No module named imagehash', name='imagehash')\n"
    )
    path = f"{tmp_path}:{os.environ.get('PYTHONPATH', os.getcwd())}"
    ended = litelens("pull", "pi@garden", "--to", tmp_path / "x", env=os.environ | {"PYTHONPATH": path})
    assert ended.returncode == 1 and "hint: pip install 'litelens[fleet]'" in ended.stderr
    assert "litelens pull needs imagehash" in ended.stderr


@pytest.mark.soak  # a training, however short
def test_what_came_is_trained_on_as_it_is_and_beside_older_pictures(garden, pull, pulled, litelens, tmp_path):
    for number, label in enumerate(["blue", "green", "red"] * 4):
        garden.saved(label, number, picture(number))
        garden.hard(number, picture(100 + number), {label: 0.5, "other": 0.4})
    pull()
    old = tmp_path / "pictures"
    for label in ("blue", "green", "red"):
        (old / label).mkdir(parents=True)
        for number in range(4):
            (old / label / f"{number}.jpg").write_bytes(picture(200 + 10 * len(label) + number))
    # As docs/pull.md has it.
    subprocess.run(["cp", "-Rn", f"{pulled}/.", old], check=True)
    for data, count in ((pulled, 24), (old, 36)):
        out = tmp_path / f"run-{count}"
        short = ("--backbone", "small_cnn", "--size", 16, "--epochs", 1, 0, "--strict")
        ended = litelens("train", "--data", data, "--out", out, *short, timeout=600)
        assert ended.returncode == 0, ended.stderr
        splits = json.loads((out / "splits.json").read_text())
        assert str(splits).count(".jpg") == count
        ended = litelens("evaluate", out, "--data", pulled, "--json", timeout=600)
        assert ended.returncode == 0, ended.stderr
