"""The service runs from a store, and its own user counts starts there and goes back."""

import dataclasses
import json
import shutil

import pytest

from edge_runtime.model_file import pack, read_model_file

pytest_plugins = ["systemd_fixtures"]
pytestmark = pytest.mark.soak
STORE = "/srv/litelens/store"
FAST = "[Service]\nRestartSec=0.2\n"
"""As `systemctl edit` writes it: tests do not wait for seconds."""


@pytest.fixture
def store(booted, tiny):
    """Runs `litelens store VERB STORE tiny ...` in there, over versions 1 (current), 2 and 3."""

    def run(verb: str, *words: object) -> str:
        ended = booted.litelens("store", verb, STORE, "tiny", *words)
        assert ended.returncode == 0, ended.stderr
        return ended.stdout

    booted.run("groupadd", "--system", "litelens_store", check=True)
    booted.run("install", "-d", "-m", "2775", "-g", "litelens_store", STORE, check=True)
    whole, content = read_model_file(tiny), tiny.read_bytes()
    own = content[: content.index(b"PK\x03\x04")]
    for version in "123":
        manifest = dataclasses.replace(whole.manifest, version=version)
        (booted.files / "srv/litelens/new.tflite").write_bytes(pack(own, whole.labels, manifest))
        run("add", "/srv/litelens/new.tflite")
    run("switch", "1")
    return run


def test_a_service_looks_after_its_store(booted, store):
    installed = booted.litelens("service", "install", f"{STORE}/tiny/current", "--", "--camera", "demo")
    assert installed.returncode == 0, installed.stderr + booted.log("litelens")
    folder = booted.files / "etc/systemd/system/litelens.service.d"
    folder.mkdir()
    (folder / "fast.conf").write_text(FAST)
    booted.run("systemctl", "daemon-reload", check=True)
    booted.run("systemctl", "restart", "litelens", check=True)

    store("switch", "2", "--trial", "2")
    booted.wait_until(lambda: json.loads(store("list", "--json"))["models"][0]["trial"] is None, 120)
    assert "confirmed    2: healthy for 2 s (litelens run)" in store("history")

    store("switch", "3", "--trial", "600")
    for _ in range(4):
        before = booted.show("litelens", "MainPID")
        booted.run("systemctl", "kill", "--signal=KILL", "--kill-who=main", "litelens", check=True)
        booted.wait_until(
            lambda before=before: (
                booted.show("litelens", "MainPID") not in (before, "0")
                and booted.show("litelens", "ActiveState") == "active"
            ),
            120,
        )
    assert "rolled back  3 -> 2: started 3 times without being healthy for 600 s" in store("history")
    store("rollback", "--from", "2")  # what the service's user wrote, root replaces
    booted.litelens("service", "remove", check=True)


def test_a_store_in_a_home(booted, tiny):
    """Of which the service sees the store alone, and may write it."""
    booted.run("useradd", "--create-home", "kim", check=True)
    booted.run("install", "-d", "-o", "kim", "-g", "kim", "/home/kim/models", check=True)
    kim = ("setpriv", "--reuid=kim", "--regid=kim", "--clear-groups", "--inh-caps=+dac_read_search")
    for verb in (("add", "/srv/kim.tflite"), ("switch", "1", "--trial", "2")):
        shutil.copy(tiny, booted.files / "srv/kim.tflite")
        words = (
            booted.python,
            "-I",
            "-m",
            "litelens",
            "store",
            verb[0],
            "/home/kim/models",
            "tiny",
            *verb[1:],
        )
        done = booted.run(*kim, "--ambient-caps=+dac_read_search", *words)
        assert done.returncode == 0, done.stderr
    run = ("/home/kim/models/tiny/current", "--user", "kim", "--", "--camera", "demo")
    installed = booted.litelens("service", "install", *run)
    assert installed.returncode == 0, installed.stderr + booted.log("litelens")
    listed = ("store", "list", "/home/kim/models", "--json")
    booted.wait_until(lambda: json.loads(booted.litelens(*listed).stdout)["models"][0]["trial"] is None, 120)
    history = booted.litelens("store", "history", "/home/kim/models", "tiny").stdout
    assert "confirmed    1: healthy for 2 s (litelens run)" in history
    booted.litelens("service", "remove", check=True)
