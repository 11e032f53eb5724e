"""What a careless or wicked client does: the loop goes on, memory stays flat, the next one is served."""

import http.client
import json
import os
import socket
import threading
from collections import Counter
from contextlib import suppress
from pathlib import Path
from time import monotonic, sleep

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

HOST = b"Host: 127.0.0.1\r\n"


def resident_mib() -> float:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20


def exchange(client, sent: bytes, timeout_s: float = 0.15) -> bytes:
    """What the server answers to raw bytes, until that is enough, or it closes, or says nothing for a while."""
    with socket.create_connection(client.address, timeout=timeout_s) as connection:
        answer = b""
        try:
            connection.sendall(sent)
            while len(answer) < 4096 and (chunk := connection.recv(65536)):
                answer += chunk
        except (TimeoutError, ConnectionError):
            pass
        return answer


BROKEN = {
    "nothing": b"",
    "no HTTP": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(500),
    "zeros": bytes(100_000),
    "no version": b"GET /\r\n\r\n",
    "version 9": b"GET / HTTP/9.9\r\n" + HOST + b"\r\n",
    "HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "no host": b"GET /api/status HTTP/1.1\r\n\r\n",
    "two hosts": b"GET /api/status HTTP/1.1\r\n" + HOST + HOST + b"\r\n",
    "a header without colon": b"GET / HTTP/1.1\r\n" + HOST + b"broken\r\n\r\n",
    "a folded header": b"GET / HTTP/1.1\r\n" + HOST + b"A: b\r\n  c\r\n\r\n",
    "a control character": b"GET / HTTP/1.1\r\n" + HOST + b"A: b\x00c\r\n\r\n",
    "a path that is no ASCII": b"GET /\xff\xfe HTTP/1.1\r\n" + HOST + b"\r\n",
    "an absolute address": b"GET http://evil.example/ HTTP/1.1\r\n" + HOST + b"\r\n",
    "a star": b"OPTIONS * HTTP/1.1\r\n" + HOST + b"\r\n",
    "connect": b"CONNECT evil.example:443 HTTP/1.1\r\n" + HOST + b"\r\n",
    "a method of its own": b"BREW / HTTP/1.1\r\n" + HOST + b"\r\n",
    "half a percent": b"GET /%f HTTP/1.1\r\n" + HOST + b"\r\n",
    "a long path": b"GET /" + b"x" * 20_000 + b" HTTP/1.1\r\n" + HOST + b"\r\n",
    "a long header": b"GET / HTTP/1.1\r\n" + HOST + b"A: " + b"x" * 1_000_000 + b"\r\n\r\n",
    "many headers": b"GET / HTTP/1.1\r\n" + HOST + b"A: b\r\n" * 20_000 + b"\r\n",
    "two lengths": b"POST /api/save HTTP/1.1\r\n" + HOST + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\nab",
    "a length below zero": b"POST /api/save HTTP/1.1\r\n" + HOST + b"Content-Length: -1\r\n\r\n",
    "length and chunks": b"POST /api/save HTTP/1.1\r\n" + HOST
    + b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "a chunk of no size": b"POST /api/save HTTP/1.1\r\n" + HOST
    + b"Origin: http://127.0.0.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    "a chunk that is too large": b"POST /api/save HTTP/1.1\r\n" + HOST
    + b"Origin: http://127.0.0.1\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffffffff\r\n",
    "half a body": b"POST /api/save HTTP/1.1\r\n" + HOST
    + b'Origin: http://127.0.0.1\r\nContent-Length: 99\r\n\r\n{"class": ',
    "rubbish behind a request": b"GET /api/status HTTP/1.1\r\n" + HOST + b"\r\n\x00\x01\x02\r\n\r\n",
    "rubbish behind a stream": b"GET /video.mjpg HTTP/1.1\r\n" + HOST + b"\r\n\x00\x01\x02\r\n\r\n",
    "a hundred at once": (b"GET /api/status HTTP/1.1\r\n" + HOST + b"\r\n") * 100,
    "a web socket": b"GET /api/live HTTP/1.1\r\n" + HOST + b"Connection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n",
    "HTTP/2 by upgrade": b"GET / HTTP/1.1\r\n" + HOST + b"Connection: Upgrade\r\nUpgrade: h2c\r\n\r\n",
    "a cookie of semicolons": b"GET / HTTP/1.1\r\n" + HOST + b"Cookie: " + b";=" * 5000 + b"\r\n\r\n",
}  # fmt: skip


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    return tmp_path_factory.mktemp("pictures")


@pytest.fixture(scope="module")
def shared(steady_loop, serving, client_of, pictures):
    """A client of one server for all rows of the tables."""
    with serving(steady_loop, pictures=pictures) as server:
        yield client_of(server)


def test_broken_http_is_refused_without_a_word_in_the_log(client, loop, capfd):
    for name, sent in BROKEN.items():
        answer = exchange(client, sent)
        assert not answer or answer.startswith(b"HTTP/1.1 "), name
        assert not answer.startswith(b"HTTP/1.1 5"), name
        assert client("/healthz").status == 200, name
    said = capfd.readouterr().err
    assert "Traceback" not in said and "rror" not in said, said
    assert loop.frames_a_second(0.5) > 0


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.binary(max_size=300)
    | st.builds(
        lambda method, path, header, body: (
            method + b" /" + path + b" HTTP/1.1\r\n" + HOST + header + b"\r\n" + body
        ),
        st.sampled_from([b"GET", b"POST", b"HEAD", b"OPTIONS"]),
        st.sampled_from([b"", b"api/save", b"api/live", b"video.mjpg", b"api/events/x.jpg"])
        | st.binary(max_size=20),
        st.sampled_from(
            [b"", b"Content-Length: 5\r\n", b"Transfer-Encoding: chunked\r\n", b"Expect: 100-continue\r\n"]
        ),
        st.binary(max_size=50),
    )
)
def test_any_bytes_leave_the_server_well(shared, sent):
    exchange(shared, sent, timeout_s=0.02)
    assert shared("/healthz").status == 200


@pytest.mark.parametrize(
    "path",
    ["/../../etc/passwd", "/..%2f..%2fetc/passwd", "/%2e%2e/%2e%2e/etc/passwd", "/static/../server.py", "/live.js/..",
     "//etc/passwd", "/live.css%00.html", "/api/events/..%2f..%2fsaved%2fred.jpg", "/api/events/../../live.js",
     "/C:%5Cwindows", "/live.js%2f..%2f..%2fserver.py", "/./live.js", "/saved/red/x.jpg"],
)  # fmt: skip
def test_no_path_leads_to_a_file(shared, path):
    shared.save("red")
    answer = exchange(
        shared, f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n".encode(), 10
    )
    assert answer.startswith(b"HTTP/1.1 404 "), answer[:200]
    assert b"root:" not in answer and b"import " not in answer and b"\xff\xd8" not in answer


@pytest.mark.parametrize(
    "body, status",
    [
        (b"", 400),
        (b"null", 400),
        (b"[]", 400),
        (b'"red"', 400),
        (b"{}", 400),
        (b'{"class": null}', 400),
        (b'{"class": 7}', 400),
        (b'{"class": ["red"]}', 400),
        (b'{"class": "red"', 400),
        (b"\xff\xfe", 400),
        (b"[" * 4000, 400),
        (b'{"class":' * 400, 400),
        (b'{"class": "../red"}', 422),
        (b'{"class": "a/b"}', 422),
        (b'{"class": "\\u0000"}', 422),
        (b'{"class": "\\ud800"}', 422),
        (b'{"class": "' + b"x" * 3000 + b'"}', 422),
        (b'{"class": "red", "more": 1}', 201),
        (b'{"class": "' + b"x" * 5000 + b'"}', 413),
    ],
)
def test_a_body_that_names_no_class_is_refused(shared, pictures, body, status):
    before = len(list(pictures.rglob("*.jpg")))
    answer = shared("/api/save", "POST", body, Origin="http://{}:{}".format(*shared.address))
    assert answer.status == status
    assert status == 201 or {"error", "hint"} <= set(json.loads(answer.body))
    assert len(list(pictures.rglob("*.jpg"))) == before + (status == 201)


@pytest.mark.parametrize("kind", ["length", "chunked"])
def test_a_huge_body_is_cut_off(client, loop, kind):
    head = b"POST /api/save HTTP/1.1\r\n" + HOST + b"Origin: http://127.0.0.1\r\n"
    piece = b"x" * 2**20
    if kind == "length":
        head += b"Content-Length: 10000000000\r\n\r\n"
    else:
        head += b"Transfer-Encoding: chunked\r\n\r\n"
        piece = b"%x\r\n%s\r\n" % (len(piece), piece)
    before, sent = resident_mib(), 0
    with socket.create_connection(client.address, timeout=10) as connection:
        connection.sendall(head)
        with pytest.raises(ConnectionError):
            for _ in range(1000):
                connection.sendall(piece)
                sent += len(piece)
    assert sent < 100 * 2**20 and resident_mib() - before < 50
    assert client("/healthz").status == 200


def test_a_body_that_does_not_come_is_not_waited_for(client, monkeypatch):
    monkeypatch.setattr("edge_runtime.web.app._BODY_TIMEOUT_S", 0.2)
    with socket.create_connection(client.address, timeout=10) as connection:
        connection.sendall(
            b"POST /api/save HTTP/1.1\r\n" + HOST + b"Origin: http://127.0.0.1\r\nContent-Length: 20\r\n\r\n{"
        )
        assert connection.recv(100).startswith(b"HTTP/1.1 408 ")


@pytest.mark.parametrize("first", [b"", b"GET /healthz HTTP/1.1\r\n" + HOST + b"\r\n"])
def test_a_head_that_comes_byte_by_byte_is_not_waited_for(client, loop, monkeypatch, first):
    """Slow loris; also on a connection whose first request was a good one."""
    monkeypatch.setattr("edge_runtime.web.listening.HEAD_TIMEOUT_S", 0.5)
    slow = [socket.create_connection(client.address, timeout=5) for _ in range(30)]
    open_ones = set(slow)
    for connection in slow:
        connection.sendall(first)
    if first:
        assert all(connection.recv(4096).startswith(b"HTTP/1.1 200") for connection in slow)
    end = monotonic() + 10
    for byte in (b"GET /healthz HTTP/1.1\r\n" + HOST + b"X: " + b"x" * 1000).hex().encode():
        if not open_ones or monotonic() > end:
            break
        assert client("/healthz").status == 200
        for connection in list(open_ones):
            try:
                connection.sendall(bytes([byte]))
            except ConnectionError:
                open_ones.remove(connection)
        sleep(0.05)
    assert not open_ones
    for connection in slow:
        connection.close()


def test_a_connection_that_says_nothing_is_closed(client, monkeypatch):
    monkeypatch.setattr("edge_runtime.web.listening.HEAD_TIMEOUT_S", 0.3)
    connection = socket.create_connection(client.address, timeout=10)
    with connection, suppress(ConnectionError):  # the other way to be told
        assert connection.recv(1) == b""


def test_a_working_stream_is_no_slow_head(client, monkeypatch):
    monkeypatch.setattr("edge_runtime.web.listening.HEAD_TIMEOUT_S", 0.3)
    stream = client.stream("/video.mjpg")
    end = monotonic() + 1
    while monotonic() < end:
        assert stream.readline()
    stream.close()


def test_connections_are_not_endless(client, loop, monkeypatch, eventually):
    monkeypatch.setattr("edge_runtime.web.listening.MOST_CONNECTIONS", 20)
    held = [socket.create_connection(client.address, timeout=5) for _ in range(100)]

    def is_refused() -> bool:
        try:
            return client("/healthz").status != 200
        except (ConnectionError, http.client.HTTPException):
            return True

    assert eventually(is_refused)
    for connection in held:
        connection.close()
    eventually(lambda: not is_refused())


def test_stream_clients_in_crowds_do_not_stop_the_loop(client, loop):
    """A hundred that want the video and never read it."""
    held = []
    for _ in range(100):
        connection = socket.create_connection(client.address, timeout=5)
        connection.sendall(b"GET /video.mjpg HTTP/1.1\r\n" + HOST + b"\r\n")
        held.append(connection)
    assert loop.frames_a_second(1) > 5
    for connection in held:
        connection.close()


def ask(client, count: int, answers: Counter) -> None:
    """Requests of all kinds on one connection that is kept."""
    connection = client.connect()
    paths = [
        "/",
        "/api/status",
        "/healthz",
        "/metrics",
        "/api/events",
        "/live.js",
        "/api/frame.jpg",
        "/nothing",
    ]
    for number in range(count):
        answers[client(paths[number % len(paths)], keep=connection).status] += 1
    connection.close()


def burst(client, requests: int) -> Counter:
    answers: Counter = Counter()
    threads = [threading.Thread(target=ask, args=(client, requests // 4, answers)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return answers


def test_a_burst_of_requests_is_answered_while_the_loop_goes_on(client, loop):
    before = loop.classified
    answers = burst(client, 400)
    assert answers == {200: 352, 404: 48} and loop.classified > before


@pytest.mark.soak
def test_ten_thousand_requests_leave_memory_flat(client, loop):
    burst(client, 2000)  # threads and caches are made
    before, frames = resident_mib(), loop.classified
    answers = burst(client, 10_000)
    assert sum(answers.values()) == 10_000 and set(answers) == {200, 404}
    assert resident_mib() - before < 10
    assert loop.classified > frames
    assert client("/healthz").status == 200
