"""The docs are under test: every verb is documented, every documented flag exists, every example runs."""

import os
import re
import shlex
import shutil
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import click
import pytest

from litelens.cli import VERBS, main

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
def test_the_readmes_examples_run_one_after_another(tmp_path, parts, video, litelens):
    """As a user would type them, in a folder with the pictures and the video that they name."""
    shutil.copytree(parts, tmp_path / "pictures")
    shutil.copy(video, tmp_path / "belt.avi")
    (tmp_path / "store").mkdir()
    environment = os.environ | {"HOME": str(tmp_path), "LITELENS_KEY_PASSPHRASE": "a passphrase of a test"}
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
        assert ended.returncode == 0, f"{example}\n{ended.stderr}"
        ran.append(words[0])
    server.shutdown()
    assert set(ran) == set(VERBS) - {"demo"}
