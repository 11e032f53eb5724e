"""`litelens flash` with a real sshd, and litelens on the devices behind it."""

import json
import random
import signal
import subprocess
import sys

import click
import pytest
from ssh_server import Person, wait_until

from edge_runtime.errors import ModelFileError
from edge_runtime.store.errors import VersionRefused
from edge_runtime.store.install import install
from fleet import files
from fleet.flashing import watch
from fleet.history import read

pytest_plugins = ["ssh_fixtures", "fleet_fixtures"]


def cache(device) -> list[str]:
    """What an upload has left on a device."""
    return [path.name for path in (device.home / ".cache").rglob("*") if path.is_file()]


@pytest.mark.slow  # a running loop, and half a dozen starts of litelens
def test_a_running_loop_confirms_it_and_both_sides_remember(fleet_of, variant, flash_here):
    fleet = fleet_of(1)
    device = fleet[0]
    device.install(variant("1"))
    device.start()
    two = variant("2")
    done = flash_here(two, "--fleet", fleet.file, "--trial", 1, "--why", "new screws")
    assert done.code == 0, done.stdout
    said = [line.partition(": ")[2] for line in done.stderr.splitlines()]
    assert said == ["connect", "check", "upload", "install", "watch", "flashed"]
    assert "d1      flashed  1 -> 2" in done.stdout and "tiny 2: 1 flashed" in done.stdout
    assert device.current() == "2" and device.store().state().trial is None and cache(device) == []
    added, switched, confirmed = device.store().history().events[-3:]
    assert (switched.what, switched.why) == ("switched", "new screws")
    assert switched.by.endswith(" with litelens flash") and "@" in switched.by
    assert (confirmed.what, confirmed.why) == ("confirmed", "healthy for 1 s")

    (entry,) = read().entries
    assert (entry.device, entry.model, entry.version, entry.from_version) == ("d1", "tiny", "2", "1")
    assert (entry.outcome, entry.phase, entry.why) == ("flashed", "watch", "new screws") and entry.seconds > 0

    again = flash_here(two, "--fleet", fleet.file, "--json")
    assert again.code == 0
    (told,) = again.devices
    assert (told["outcome"], told["phase"]) == ("already", "check"), "nothing was sent"
    assert [entry.outcome for entry in read().entries] == ["flashed", "already"]


@pytest.mark.slow
def test_a_dry_run_then_the_first_version(fleet_of, variant, flash_here):
    device = (fleet := fleet_of(1))[0]
    dry = flash_here(variant("1"), "--fleet", fleet.file, "--dry-run")
    assert dry.code == 0 and "would flash" in dry.stdout
    assert (
        list(device.store_folder.iterdir()) == []
        and not read().entries
        and not (device.home / ".cache").exists()
    )
    done = flash_here(variant("1"), "--fleet", fleet.file, "--trial", 0, "--json")
    assert done.code == 0 and done.devices[0]["from"] is None and device.current() == "1"
    assert (
        flash_here(variant("1"), "--fleet", fleet.file, "--dry-run", "--json").devices[0]["outcome"]
        == "already"
    )


@pytest.mark.soak
def test_a_first_version_that_nobody_runs_stays(fleet_of, variant, flash_here, monkeypatch):
    monkeypatch.setattr(watch, "UNSEEN_S", 0.0)
    device = (fleet := fleet_of(1))[0]
    done = flash_here(variant("1"), "--fleet", fleet.file)
    assert done.code == 0 and "flashed" in done.stdout
    assert (
        f"nothing runs it yet; on the device: litelens run {device.store_folder}/tiny/current" in done.stdout
    )
    assert device.current() == "1" and device.store().state().trial is None
    assert device.last()[:2] == (
        "confirmed",
        "the first version; no litelens run has begun with it within 0 s",
    )


@pytest.mark.slow
@pytest.mark.parametrize(
    "off, options, message",
    [
        (100, (), "tiny 2 differs by 100 output steps from what the exporter saw"),
        (0, ("--max-latency-ms", "0.001"), "for 99 of 100 frames, expected at most 0.001 ms"),
    ],
    ids=["wrong answers", "too slow"],
)
def test_a_version_that_fails_the_self_test_there_is_refused(
    fleet_of, variant, flash_here, off, options, message
):
    device = (fleet := fleet_of(1))[0]
    device.install(variant("1"))
    done = flash_here(variant("2", off=off), "--fleet", fleet.file, "--trial", 0, *options)
    assert done.code == 3 and "failed in install" in done.stdout and message in done.stdout
    assert "\n  hint: there: " in done.stdout
    assert device.current() == "1" and cache(device) == []
    assert device.last()[0] == "refused" and read().entries[-1].problem


@pytest.mark.soak
def test_a_version_that_the_loop_leaves_is_a_failed_trial(fleet_of, variant, flash_here):
    """Somebody on the device goes back while it is watched."""
    device = (fleet := fleet_of(1))[0]
    device.install(variant("1"))
    device.start()
    store = device.store_folder
    device.wrap(
        f'case "$*" in "store list {store} tiny --json") '
        f'real store rollback {store} tiny --from 2 --why "it barks" >/dev/null;; esac'
    )
    done = flash_here(variant("2"), "--fleet", fleet.file, "--trial", 600)
    assert done.code == 3 and "failed in watch" in done.stdout
    assert "tiny 2 was left, 1 answers again: it barks" in done.stdout and device.current() == "1"


@pytest.mark.soak
def test_a_trial_that_nobody_ends_is_ended_from_here(fleet_of, variant, flash_here):
    """The device says that the trial's time is over, and cannot tell whether a loop runs."""
    device = (fleet := fleet_of(1))[0]
    device.install(variant("1"))
    device.wrap(
        'case "$*" in "store list"*) real "$@" | '
        """sed 's/"left_s": [0-9.]*/"left_s": 0.0/; s/"running": false/"running": null/'; exit;; esac"""
    )
    done = flash_here(variant("2"), "--fleet", fleet.file, "--trial", 5)
    assert done.code == 3 and "no litelens run has confirmed it within 185 s" in done.stdout
    what, why, by = device.last()
    assert (what, device.current()) == ("rolled back", "1") and "litelens flash" in by


def test_without_a_running_loop_no_minute_is_wasted(fleet_of, variant, flash_here):
    device = (fleet := fleet_of(1))[0]
    device.install(variant("1"))
    done = flash_here(variant("2"), "--fleet", fleet.file, "--json")
    (told,) = done.devices
    assert (done.code, told["outcome"], told["phase"]) == (1, "failed", "check")
    assert "so a trial cannot be passed" in told["note"] and "--trial 0" in told["hint"]
    assert not (device.home / ".cache").exists(), "nothing was sent"


@pytest.mark.soak
def test_an_upload_that_was_cut_goes_on(fleet_of, variant, flash_here, ssh_server, monkeypatch):
    device = (fleet := fleet_of(1))[0]
    large = variant("1", ballast=random.Random(0).randbytes(8_000_000))
    chunks, starts = files._chunks, []

    def cut_in_the_middle(file, start, progress):
        for number, chunk in enumerate(chunks(file, start, progress)):
            yield chunk
            if number == 8:
                wait_until(lambda: cache(device), "a part has arrived")
                ssh_server.cut()

    monkeypatch.setattr(files, "_chunks", cut_in_the_middle)
    done = flash_here(large, "--fleet", fleet.file, "--trial", 0)
    assert done.code == 1 and "failed in upload" in done.stdout and "was cut" in done.stdout
    wait_until(lambda: not ssh_server.commands("cat >"), "the far side has ended too")
    (part,) = cache(device)
    assert part.startswith("tiny.tflite.") and part.endswith(".partial")

    def counted(file, start, progress):
        starts.append(start)
        return chunks(file, start, progress)

    monkeypatch.setattr(files, "_chunks", counted)
    assert flash_here(large, "--fleet", fleet.file, "--trial", 0).code == 0
    assert starts[0] > 0 and device.current() == "1" and cache(device) == []


@pytest.mark.soak
def test_a_cut_while_watching_is_reconnected(fleet_of, variant, ssh_server):
    device = (fleet := fleet_of(1))[0]
    device.install(variant("1"))
    device.start()
    command = [sys.executable, "-m", "litelens", "flash", variant("2"), "--fleet", fleet.file, "--trial", "4"]
    process = subprocess.Popen(
        [*map(str, command)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    for line in process.stderr:
        if "d1: watch" in line:
            break
    ssh_server.cut()
    stdout, stderr = process.communicate(timeout=120)
    assert process.returncode == 0, stdout + stderr
    assert device.current() == "2" and device.last()[0] == "confirmed"


@pytest.mark.soak
def test_a_trial_that_nobody_watches_any_more_is_taken_up_again(fleet_of, variant, flash_here):
    """As after a flash that was killed: the bytes are there and on trial."""
    device = (fleet := fleet_of(1))[0]
    device.install(variant("1"))
    device.start()
    two = variant("2")
    install(device.store(), two, healthy_s=2, by="a flash that was killed")
    done = flash_here(two, "--fleet", fleet.file, "--trial", 2)
    assert done.code == 0 and "d1: upload" not in done.stderr and "d1: watch" in done.stderr
    assert "flashed  1 -> 2" in done.stdout and device.last()[0] == "confirmed"


@pytest.mark.slow
@pytest.mark.parametrize("phase", ["upload", "install"])
def test_ctrl_c_leaves_the_device_whole(fleet_of, variant, interrupt, phase):
    device = (fleet := fleet_of(1))[0]
    device.install(variant("1"))
    large = variant("2", ballast=bytes(1_000_000))
    code, said = interrupt(f"d1: {phase}", "flash", large, "--fleet", fleet.file, "--trial", 0)
    assert code == 1 and "d1: interrupted in" in said
    # By then nothing runs there any more: what is current loads, and the store takes the next change.
    assert device.current() in ("1", "2")
    assert device.store().settle("test").current == device.current()
    assert read().entries[-1].outcome == "interrupted"


def test_a_failing_canary_keeps_the_others_as_they_are(fleet_of, variant, flash_here):
    fleet = fleet_of(3)
    fleet[0].store_folder.rmdir()
    done = flash_here(variant("1"), "--fleet", fleet.file, "--canary", 1, "--trial", 0, "--json")
    assert done.code == 1
    assert [told["outcome"] for told in done.devices] == ["failed", "not tried", "not tried"]
    assert json.loads(done.stdout)["stopped"] == "1 of 1 device to go first failed"
    assert "there is no store" in done.devices[0]["note"]
    assert done.devices[0]["hint"].startswith("litelens provision d1")
    assert [entry.device for entry in read().entries] == ["d1"], "what was not tried is no line"


def test_a_host_key_that_nobody_knows_is_never_accepted(fleet_of, variant, flash_here, ssh_server):
    fleet = fleet_of(1)
    ssh_server.known_hosts.unlink()
    done = flash_here(variant("1"), "--fleet", fleet.file)
    assert done.code == 1 and "failed in connect" in done.stdout and "was never seen before" in done.stdout
    assert not ssh_server.known_hosts.exists()


@pytest.mark.slow
def test_a_person_is_asked_between_two_pictures_of_the_table(fleet_of, variant, ssh_server):
    device = (fleet := fleet_of(1))[0]
    ssh_server.known_hosts.unlink()
    command = ["litelens", "flash", variant("1"), "--fleet", fleet.file, "--trial", "0"]
    person = Person([sys.executable, "-m", *map(str, command)])
    person.types("yes", "Is it right?")
    assert person.leaves() == 0, person.said
    assert ssh_server.fingerprint in person.said and "d1      flashed  1" in person.said
    assert device.current() == "1" and ssh_server.known_hosts.exists()


def test_a_device_without_litelens_is_told_how_to_get_it(fleet_of, variant, flash_here):
    fleet = fleet_of(1, litelens="#!/bin/sh\nexit 127\n")
    done = flash_here(variant("1"), "--fleet", fleet.file)
    assert done.code == 1 and "failed in check" in done.stdout and "litelens provision d1" in done.stdout


@pytest.mark.soak
def test_a_disk_that_is_too_small_is_noticed_before(fleet_of, variant, flash_here, tmpfs, tmp_path):
    device = fleet_of(1)[0]
    disk = tmpfs("size=1m")
    (disk / "store").mkdir()
    file = tmp_path / "small.toml"
    file.write_text(f'store = "{disk}/store"\n[devices]\nd1 = "d1"\n')
    large = variant("1", ballast=random.Random(0).randbytes(700_000))
    done = flash_here(large, "--fleet", file, "--dry-run", "--json")
    assert done.code == 1 and done.devices[0]["outcome"] == "would be refused"
    assert "bytes are free at" in done.devices[0]["note"]
    assert not (device.home / ".cache").exists()


DEVICE = {
    **{"litelens": "1", "machine": "aarch64", "python": "3.11.2", "interpreter": "ai_edge_litert 2"},
    **{"interpreter_problem": "", "schema_version": 2, "free_bytes": 10**9, "problem": ""},
}
MODEL = {"name": "tiny", "current": None, "previous": None, "trial": None, "versions": [], "problem": ""}
HOSTILE = {
    "no JSON": ("echo rm -rf", "ended with status 0: rm -rf"),
    "older": ({"models": []}, "is older than this one and does not say what is checked"),
    "no object": ([], "ended with status 0"),
    "no models": ({"device": DEVICE}, "cannot be read: models is missing"),
    "wrong kinds": ({"device": DEVICE | {"free_bytes": "all"}, "models": []}, "free_bytes is 'all'"),
    "a truth for a number": ({"device": DEVICE | {"free_bytes": True}, "models": []}, "free_bytes is True"),
    "a model that is none": ({"device": DEVICE, "models": [7]}, "name is missing"),
    "no number": (
        {
            "device": DEVICE,
            "models": [MODEL | {"trial": {"version": "1", "left_s": float("nan"), "starts": 1, "by": ""}}],
        },
        "left_s is nan",
    ),
    "a screen's worth": (
        {"error": {"kind": "x", "message": "\x1b[2J[red]" * 9999, "hint": None}},
        "?[2J[red]",
    ),
    "deep": ("head -c 100000 /dev/zero | tr '\\0' '['", "ended with status 0"),
    "endless": ("exec yes '{'", "answers with more than 16777216 bytes"),
    "an error that is none": ({"error": "no"}, "models is missing"),
    "killed": ("kill -9 $$", "status 137, killed"),
}


@pytest.mark.parametrize("answer, message", HOSTILE.values(), ids=HOSTILE)
def test_what_a_device_answers_is_not_believed(fleet_of, variant, flash_here, answer, message):
    script = answer if isinstance(answer, str) else f"cat <<'END'\n{json.dumps(answer)}\nEND"
    fleet = fleet_of(
        1, litelens=f"#!/bin/sh\n[ $1 = --version ] && exec echo litelens, version 9\n{script}\n"
    )
    done = flash_here(variant("1"), "--fleet", fleet.file)
    assert done.code == 1 and "failed in check" in done.stdout and message in done.stdout
    assert "hint: " in done.stdout and "\x1b" not in done.stdout + done.stderr and len(done.stdout) < 5000


def test_what_is_no_model_file_is_sent_nowhere(fleet_of, variant, flash_here, tmp_path):
    fleet = fleet_of(1)
    (tmp_path / "garbage.tflite").write_bytes(b"garbage")
    with pytest.raises(ModelFileError):
        flash_here(tmp_path / "garbage.tflite", "--fleet", fleet.file)
    with pytest.raises(VersionRefused, match="no name of a file in a store"):
        flash_here(variant("current"), "--fleet", fleet.file)
    assert not read().entries


def test_errors_are_an_object_too(litelens, tmp_path):
    (tmp_path / "garbage.tflite").write_bytes(b"garbage")
    ended = litelens("flash", tmp_path / "garbage.tflite", "--to", "pi@garden", "--json")
    assert ended.returncode == 1 and json.loads(ended.stdout)["error"]["kind"] == "ModelFileError"
    assert ended.stderr.startswith("error: ")


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("--to", "a", "--wave", "0"),
        ("--to", "a", "--max-failures", "half"),
        ("--to", "a", "--trial", "-1"),
    ],
)
def test_wrong_usage(flash_here, tiny, arguments):
    with pytest.raises(click.UsageError):
        flash_here(tiny, *arguments)


@pytest.mark.slow
def test_sigterm_is_no_way_to_brick_a_device_either(fleet_of, variant, interrupt):
    device = (fleet := fleet_of(1))[0]
    device.install(variant("1"))
    code, _ = interrupt("d1: check", "flash", variant("2"), "--fleet", fleet.file, by=signal.SIGTERM)
    assert code == -signal.SIGTERM and device.current() == "1"
