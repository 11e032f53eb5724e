"""One host's files over HTTP, as the device asks for them."""

import os
import socket
import ssl
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from edge_runtime.updating.download import Downloads, plain, repository_address, time_limit
from edge_runtime.updating.errors import NotReached, RepositoryRefused, UpdateError

ROOT = Path(__file__).parents[3]


@pytest.mark.parametrize(
    "address, said",
    [
        ("ftp://example.org/x", "does not begin with"),
        ("file:///etc/passwd", "does not begin with"),
        ("example.org", "does not begin with"),
        ("", "does not begin with"),
        ("http://", "does not begin with"),
        ("https://me:secret@example.org/x", "has a user"),
        ("https://example.org/x?token=secret", "a [?]"),
        ("https://example.org/x#y", "a #"),
        ("https://example.org:99999/", "no web address"),
        ("https://exämple.org/", "no web address"),
        ("https://example.org/a b", "spaces or control"),
    ],
)
def test_an_address_that_cannot_be_asked_is_a_usage_error(address, said):
    with pytest.raises(UpdateError, match=said) as refused:
        repository_address(address)
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize(
    "address", ["https://example.org/doors", "https://example.org/doors/", "https://example.org/doors//"]
)
def test_the_path_ends_with_a_slash(address):
    assert repository_address(address).geturl() == "https://example.org/doors/"


@pytest.fixture
def downloads(serve, tmp_path):
    """The server of a folder, and what asks it."""
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "a.json").write_bytes(b"a" * 1000)
    server = serve(tmp_path / "site")
    with Downloads(repository_address(server.address), tmp_path, idle_s=5.0) as downloads:
        yield server, downloads


def test_one_connection_serves_all_requests(downloads):
    server, asker = downloads
    connections = []
    process = server.process_request
    server.process_request = lambda request, client: connections.append(client) or process(request, client)
    for _ in range(3):
        assert asker.download_bytes(f"{server.address}/a.json", 1000) == b"a" * 1000
    assert len(connections) == 1


def test_a_connection_that_the_server_closed_meanwhile_is_made_anew(downloads):
    server, asker = downloads

    def once(handler) -> None:
        handler.close_connection = True  # without saying so
        handler.send_response(200)
        handler.send_header("Content-Length", "2")
        handler.end_headers()
        handler.wfile.write(b"ok")

    server.lies["first"] = once
    assert asker.download_bytes(f"{server.address}/first", 10) == b"ok"
    # The server's thread closes its end soon after; both a closed and a closing connection are survived.
    assert asker.download_bytes(f"{server.address}/a.json", 1000) == b"a" * 1000


@pytest.mark.parametrize("most_bytes, works", [(1000, True), (1001, True), (999, False)])
def test_a_file_may_be_as_long_as_it_may(downloads, most_bytes, works):
    server, asker = downloads
    if works:
        assert len(asker.download_bytes(f"{server.address}/a.json", most_bytes)) == 1000
    else:
        with pytest.raises(RepositoryRefused, match="1000 bytes, where 999 are the most"):
            asker.download_bytes(f"{server.address}/a.json", most_bytes)


def test_a_redirect_on_the_same_host_is_followed(downloads):
    server, asker = downloads

    def moved(handler) -> None:
        handler.send_response(301)
        handler.send_header("Location", "/a.json")
        handler.send_header("Content-Length", "0")
        handler.end_headers()

    server.lies["/old.json"] = moved
    assert len(asker.download_bytes(f"{server.address}/old.json", 1000)) == 1000


def test_nothing_is_said_of_the_device(downloads):
    """All that a request consists of, byte for byte."""
    _, asker = downloads
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        heard = []

        def answer() -> None:
            connection, _ = listener.accept()
            with connection:
                while not heard or not heard[0].endswith(b"\r\n\r\n"):
                    heard[:] = [b"".join(heard) + connection.recv(4096)]
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")

        thread = threading.Thread(target=answer, daemon=True)
        thread.start()
        asker.download_bytes(f"http://127.0.0.1:{port}/metadata/timestamp.json", 100)
        thread.join(30)
    assert heard == [
        b"GET /metadata/timestamp.json HTTP/1.1\r\n"
        + f"Host: 127.0.0.1:{port}\r\n".encode()
        + b"User-Agent: litelens\r\nAccept-Encoding: identity\r\n\r\n"
    ]


def test_an_ipv6_address_is_one(downloads):
    _, asker = downloads
    try:
        listener = socket.create_server(("::1", 0), family=socket.AF_INET6)
    except OSError as problem:
        pytest.skip(f"no IPv6 here: {problem}")
    with listener:
        port = listener.getsockname()[1]
    for address in (f"http://[::1]:{port}/x", "http://[::1]/x"):
        with pytest.raises(NotReached, match="refused"):
            asker.download_bytes(address, 100)


def test_time_is_up_whatever_is_waited_for():
    began_s = time.monotonic()
    with pytest.raises(NotReached, match="the file was not there within 0 s"), time_limit(0.1, "the file"):
        time.sleep(60)
    assert time.monotonic() - began_s < 50


def test_in_time_nothing_happens():
    with time_limit(0.2, "the file"):
        pass
    time.sleep(0.4)  # the alarm is off


def test_an_errors_text_cannot_write_to_the_terminal():
    assert plain(ValueError("a\x1b[2Jb\r\nc")) == "a?[2Jb??c"
    assert plain(ValueError()) == "ValueError"
    assert len(plain(ValueError("x" * 10_000))) == 200


PROGRAM = """
import sys
from pathlib import Path
from edge_runtime.updating.download import Downloads, repository_address
with Downloads(repository_address(sys.argv[1]), Path("."), 5.0) as downloads:
    print(downloads.download_bytes(sys.argv[1] + "/a.json", 1000).decode())
"""


def test_tls_is_verified(downloads, tmp_path):
    """A certificate that the system's authorities do not vouch for is refused, and one that they do is not."""
    server, _ = downloads
    (tmp_path / "site" / "a.json").write_bytes(b"hello")
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"]
        + ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost", "-keyout", key, "-out", certificate],
        check=True, capture_output=True, timeout=60,
    )  # fmt: skip
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    server.socket = context.wrap_socket(server.socket, server_side=True)

    def ask(**environment: str) -> subprocess.CompletedProcess:
        return subprocess.run(
            [sys.executable, "-c", PROGRAM, f"https://localhost:{server.server_port}"],
            capture_output=True, text=True, timeout=60, env=os.environ | {"PYTHONPATH": str(ROOT)} | environment,
        )  # fmt: skip

    assert "certificate verify failed" in ask().stderr
    assert ask(SSL_CERT_FILE=str(certificate)).stdout == "hello\n"
