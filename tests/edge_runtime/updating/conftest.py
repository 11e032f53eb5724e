"""A real repository behind a real web server that can be told to misbehave, and a device with a real store."""

import dataclasses
import hashlib
import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from edge_runtime.model_file import pack, read_model_file
from edge_runtime.store.store import Store
from edge_runtime.updating import update as updating
from edge_runtime.updating.fetching import Limits, fetch
from edge_runtime.updating.into_store import STATE_FOLDER, IntoStore
from edge_runtime.updating.update import Outcome, Source, update

PASSPHRASE = "correct horse battery"
QUICK = Limits(idle_s=5.0, metadata_s=20.0, least_bytes_per_s=1e6)
"""For servers that answer; a test of one that does not asks for less."""


@pytest.fixture(scope="session")
def packed(tiny):
    """The bytes of the tiny model under another version or name, or with answers that are off."""
    whole, content = read_model_file(tiny), tiny.read_bytes()
    own = content[: content.index(b"PK\x03\x04")]

    def make(version: str = "1", name: str = "tiny", off: int = 0) -> bytes:
        vectors = tuple(
            dataclasses.replace(vector, expected=(vector.expected[0] + off, *vector.expected[1:]))
            for vector in whole.manifest.selftest
        )
        return pack(
            own,
            whole.labels,
            dataclasses.replace(whole.manifest, name=name, version=version, selftest=vectors),
        )

    return make


class Handler(SimpleHTTPRequestHandler):
    """Serves a folder, but asks `Server.lies` first."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # else each answer waits for the client's delayed acknowledgement
    timeout = 30

    def do_GET(self) -> None:
        self.server.asked.append((self.path, dict(self.headers)))
        lie = next((lie for part, lie in self.server.lies.items() if part in self.path), None)
        with suppress(ConnectionError):  # the client need not listen to the end
            lie(self) if lie else super().do_GET()

    def send_error(self, code: int, *_) -> None:
        """As common servers do, which keep the connection."""
        page = f"<html><head><title>{code}</title></head><body><h1>{code}</h1></body></html>\n".encode()
        self.send_response(code)
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", str(len(page)))
        self.end_headers()
        self.wfile.write(page)

    def log_message(self, *_) -> None:
        pass


class Server(ThreadingHTTPServer):
    """A static web server on loopback."""

    daemon_threads = True

    def __init__(self, folder: Path, port: int = 0):
        super().__init__(("127.0.0.1", port), partial(Handler, directory=folder))
        self.lies: dict[str, Callable[[Handler], None]] = {}
        """Part of a path to what answers instead; it writes to the handler's wfile."""
        self.asked: list[tuple[str, dict[str, str]]] = []
        """Path and headers of each request."""

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    @property
    def paths(self) -> list[str]:
        return [path for path, _ in self.asked]


@pytest.fixture
def serve() -> Iterator[Callable[[Path], Server]]:
    """Serves a folder until the end of the test."""
    running: list[tuple[Server, threading.Thread]] = []

    def start(folder: Path, port: int = 0) -> Server:
        server = Server(folder, port)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        running.append((server, thread))
        return server

    yield start
    for server, thread in running:
        server.shutdown()
        thread.join()
        server.server_close()


@dataclass
class World:
    """A publisher, a server and a device; the device runs version 1 and has looked at a repository that offers it."""

    folder: Path
    server: Server
    packed: Callable[..., bytes]
    limits: Limits = QUICK
    now: datetime = field(default_factory=lambda: datetime.now(UTC))

    @property
    def site(self) -> Path:
        return self.folder / "site"

    @property
    def metadata(self) -> Path:
        return self.site / "metadata"

    @property
    def store(self) -> Path:
        return self.folder / "store"

    @property
    def state(self) -> Path:
        return self.store / STATE_FOLDER

    def keyring(self):
        from fleet.repository.keys import Keyring

        return Keyring((self.folder / "keys",), lambda path, new: PASSPHRASE)

    def publish(self, version: str, *, percent: float = 100, channel: str = "stable", **changes) -> None:
        from fleet.repository.publishing import publish

        model = self.folder / "new.tflite"
        model.write_bytes(self.packed(version, **changes))
        publish(model, self.site, self.keyring(), self.now, channel=channel, buckets=int(percent * 100))

    def repository(self):
        from fleet.repository.repository import open_repository

        return open_repository(self.site, self.keyring().trusted_root)

    def sign(self) -> None:
        """What the publisher's timer does."""
        self.repository().write(self.keyring(), self.now)

    def change_role(self, role: str, **change) -> None:
        from fleet.repository.roles import change_role

        repository = self.repository()
        change_role(repository, self.keyring(), role, **change)
        repository.write(self.keyring(), self.now)

    def look(self, **options) -> Outcome:
        """One look of the device; what `litelens update` does."""
        source = Source(
            self.server.address, self.folder / "root.json", options.pop("channel", "stable"), "tiny"
        )
        return update(source, self.state, IntoStore(self.store), limits=self.limits, **options)

    def current(self) -> str | None:
        """The version that the device runs."""
        return Store(self.store / "tiny").state().current

    def lie(self, path: str, answer: Callable[[Handler], None]) -> None:
        """Has the server give another answer for all paths that hold this part."""
        self.server.lies[path] = answer

    def sha256(self, version: str, **changes) -> str:
        return hashlib.sha256(self.packed(version, **changes)).hexdigest()


@pytest.fixture(scope="session")
def first_world(tmp_path_factory, packed) -> Path:
    """World's folder at the beginning: version 1 published, and on the device by an update."""
    folder = tmp_path_factory.mktemp("world")
    (folder / "store").mkdir()
    server = Server(folder / "site")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        world = World(folder, server, packed)
        world.publish("1")
        shutil.copy(world.metadata / "1.root.json", folder / "root.json")
        # In a process of its own, as on a device.
        world.limits = Limits()
        assert str(world.look()) == "tiny 1 is in use now"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
    return folder


@pytest.fixture
def new_far_world(first_world, tmp_path, serve, packed) -> Callable[[], World]:
    """Makes worlds whose devices look in processes of their own, as devices do."""

    def make() -> World:
        folder = tmp_path / f"world {len(list(tmp_path.glob('world *')))}"
        shutil.copytree(first_world, folder, symlinks=True)
        return World(folder, serve(folder / "site"), packed)

    return make


@pytest.fixture
def new_world(new_far_world, monkeypatch) -> Callable[[], World]:
    """Makes worlds whose devices look within the test's process: the same code, a second faster."""
    monkeypatch.setattr(updating, "_ask", lambda request, stop: fetch(request))
    return new_far_world


@pytest.fixture
def far_world(new_far_world) -> World:
    return new_far_world()


@pytest.fixture
def world(new_world) -> World:
    return new_world()


def tree(folder: Path) -> dict[str, bytes | str]:
    """All files and links below a folder, with what is in them."""
    return {
        str(path.relative_to(folder)): str(path.readlink()) if path.is_symlink() else path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_symlink() or path.is_file()
    }


@pytest.fixture(scope="session")
def contents():
    return tree
