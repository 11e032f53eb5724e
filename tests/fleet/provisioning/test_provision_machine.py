"""From a machine that was never seen to one that classifies: real systemd, sshd, sudo, pip; no network at all."""

import dataclasses
import json
import os
import signal
import subprocess
import threading
import time
from pathlib import Path

import pytest

from edge_runtime.model_file import pack, read_model_file

pytest_plugins = ["systemd_fixtures", "machine_fixtures"]
pytestmark = pytest.mark.soak
STORE = "/srv/litelens/store"
SERVICE = ("--camera", "demo")


def pid(machine) -> str:
    assert machine.booted.show("litelens", "ActiveState") == "active", machine.booted.log("litelens")
    return machine.booted.show("litelens", "MainPID")


def environment(machine) -> str:
    return os.readlink(machine.files / "opt/litelens/venv")


@pytest.fixture(scope="module")
def provisioned(machine, tiny):
    """The machine, provisioned by pi from nothing; what was said is in `said`."""
    machine.wipe()
    (machine.files / "usr/lib/python3/dist-packages/picamera2_of_a_test.py").write_text("camera = 'seen'\n")
    ended = machine.workstation("provision", "pi", "--model", tiny, *SERVICE)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    machine.said = ended.stdout
    return machine


def test_from_nothing_to_a_camera_that_is_classified(provisioned):
    assert "pi: environment: litelens" in provisioned.said and "its self-test is passed" in provisioned.said
    assert provisioned.said.splitlines()[-1].startswith("pi: done: litelens ")
    status = provisioned.litelens("service", "status")
    assert status.returncode == 0 and "active (running)" in status.stdout, status.stderr
    provisioned.booted.wait_until(lambda: '"kind": "entered"' in provisioned.booted.log("litelens"), 120)
    assert provisioned.booted.show("litelens", "User") == "pi"
    unit = (provisioned.files / "etc/systemd/system/litelens.service").read_text()
    assert (
        f"ExecStart=/opt/litelens/venv/bin/python -I -X faulthandler -m litelens run {STORE}/tiny/current"
        in unit
    )
    assert provisioned.run("stat", "--format=%a %U", "/etc/litelens/run.toml").stdout == "600 root\n"
    assert not (provisioned.files / "home/pi/.cache/litelens/provision").exists()


def test_who_came_there_may_write_the_store_and_read_the_state(provisioned):
    for words in (("cat", "/var/lib/litelens/history.sqlite"), ("ls", "/var/lib/litelens/hard-examples")):
        assert provisioned.run(*words, user="pi", text=False).returncode == 0
    done = provisioned.litelens("store", "confirm", STORE, "tiny", "1", "--json", user="pi")
    assert json.loads(done.stdout)["did"] == "already", done.stderr
    provisioned.run("touch", f"{STORE}/of-pi", f"{STORE}/.updates/of-pi", user="pi", check=True)
    assert provisioned.run("touch", f"{STORE}/of-bob", user="bob").returncode


def test_debians_own_modules_are_seen_with_a_numpy_that_they_were_built_for(provisioned):
    python = "/opt/litelens/venv/bin/python"
    seen = provisioned.run(python, "-I", "-c", "import picamera2_of_a_test as it; print(it.camera)")
    assert seen.stdout == "seen\n", seen.stderr
    numpy = provisioned.run(
        python, "-I", "-c", "import numpy; print(numpy.__version__, numpy.__file__)"
    ).stdout
    assert numpy.startswith("1.26.") and "/opt/litelens/venv/" in numpy
    if provisioned.run("/usr/bin/python3", "-c", "import cv2").returncode:
        pytest.skip("Debian's python3-opencv, compiled against Debian's NumPy, is not installed")
    compiled = (
        "import cv2, numpy; print(cv2.resize(numpy.zeros((4, 4, 3), 'uint8'), (2, 2)).shape, cv2.__file__)"
    )
    answer = provisioned.run(python, "-I", "-c", compiled)
    assert answer.stdout.startswith("(2, 2, 3) /usr/lib/python3/"), answer.stderr


def test_a_second_time_nothing_changes(provisioned, tiny):
    before = (
        pid(provisioned),
        environment(provisioned),
        provisioned.run("find", "/opt/litelens", "/etc/litelens").stdout,
    )
    ended = provisioned.workstation("provision", "pi", "--model", tiny, *SERVICE)
    assert ended.returncode == 0, ended.stderr
    assert "bringing" not in ended.stdout
    assert "is there already, nothing has changed" in ended.stdout.splitlines()[-1]
    assert before == (
        pid(provisioned), environment(provisioned), provisioned.run("find", "/opt/litelens", "/etc/litelens").stdout,
    )  # fmt: skip


def test_a_dry_run_changes_nothing(provisioned, another_litelens, tiny):
    before = pid(provisioned), environment(provisioned)
    cache = another_litelens("litelens/__init__.py", "\n# newer\n")
    ended = provisioned.workstation("provision", "pi", "--model", tiny, "--dry-run", cache=cache)
    assert ended.returncode == 0 and "would bring" in ended.stdout, ended.stderr
    assert before == (pid(provisioned), environment(provisioned))
    assert not (provisioned.files / "home/pi/.cache/litelens/provision").exists()


def test_an_upgrade_whose_litelens_does_not_work_changes_nothing(provisioned, another_litelens):
    before = pid(provisioned), environment(provisioned)
    cache = another_litelens("edge_runtime/classifier.py", "\nraise ImportError('broken')\n")
    ended = provisioned.workstation("provision", "pi", cache=cache)
    assert ended.returncode == 1
    assert "the new litelens does not work here, nothing has changed" in ended.stderr, ended.stderr
    assert before == (pid(provisioned), environment(provisioned))
    assert left(provisioned) == ["venv", environment(provisioned)]


def test_an_upgrade_whose_service_does_not_start_is_taken_back(provisioned, another_litelens, tiny):
    """Its self-test passes; the loop does not start."""
    before = environment(provisioned), pid(provisioned)
    cache = another_litelens("edge_runtime/live/loop.py", "\nraise ImportError('broken')\n")
    for words in ((), ("--model", tiny, *SERVICE)):  # only upgraded; and with the service named again
        ended = provisioned.workstation("provision", "pi", *words, cache=cache)
        assert ended.returncode == 1, ended.stdout
        assert "pi: service: what ran before is back" in ended.stdout
        assert environment(provisioned) == before[0]
        assert pid(provisioned) != before[1], "it was started again"
        status = provisioned.litelens("service", "status")
        assert status.returncode == 0, status.stderr


def test_an_upgrade_and_settings_that_were_changed_there(provisioned, another_litelens, tiny):
    before = environment(provisioned), pid(provisioned)
    config = provisioned.files / "etc/litelens/run.toml"
    config.write_text(config.read_text() + '\n[log]\npath = "mine.jsonl"\n')
    cache = another_litelens("litelens/__init__.py", "\n# newer\n")
    ended = provisioned.workstation("provision", "pi", "--model", tiny, *SERVICE, cache=cache)
    assert ended.returncode == 0, ended.stderr
    assert environment(provisioned) != before[0] and pid(provisioned) != before[1]
    assert left(provisioned) == ["venv", environment(provisioned)], "the old one is gone"
    assert "mine.jsonl" in config.read_text()
    provisioned.booted.wait_until(lambda: (provisioned.files / "var/lib/litelens/mine.jsonl").exists())


def test_other_settings_that_do_not_work_are_taken_back(provisioned, tiny):
    was = (provisioned.files / "etc/litelens/run.toml").read_text()
    ended = provisioned.workstation("provision", "pi", "--model", tiny, "--camera", "picamera")
    assert ended.returncode == 1 and "picamera" in ended.stderr, ended.stderr
    assert "hint: there: mend it" in ended.stderr
    assert "pi: service: what ran before is back" in ended.stdout
    assert (provisioned.files / "etc/litelens/run.toml").read_text() == was
    assert pid(provisioned)


def test_a_first_model_that_is_wrong_there_is_refused_with_its_reason(provisioned, tiny, tmp_path):
    whole, content = read_model_file(tiny), tiny.read_bytes()
    vectors = tuple(
        dataclasses.replace(vector, expected=tuple(255 - step for step in vector.expected))
        for vector in whole.manifest.selftest
    )
    manifest = dataclasses.replace(whole.manifest, name="wrong", selftest=vectors)
    (tmp_path / "wrong.tflite").write_bytes(
        pack(content[: content.index(b"PK\x03\x04")], whole.labels, manifest)
    )
    before = pid(provisioned)
    ended = provisioned.workstation("provision", "pi", "--model", tmp_path / "wrong.tflite", *SERVICE)
    assert ended.returncode == 1 and "pi: wrong 1 differs by" in ended.stderr, ended.stderr
    assert "hint: there: " in ended.stderr
    assert pid(provisioned) == before


def test_sudo_with_a_password(provisioned):
    """Asked for once, tried again when it is mistyped, and no other process sees it."""
    seen, ended = [], threading.Event()

    def watch() -> None:
        while not ended.wait(0.02):
            for path in Path("/proc").glob("[0-9]*/cmdline"):
                try:
                    seen.extend([path] if provisioned.password.encode() in path.read_bytes() else [])
                except OSError:  # it has ended
                    continue

    watching = threading.Thread(target=watch)
    watching.start()
    try:
        person = provisioned.person("provision", "ann")
        person.types("not her password", when="ann, password for sudo: ")
        person.types(provisioned.password, when="ann, password for sudo: ")
        code = person.leaves()
    finally:
        ended.set()
        watching.join()
    assert code == 0, person.said
    assert "ann may write there" in person.said and provisioned.password not in person.said
    assert not seen


@pytest.mark.parametrize(
    "user, message",
    [
        ("ann", "ann: sudo wants a password there, which can only be asked for at a terminal"),
        ("bob", "bob: sudo wants a password there"),
    ],
)
def test_without_a_terminal_no_password(provisioned, user, message):
    ended = provisioned.workstation("provision", user)
    assert ended.returncode == 1 and message in ended.stderr, ended.stderr


def test_a_user_who_may_not(provisioned):
    person = provisioned.person("provision", "bob")
    person.types(provisioned.password, when="bob, password for sudo: ")
    assert person.leaves() == 1
    assert "bob is not in the sudoers file" in person.said
    assert "hint: log in as root, or as a user who may" in person.said


def test_two_at_once_take_turns(provisioned):
    first = subprocess.Popen(
        provisioned.command("provision", "pi,root"),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    said = first.communicate(timeout=600)[0]
    assert first.returncode == 0, said
    assert "pi: " in said and "root: " in said


def test_what_a_cut_left_is_gone_on_with(provisionable, tiny):
    """The workstation is killed while it sends, and while install.sh runs; root installs, so systemd makes a user."""
    machine, command = provisionable, ("provision", "root", "--model", tiny, *SERVICE)
    for when in ("bringing", "environment: installing"):
        process = subprocess.Popen(
            ["timeout", "--foreground", "900", *machine.command(*command)],
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        assert any(when in line for line in process.stdout)
        time.sleep(1)  # whatever it does then
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    ended = machine.workstation(*command)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert left(machine) == ["venv", environment(machine)]
    assert pid(machine)
    assert machine.booted.show("litelens", "DynamicUser") == "yes"


def left(machine) -> list[str]:
    return sorted(path.name for path in (machine.files / "opt/litelens").iterdir())
