"""What one device's look costs on the wire: the commands that a publisher and a device type, and nginx' log."""

import dataclasses
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

import click

from benchmarks.update_load.web_server import Answered, WebServer
from edge_runtime.model_file import pack, read_model_file

SMALL, LARGE = 650_000, 2_700_000
"""Bytes of a model file: the README's six parts (96 px, alpha 0.35) and cats and dogs (160 px, alpha 1.0)."""
_TINY = resources.files("litelens.doctor") / "tiny.tflite"
_COMMAND_S = 120


@dataclass(frozen=True)
class Look:
    """What one look sent and received, HTTP's headers included, TCP's not."""

    name: str
    requests: int
    connections: int
    sent_bytes: int
    """By the device."""
    received_bytes: int

    @classmethod
    def of(cls, name: str, answered: list[Answered]) -> "Look":
        return cls(
            name,
            len(answered),
            len({one.connection for one in answered}),
            sum(one.received_bytes for one in answered),
            sum(one.sent_bytes for one in answered),
        )

    @property
    def total_bytes(self) -> int:
        return self.sent_bytes + self.received_bytes


class Publisher:
    """Who runs `litelens publish` and `litelens repo`, in a folder."""

    def __init__(self, folder: Path):
        self.folder, self.site = folder, folder / "site"
        self._keys = ("--keys", str(folder / "keys"))

    def publish(self, version: str, size_bytes: int) -> None:
        """Offers a model file of about this size: a tiny model that works, and ballast behind it."""
        path = self.folder / "tiny.tflite"
        whole, content = read_model_file(_TINY), _TINY.read_bytes()
        own = content[: content.index(b"PK\x03\x04")]
        manifest = dataclasses.replace(whole.manifest, version=version)
        path.write_bytes(pack(own + os.urandom(max(0, size_bytes - len(content))), whole.labels, manifest))
        _litelens("publish", path, "--repo", self.site, *self._keys)

    def sign(self) -> None:
        """What a timer does once a day."""
        _litelens("repo", "sign", self.site, *self._keys)

    def change_root(self, days: int) -> None:
        """Writes a new root, as each change of a key does."""
        _litelens("repo", "role", self.site, "timestamp", "--days", days, *self._keys)


def looks(publisher: Publisher, server: WebServer, store: Path) -> Iterator[Look]:
    """One look after another of one device, with what happened at the publisher's in between.

    Raises:
        ClickException: If a command fails.
    """
    root = store.parent / "root.json"
    root.write_bytes((publisher.site / "metadata" / "1.root.json").read_bytes())
    server.answered()

    def look(name: str) -> Look:
        _litelens("update", "--from", server.address, "--root", root, "--store", store, "--model", "tiny")
        return Look.of(name, server.answered())

    yield look("the first of all, 0.65 MB model")
    yield look("nothing new")
    publisher.sign()
    yield look("timestamp signed again")
    publisher.publish("2", SMALL)
    yield look("new version, 0.65 MB")
    publisher.publish("3", LARGE)
    yield look("new version, 2.7 MB")
    for days in (6, 5, 7):
        publisher.change_root(days)
    publisher.publish("4", SMALL)
    yield look("after months, 3 roots, 0.65 MB")


def _litelens(*words: object) -> None:
    environment = os.environ | {"LITELENS_KEY_PASSPHRASE": "only for this measurement"}
    command = [sys.executable, "-m", "litelens", *map(str, words)]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=_COMMAND_S, env=environment)
    if ended.returncode:
        raise click.ClickException(f"litelens {words[0]} failed: {ended.stderr.strip()[-500:]}")
