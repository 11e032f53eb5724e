"""The verb `store`: the versions on this device, for people, and over ssh for `litelens flash`."""

import json
import os
import pwd
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any, BinaryIO

import click

from edge_runtime.errors import LitelensError
from edge_runtime.store.device import device_facts, unwritable
from edge_runtime.store.history import Event, printable
from edge_runtime.store.state import STARTS
from edge_runtime.store.store import ALREADY, KEEP, Store, open_store, stores

_root = click.argument("root", metavar="STORE", type=click.Path(path_type=Path))
_name = click.argument("name", metavar="NAME")
_version = click.argument("version", metavar="VERSION")
_file = click.argument("file", metavar="FILE", type=click.Path(path_type=Path))
_json = click.option("--json", "as_json", is_flag=True, help="Print one JSON object, errors too.")
_sha256 = click.option("--sha256", metavar="HEX", help="Refuse a file that has another.")
_why = click.option("--why", default="", metavar="TEXT", help="For the history.")
_keep = click.option(
    "--keep",
    type=click.IntRange(min=1),
    default=KEEP,
    show_default=True,
    metavar="N",
    help="Remove all but the last N versions; the current and the previous one stay.",
)
_trial = click.option(
    "--trial",
    "healthy_s",
    type=click.FloatRange(min=0, min_open=True, max=86_400),
    metavar="S",
    help="Go back by itself unless the running loop is healthy with it for S seconds.",
)


def _whoami() -> str:
    """Who is at the keyboard, as far as the machine knows: pi, pi from 192.0.2.7, pi as root."""
    try:
        user = pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        user = f"user {os.geteuid()}"
    if asked := os.environ.get("SUDO_USER"):
        user = f"{asked} as {user}"
    address = os.environ.get("SSH_CONNECTION", "").partition(" ")[0]
    return f"{user} from {address}" if address else user


_by = click.option("--by", default=_whoami, metavar="WHO", help="For the history. [default: you]")


@click.group()
def store() -> None:
    """Keep versions of models on this device, and switch between them.

    STORE/NAME/current is what litelens run is given. A switch is one instant, also for a power cut.
    """


@store.command("list")
@_root
@click.argument("name", metavar="[NAME]", required=False)
@_json
def list_versions(root: Path, name: str | None, as_json: bool) -> None:
    """Say which versions there are, which one answers, and whether it is on trial.

    --json without NAME says what litelens flash checks, too: interpreter, free disk, who may write.
    """
    with telling(as_json):
        found = [open_store(root, name)] if name else stores(root)
        facts: dict[str, Any] = {"store": str(root), "models": [_describe(store) for store in found]}
        if as_json and not name:
            facts["device"] = asdict(device_facts(root))
        _tell(facts, as_json, (line for model in facts["models"] for line in _lines(model)))


@store.command()
@_root
@_name
@_file
@_sha256
@_keep
@_why
@_by
@_json
def add(
    root: Path, name: str, file: Path, sha256: str | None, keep: int, why: str, by: str, as_json: bool
) -> None:
    """Copy a model file into the store, whole or not at all; - reads standard input.

    It does not answer yet. The same file again changes nothing; another file under a version that is there is refused.
    """
    with telling(as_json):
        store = open_store(root, name)
        version, did = store.add(_source(file), sha256, by=by, why=why)
        removed = store.keep(keep, by=by) if did != ALREADY else ()
        _tell_done(store, did, version, as_json, removed=list(removed))


@store.command()
@_root
@_name
@_file
@_sha256
@click.option(
    "--max-latency-ms",
    type=click.FloatRange(min=0, min_open=True),
    metavar="MS",
    help="Refuse a file of which more than 1 of 100 frames of 640x480 takes longer.",
)
@_trial
@_keep
@_why
@_by
@_json
def install(
    root: Path,
    name: str,
    file: Path,
    sha256: str | None,
    max_latency_ms: float | None,
    healthy_s: float | None,
    keep: int,
    why: str,
    by: str,
    as_json: bool,
) -> None:
    """Add a model file, replay its self-test here, and switch to it; - reads standard input.

    A file that fails changes nothing: exit code 3 where its answers are wrong or late, 1 where it could not be tried.
    """
    from edge_runtime.store.install import install  # the interpreter takes some time to load

    with telling(as_json):
        store = open_store(root, name)
        asked = {"max_latency_ms": max_latency_ms, "healthy_s": healthy_s, "keep": keep, "by": by, "why": why}
        done = install(store, _source(file), sha256, **asked)
        selftest = done.report and asdict(done.report)
        _tell_done(store, done.did, done.version, as_json, selftest=selftest)


@store.command()
@_root
@_name
@_version
@_trial
@_why
@_by
@_json
def switch(
    root: Path, name: str, version: str, healthy_s: float | None, why: str, by: str, as_json: bool
) -> None:
    """Have another version answer; the one before stays for a rollback."""
    with telling(as_json):
        store = open_store(root, name)
        did = store.switch(version, healthy_s=healthy_s, by=by, why=why)
        _tell_done(store, did, version, as_json)


@store.command()
@_root
@_name
@click.option("--from", "leaving", metavar="VERSION", help="Only if this is the current one: safe to repeat.")
@_why
@_by
@_json
def rollback(root: Path, name: str, leaving: str | None, why: str, by: str, as_json: bool) -> None:
    """Go back to the previous version; a trial ends with it."""
    with telling(as_json):
        store = open_store(root, name)
        did = store.rollback(leaving=leaving, by=by, why=why)
        _tell_done(store, did, store.state().current, as_json)


@store.command()
@_root
@_name
@_version
@_why
@_by
@_json
def confirm(root: Path, name: str, version: str, why: str, by: str, as_json: bool) -> None:
    """End the trial of a version: it stays. The running loop does so by itself."""
    with telling(as_json):
        store = open_store(root, name)
        _tell_done(store, store.confirm(version, by=by, why=why), version, as_json)


@store.command()
@_root
@_name
@_json
def history(root: Path, name: str, as_json: bool) -> None:
    """Say what happened, oldest first: when, what, from which version to which, why, by whom."""
    with telling(as_json):
        found = open_store(root, name).history()
        events = [event.to_dict() for event in found.events]
        lines = [_event_line(event) for event in found.events]
        if found.damaged_lines:
            some = "line" if found.damaged_lines == 1 else "lines"
            lines.append(f"and {found.damaged_lines} damaged {some}, as a power cut leaves them")
        facts = {"name": name, "events": events, "damaged_lines": found.damaged_lines}
        _tell(facts, as_json, lines)


def _source(file: Path) -> Path | BinaryIO:
    return sys.stdin.buffer if str(file) == "-" else file


def _describe(store: Store) -> dict[str, Any]:
    """A model in the store; ready for JSON."""
    state, trial = store.state(), None
    if state.trial:
        trial = {
            "version": state.trial.version,
            "healthy_s": state.trial.healthy_s,
            "left_s": round(max(0.0, state.trial.left_s(store.moment())), 1),
            "starts": state.trial.starts,
            "by": state.trial.by,
        }
    versions = [
        {
            "version": version.version,
            "size_bytes": version.size_bytes,
            "sha256": version.sha256,
            "problem": version.problem,
        }
        for version in store.versions()
    ]
    return {
        "name": store.name,
        "folder": str(store.folder),
        "current": state.current,
        "previous": state.previous,
        "trial": trial,
        "running": store.running(),
        "problem": unwritable(store.folder),
        "versions": versions,
    }


def _lines(model: dict[str, Any]) -> Iterator[str]:
    """A model in the store; for people."""
    yield f"{model['name']}  {model['folder']}"
    for version in model["versions"]:
        names = [name for name in ("current", "previous") if model[name] == version["version"]]
        line = f"  {version['version']:24} {' '.join(names):9} {version['size_bytes']:>10} bytes"
        yield line + (f"  {printable(version['problem'])}" if version["problem"] else "")
    if trial := model["trial"]:
        yield (
            f"  {trial['version']} is on trial for {printable(trial['by'])}: {trial['healthy_s']:g} s healthy wanted, "
            f"{trial['left_s']:.0f} s left, start {trial['starts']} of {STARTS}"
        )


def _tell_done(store: Store, did: str, version: str | None, as_json: bool, **more: Any) -> None:
    said = "is so already, nothing has changed" if did == ALREADY else did
    facts = {"did": did, "version": version, **more, "model": _describe(store)}
    _tell(facts, as_json, [f"{store.name} {version}: {said}"])


def _event_line(event: Event) -> str:
    versions = " -> ".join(version or "nothing" for version in (event.from_version, event.to_version))
    if event.from_version in (None, event.to_version):
        versions = event.to_version or "?"
    why = f": {event.why}" if event.why else ""
    return printable(f"{event.when}  {event.what:11}  {versions}{why} ({event.by})")


def _tell(facts: dict[str, Any], as_json: bool, lines: Iterable[str]) -> None:
    click.echo(json.dumps(facts) if as_json else "\n".join(lines))


@contextmanager
def telling(as_json: bool) -> Iterator[None]:
    """With --json, an expected failure is an object on standard output, too; its exit code stays."""
    try:
        yield
    except LitelensError as error:
        if as_json:
            problem = {"kind": type(error).__name__, "message": str(error), "hint": error.hint}
            click.echo(json.dumps({"error": problem}))
        raise
