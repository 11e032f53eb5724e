"""The docs are under test: every verb is documented, every documented flag exists, every example runs."""

import os
import re
import shlex
import shutil
import sys
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import click
import pytest
from cards import fresh_trixie
from ssh_server import Device, make_key

from litelens.cli import VERBS, main

pytest_plugins = ["ssh_fixtures"]

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
EXAMPLE = re.compile(r"^    (litelens [^\n#]+?)(?:\s+#.*)?$", re.MULTILINE)


def command(verb: str) -> click.Command:
    return main.get_command(click.Context(main), verb)


def options(verb: str) -> set[str]:
    group = command(verb)
    commands = [group, *getattr(group, "commands", {}).values()]
    names = {n for c in commands for p in c.params for n in (*p.opts, *p.secondary_opts)}
    return {name for name in names if name.startswith("--")}


def examples() -> list[tuple[str, str]]:
    return [(page.name, found) for page in PAGES for found in EXAMPLE.findall(page.read_text())]


def test_the_readme_is_short():
    assert len((ROOT / "README.md").read_text().splitlines()) < 200


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_has_an_example_in_the_readme(verb):
    assert any(page == "README.md" and found.split()[1] == verb for page, found in examples())


@pytest.mark.parametrize("page, example", examples())
def test_every_example_is_one_the_command_line_takes(page, example):
    verb, *arguments = shlex.split(example)[1:]
    # Parsing raises on an unknown flag, a missing argument or a value of the wrong kind.
    command(verb).make_context(verb, arguments)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_flag_that_is_named_exists(page):
    known = {"--help", "--version"}.union(*(options(verb) for verb in VERBS))
    named = set(re.findall(r"`(--[a-z][a-z0-9-]*)", page.read_text()))
    assert named <= known


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_between_pages_lead_somewhere(page):
    for target in re.findall(r"\]\((?!https?://)([^)#]+)", page.read_text()):
        assert (page.parent / target).exists(), target


@pytest.mark.slow
def test_the_readmes_examples_run_one_after_another(tmp_path, parts, video, litelens, device):
    """As a user would type them, in a folder with what they name: pictures, a video, a card, a device behind ssh."""
    shutil.copytree(parts, tmp_path / "pictures")
    shutil.copy(video, tmp_path / "belt.avi")
    (tmp_path / "store").mkdir()
    fresh_trixie(tmp_path / "boot")
    make_key(tmp_path / "key", "ed25519")
    _fleet(tmp_path, device)
    environment = os.environ | {"LITELENS_KEY_PASSPHRASE": "a passphrase of a test"}
    site = partial(SimpleHTTPRequestHandler, directory=tmp_path / "site")
    server = ThreadingHTTPServer(("127.0.0.1", 0), site)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    ran = []
    for page, example in examples():
        words = shlex.split(example.replace(":8000", f":{server.server_port}"))[1:]
        if page != "README.md" or words[0] == "demo":  # `make demo` is run by hand and by users
            continue
        ended = litelens(*words, cwd=tmp_path, env=environment, timeout=600)
        if words[0] == "export" and ended.returncode == 3:  # a gate on thirty pictures may well be missed
            ended = litelens(*words, "--gate", "off", cwd=tmp_path, env=environment, timeout=600)
        if words[0] == "provision" and not Path("/run/systemd/system").is_dir():  # the device is this machine
            assert "was not started by systemd" in ended.stderr
        else:
            assert ended.returncode == 0, f"{example}\n{ended.stderr}"
        ran.append(words[0])
    server.shutdown()
    assert set(ran) == set(VERBS) - {"demo"}


def _fleet(folder: Path, device: Device) -> None:
    """A fleet of one, which has litelens, a store, and nothing seen yet."""
    for name in ("store", "state/hard-examples"):
        (device.home / name).mkdir(parents=True)
    program = f'#!/bin/sh\nPYTHONPATH={ROOT} exec {sys.executable} -m litelens "$@"\n'
    device.program("litelens", program)
    entry = f'{{ address = "garden", store = "{device.home}/store", state = "{device.home}/state" }}'
    (folder / "fleet.toml").write_text(f"[devices]\ngarden = {entry}\n")
