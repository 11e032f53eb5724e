"""The service takes a new version by itself: under a real systemd, with all that its unit forbids."""

import dataclasses
import shutil
import subprocess
import sys
from datetime import UTC, datetime

import pytest

from edge_runtime.model_file import pack, read_model_file

pytest_plugins = ["systemd_fixtures"]
pytestmark = pytest.mark.soak
STORE = "/srv/litelens/store"
SITE = "/srv/site"
PORT = "8099"
CONFIG = f"""camera = "demo"
threads = 1
[follow]
address = "http://127.0.0.1:{PORT}"
root = "/srv/litelens/root.json"
every_s = 2
"""


@pytest.fixture
def publish(booted, tiny, tmp_path):
    """Publishes a version of the tiny model in there, over http://127.0.0.1:PORT."""
    from fleet.repository.keys import Keyring
    from fleet.repository.publishing import publish

    whole, content = read_model_file(tiny), tiny.read_bytes()
    own = content[: content.index(b"PK\x03\x04")]
    site = booted.files / SITE.lstrip("/")

    def run(version: str):
        path = tmp_path / "new.tflite"
        path.write_bytes(pack(own, whole.labels, dataclasses.replace(whole.manifest, version=version)))
        keyring = Keyring((tmp_path / "keys",), lambda path, new: "correct horse battery")
        publish(path, site, keyring, datetime.now(UTC), channel="stable", buckets=10_000)
        return path

    return run


@pytest.fixture
def server(booted, publish):
    """A web server in there."""
    booted.run("rm", "-rf", SITE)
    publish("1")
    program = [sys.executable, "-m", "http.server", PORT, "--bind", "127.0.0.1", "--directory", SITE]
    enter = ["nsenter", f"--target={booted.init}", "--mount", "--pid", "--net", "--root", "--wdns=/", "--"]
    booted.run("ip", "link", "set", "lo", "up")
    with subprocess.Popen(
        [*enter, *program], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd="/"
    ) as process:
        yield
        process.kill()


@pytest.fixture(params=["its own user", "a login"])
def user(request, booted) -> tuple[str, ...]:
    """Arguments of install; a fresh store whose group is litelens_store."""
    booted.run("groupadd", "--system", "--force", "litelens_store", check=True)
    booted.run("rm", "-rf", STORE)
    booted.run("install", "-d", "-m", "2775", "-g", "litelens_store", STORE, check=True)
    if request.param == "its own user":
        return ()
    booted.run("useradd", "--create-home", "--groups", "litelens_store", "pi")
    return ("--user", "pi")


def test_a_service_follows(booted, publish, server, user):
    install = booted.files / "srv/litelens/new.tflite"
    shutil.copy(publish("1"), install)
    installed = booted.litelens("store", "install", STORE, "tiny", "/srv/litelens/new.tflite")
    assert installed.returncode == 0, installed.stderr
    shutil.copy(
        booted.files / SITE.lstrip("/") / "metadata/1.root.json", booted.files / "srv/litelens/root.json"
    )
    (booted.files / "srv/litelens/run.toml").write_text(CONFIG)
    words = ("service", "install", f"{STORE}/tiny/current", *user, "--", "--config", "/srv/litelens/run.toml")
    started = booted.litelens(*words)
    assert started.returncode == 0, started.stderr + booted.log("litelens")
    try:
        booted.wait_until(lambda: "tiny 1 is in use already" in booted.log("litelens"), 120)
        publish("2")
        booted.wait_until(lambda: "tiny 2 answers now" in booted.log("litelens"), 120)
        booted.wait_until(lambda: "tiny 2 was confirmed: healthy for 60 s" in booted.log("litelens"), 200)
    except AssertionError:
        pytest.fail(booted.log("litelens"))
    finally:
        removed = booted.litelens("service", "remove")
    assert removed.returncode == 0, removed.stderr
    listed = booted.litelens("store", "list", STORE, "tiny", "--json")
    assert '"current": "2"' in listed.stdout, listed.stdout + listed.stderr
