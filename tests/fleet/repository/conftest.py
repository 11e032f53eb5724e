"""Repositories in a temporary folder, models to publish, a static server before them, and devices that look."""

import dataclasses
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from edge_runtime.model_file import pack, read_model_file
from edge_runtime.updating.fetching import Fetched, Request, fetch

PASSPHRASE = "correct horse battery"


@pytest.fixture(scope="session")
def passphrase() -> str:
    return PASSPHRASE


@pytest.fixture(scope="session")
def now() -> datetime:
    return datetime.now(UTC)


@pytest.fixture(scope="session")
def days() -> Callable[[float], timedelta]:
    return lambda count: timedelta(days=count)


@pytest.fixture
def keyring(tmp_path):
    """Makes a keyring of folders; keys/ unless told otherwise."""
    from fleet.repository.keys import Keyring

    def make(*folders: Path) -> Keyring:
        return Keyring(folders or (tmp_path / "keys",), lambda path, new: PASSPHRASE)

    return make


@pytest.fixture
def repack(tiny, tmp_path):
    """Writes the tiny model with other fields in its manifest; returns its path."""
    whole, content = read_model_file(tiny), tiny.read_bytes()
    own = content[: content.index(b"PK\x03\x04")]

    def write(**fields) -> Path:
        path = tmp_path / "repacked.tflite"
        path.write_bytes(pack(own, whole.labels, dataclasses.replace(whole.manifest, **fields)))
        return path

    return write


@pytest.fixture
def site(tmp_path) -> Path:
    """DIR."""
    return tmp_path / "site"


@pytest.fixture
def publish(site, keyring, repack, now):
    """Publishes a version of the tiny model, to all devices on stable unless told otherwise."""
    from fleet.repository.publishing import publish

    def run(version: str, percent: float = 100, channel: str = "stable", keys=None, at=now, **changes):
        buckets = int(percent * 100)
        model = repack(version=version, **changes)
        return publish(model, site, keys or keyring(), at, channel=channel, buckets=buckets)

    return run


@pytest.fixture
def address(site) -> Iterator[str]:
    """The repository, served by a static web server on loopback."""

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_) -> None:
            pass

    site.mkdir(exist_ok=True)
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=site)) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.fixture
def device(address, site, tmp_path):
    """Looks at the repository as a device does; the same name is the same device."""

    def look(name: str = "one", channel: str = "stable", passed_over: tuple[str, ...] = ()) -> Fetched:
        folder = tmp_path / "devices" / name
        root = folder / "root.json"
        if not root.exists():
            folder.mkdir(parents=True)
            root.write_bytes((site / "metadata" / "1.root.json").read_bytes())
        return fetch(Request(address, str(root), str(folder), "tiny", channel, name, 0.0, passed_over))

    return look
