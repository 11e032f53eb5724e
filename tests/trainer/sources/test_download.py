"""Downloads from a real server on loopback: whole, resumed, cut, refused, wrong."""

import hashlib
import io
import re
import threading
import zipfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from edge_runtime.errors import ConfigError, DataError, WriteError
from trainer.sources import download
from trainer.sources.open_source import open_source


@pytest.fixture(scope="module")
def content(encoded):
    """A zip of two classes, about 60 kB."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as packed:
        for number in range(100):
            packed.writestr(
                f"set/{'cat' if number % 2 else 'dog'}/{number}.png", encoded(number) + bytes(400)
            )
    return buffer.getvalue()


@pytest.fixture
def sha256(content):
    return hashlib.sha256(content).hexdigest()


class Server(ThreadingHTTPServer):
    """Sends `content`; the switches make it do so badly."""

    content = b""
    ranges = True
    cuts: list[int]
    """Bytes after which the connection ends, for one request after the other."""
    status = 200
    broken = 0
    """Requests that are answered with 503."""
    requested: list[str | None]
    """The Range of each request."""

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_port}/some%20set.zip"


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        server = self.server
        server.requested.append(self.headers["Range"])
        if server.broken:
            server.broken -= 1
            return self.send_error(503)
        if server.status != 200:
            return self.send_error(server.status)
        start = int(re.fullmatch(r"bytes=(\d+)-", self.headers["Range"])[1]) if self.headers["Range"] else 0
        if not server.ranges:
            start = 0
        if start and start >= len(server.content):
            self.send_response(416)
            self.send_header("Content-Range", f"bytes */{len(server.content)}")
            self.send_header("Content-Length", "0")
            return self.end_headers()
        self.send_response(206 if start else 200)
        if start:
            self.send_header(
                "Content-Range", f"bytes {start}-{len(server.content) - 1}/{len(server.content)}"
            )
        self.send_header("Content-Length", str(len(server.content) - start))
        self.end_headers()
        rest = server.content[start:]
        self.wfile.write(rest[: server.cuts.pop(0)] if server.cuts else rest)

    def log_message(self, *_):
        pass


@pytest.fixture
def server(content, monkeypatch):
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setattr(download, "_PAUSES_S", (0, 0))
    with Server(("127.0.0.1", 0), Handler) as server:
        server.content, server.cuts, server.requested = content, [], []
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def kept(cache):
    return sorted(p.name for p in (cache / "downloads").iterdir() if not p.name.endswith(".lock"))


def test_an_address_is_downloaded_verified_and_cached(server, sha256, cache, listed, capsys):
    source = open_source(server.url, sha256.upper())
    assert len(source.files) == 100 and {label for _, label, _ in listed(source)} == {"cat", "dog"}
    assert source.spec == server.url and source.folder.is_relative_to(cache / "data")
    assert f"downloading {server.url}" in capsys.readouterr().err
    assert open_source(server.url, sha256).files == source.files
    assert server.requested == [None] and kept(cache) == [sha256]


@pytest.mark.parametrize("cuts", [[1], [20_000], [10_000, 1, 10_000], [0, 30_000, 0]])
def test_a_cut_is_resumed_where_it_was(server, sha256, cuts, capsys):
    server.cuts = list(cuts)
    assert len(open_source(server.url, sha256).files) == 100
    assert server.requested == [
        None,
        *(f"bytes={sum(cuts[:n])}-" if sum(cuts[:n]) else None for n in range(1, len(cuts) + 1)),
    ]
    assert "the connection was cut at" in capsys.readouterr().err


def test_a_server_that_ignores_ranges_sends_it_anew(server, sha256):
    server.ranges, server.cuts = False, [20_000]
    assert len(open_source(server.url, sha256).files) == 100
    assert server.requested == [None, "bytes=20000-"]


def test_a_server_that_always_cuts_is_given_up_and_the_next_run_goes_on(server, sha256, cache):
    server.cuts = [5_000] + 10 * [0]
    with pytest.raises(DataError, match="connection was cut, after 5,000 bytes") as caught:
        open_source(server.url, sha256)
    assert "goes on from there" in caught.value.hint
    assert kept(cache) == [f"{sha256}.partial"]
    server.cuts, server.requested = [], []
    assert len(open_source(server.url, sha256).files) == 100
    assert server.requested == ["bytes=5000-"] and kept(cache) == [sha256]


def test_what_a_kill_left_whole_is_not_sent_again(server, sha256, content, cache):
    (cache / "downloads").mkdir(parents=True)
    (cache / "downloads" / f"{sha256}.partial").write_bytes(content)
    assert len(open_source(server.url, sha256).files) == 100
    assert server.requested == [f"bytes={len(content)}-"]


def test_what_is_left_of_a_longer_file_is_dropped(server, sha256, content, cache):
    (cache / "downloads").mkdir(parents=True)
    (cache / "downloads" / f"{sha256}.partial").write_bytes(content + b"more")
    assert len(open_source(server.url, sha256).files) == 100
    assert server.requested == [f"bytes={len(content) + 4}-", None]


@pytest.mark.parametrize("left", [b"", b"of another file"])
def test_another_file_is_refused_and_nothing_is_kept(server, content, cache, left):
    other = "0" * 64
    (cache / "downloads").mkdir(parents=True)
    (cache / "downloads" / f"{other}.partial").write_bytes(left)
    with pytest.raises(DataError, match=f"with the sha256 [0-9a-f]{{64}}, expected {other}; nothing is kept"):
        open_source(server.url, other)
    assert kept(cache) == []


@pytest.mark.parametrize("status", [401, 403, 404, 410])
def test_a_refusal_is_an_instruction_at_once(server, sha256, status):
    server.status = status
    with pytest.raises(DataError, match=f"the server says {status} "):
        open_source(server.url, sha256)
    assert len(server.requested) == 1


def test_a_server_that_is_overloaded_is_asked_again(server, sha256):
    server.broken = 2
    assert len(open_source(server.url, sha256).files) == 100


def test_a_server_that_stays_overloaded_is_given_up(server, sha256):
    server.broken = 100
    with pytest.raises(DataError, match="the server says 503"):
        open_source(server.url, sha256)


@pytest.mark.parametrize("url", ["http://127.0.0.1:1/a.zip", "http://no-such-host.invalid/a.zip"])
def test_no_server_is_an_instruction(server, sha256, url):
    with pytest.raises(DataError, match=re.escape(url)) as caught:
        open_source(url, sha256)
    assert "check the address and the network" in caught.value.hint


@pytest.mark.parametrize("url", ["http:///a.zip", "http://[::1/a.zip", "http://a:b/x.zip"])
def test_what_is_no_address_is_an_instruction(server, sha256, url):
    with pytest.raises(DataError):
        open_source(url, sha256)


@pytest.mark.parametrize("given", ["", "abc", "g" * 64, "0" * 63])
def test_an_address_needs_a_sum(server, given):
    with pytest.raises(ConfigError, match="needs the sha256") as caught:
        open_source(server.url, given)
    assert "--sha256" in caught.value.hint and server.requested == []


def test_a_page_instead_of_an_archive_is_an_instruction(server):
    server.content = b"<html>click here</html>"
    with pytest.raises(DataError, match="is no zip or tar"):
        open_source(server.url, hashlib.sha256(server.content).hexdigest())


def test_a_cache_that_cannot_be_written_is_an_instruction(server, sha256, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("LITELENS_CACHE", str(tmp_path / "file"))
    with pytest.raises(WriteError):
        open_source(server.url, sha256)
