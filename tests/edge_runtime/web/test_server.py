import dataclasses
import io
import json
import re
import socket
import subprocess
import sys
import threading
import tomllib
from time import monotonic

import numpy as np
import pytest
from PIL import Image

from edge_runtime.errors import WriteError
from edge_runtime.web.listening import WebError

ORIGIN = "http://127.0.0.1:{}"


def content(answer) -> dict:
    assert answer.headers["content-type"] == "application/json"
    whole = json.loads(answer.body)
    assert whole.pop("version") == 1
    return whole


def test_the_status_says_how_it_does(client, loop):
    found = content(client("/api/status"))
    assert found["health"] == {"level": "ok", "reason": ""}
    assert found["status"]["state"] == "red" and found["status"]["model"]["name"] == "tiny"
    assert found["status"]["board"] == {"temperature_c": 51.5, "throttled": False}
    assert found["frame_size"] == {"width": 320, "height": 240}
    assert found["saving"]["counts"] == {}


def test_the_status_says_where_nothing_can_be_saved(serve, client_of):
    client = client_of(serve())
    assert content(client("/api/status"))["saving"] is None
    answer = client.save("red")
    assert answer.status == 409 and "no folder was named" in content(answer)["error"]


def test_health_is_an_exit_code_for_scripts(client, loop, eventually):
    assert client("/healthz").status == 200
    loop.camera_error = "rtsp://door: no route to host"
    answer = client("/healthz")
    assert answer.status == 503
    assert content(answer) == {"health": "lost", "reason": "the camera gives no frames"}


def test_events_come_newest_first_each_with_its_thumbnail(client, loop, coloured, eventually):
    loop.image = coloured("green", (480, 640))

    def both_with_thumbnail() -> list[dict] | None:
        events = content(client("/api/events"))["events"]
        return events if sum(event["thumbnail"] for event in events) == 2 else None

    found = eventually(both_with_thumbnail)
    assert [(event["kind"], event["label"]) for event in found] == [
        ("entered", "green"), ("left", "red"), ("entered", "red"),
    ]  # fmt: skip
    answer = client(f"/api/events/{found[0]['id']}.jpg")
    with Image.open(io.BytesIO(answer.body)) as picture:
        assert answer.headers["content-type"] == "image/jpeg" and picture.size == (160, 120)
        assert np.abs(np.asarray(picture).astype(int) - (0, 255, 0)).max() < 8
    # The first came before the page.
    assert not found[2]["thumbnail"] and client(f"/api/events/{found[2]['id']}.jpg").status == 404


def test_thumbnails_are_kept_for_listed_events_alone(client, loop, coloured, eventually):
    from edge_runtime.web.thumbnails import MOST_EVENTS

    first = content(client("/api/events"))["events"][0]["id"]
    loop.hz = 100
    turns = [coloured(label) for label in ("green", "blue")] * 20
    for image in turns:
        before = loop.classified
        loop.image = image
        eventually(lambda before=before: loop.classified > before + 1)
    events = content(client("/api/events"))["events"]
    assert len(events) == MOST_EVENTS and first not in [event["id"] for event in events]
    eventually(lambda: client(f"/api/events/{events[0]['id']}.jpg").status == 200)
    assert client(f"/api/events/{first}.jpg").status == 404


def test_an_event_of_an_earlier_run_gets_no_picture_of_now(client, loop, eventually):
    """A history reads them from its file, after the page has begun."""
    newest = loop.recent_events(1)[0]
    old = dataclasses.replace(newest, id="0" * 32, time=newest.time - 3600)
    late = dataclasses.replace(newest, id="1" * 32, time=loop.newest().frame.time)
    loop._events.extend([old, late])
    eventually(lambda: client(f"/api/events/{late.id}.jpg").status == 200)
    assert client(f"/api/events/{old.id}.jpg").status == 404


def test_the_frame_is_the_newest_in_its_full_size(client, loop, coloured, eventually):
    loop.image = coloured("blue", (1080, 1920))
    eventually(lambda: loop.newest().state == "blue")
    answer = client("/api/frame.jpg")
    with Image.open(io.BytesIO(answer.body)) as picture:
        assert picture.size == (1920, 1080) and int(answer.headers["x-frame"]) > 0
        assert np.abs(np.asarray(picture).astype(int) - (0, 0, 255)).max() < 8


def test_an_old_frame_is_neither_shown_nor_saved_as_new(client, loop, monkeypatch, eventually):
    monkeypatch.setattr("edge_runtime.web.app.STALE_AFTER_S", 0.2)
    loop.camera_error = "unplugged"
    eventually(lambda: client("/api/frame.jpg").status == 503)
    answer = client.save("red")
    assert answer.status == 503 and "no frames" in content(answer)["error"]


def test_a_frame_is_saved_to_a_class(client, tmp_path):
    answer = client.save("red")
    assert answer.status == 201
    found = content(answer)
    assert (found["class"], found["count"]) == ("red", 1)
    with Image.open(tmp_path / "saved" / found["file"]) as picture:
        assert (picture.format, picture.size) == ("JPEG", (320, 240))
    assert content(client("/api/status"))["saving"]["counts"] == {"red": 1}


def test_a_name_near_another_is_answered_with_that(client):
    answer = client.save("Red")
    assert answer.status == 409 and content(answer)["existing"] == "red"


def test_metrics_are_served(client):
    answer = client("/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    assert b"litelens_frames_classified_total" in answer.body


@pytest.mark.parametrize(
    "method, path, status",
    [
        ("GET", "/nothing", 404),
        ("GET", "/live.html", 404),
        ("GET", "/login.html", 404),
        ("GET", "/static/live.js", 404),
        ("GET", "/api/events/unknown.jpg", 404),
        ("GET", "/api/save", 405),
        ("PUT", "/api/save", 405),
        ("POST", "/api/status", 405),
        ("POST", "/video.mjpg", 405),
        ("DELETE", "/", 405),
    ],
)
def test_errors_are_json_too(client, method, path, status):
    answer = client(path, method, Origin=ORIGIN.format(client.address[1]))
    assert answer.status == status and set(content(answer)) == {"error", "hint"}


def test_the_page_needs_nothing_from_elsewhere(client):
    """No network beyond the device: every file it names is served here."""
    page = client("/").body.decode()
    named = set(re.findall(r'(?:src|href)="([^"]+)"', page))
    assert {"/icon.svg", "/live.css", "/live.js"} <= named
    assert {client(path, "HEAD").status for path in named} == {200}
    texts = [page, *(client(path).body.decode() for path in ("/live.css", "/live.js", "/icon.svg"))]
    assert not [
        text for text in texts if re.search(r"https?://(?!www\.w3\.org/2000/svg)|@import|url\(", text)
    ]


@pytest.mark.parametrize(
    "label", ["</script><script>alert(1)</script>", "<!--", "<img src=x onerror=alert(1)>"]
)
def test_a_label_is_never_html(client, loop, label):
    loop.labels = (label, "green", "red")
    page = client("/").body.decode()
    assert label not in page
    first = re.search(r'<script type="application/json" id="first">(.*?)</script>', page)[1]
    assert json.loads(first)["status"]["model"]["labels"][0] == label


def test_a_taken_port_is_an_instruction(serve):
    server = serve()
    port = int(server.url.rstrip("/").rpartition(":")[2])
    with pytest.raises(WebError, match=f"cannot serve the page at 127.0.0.1:{port}") as caught:
        serve(address=f"127.0.0.1:{port}")
    assert f"sport = :{port}" in caught.value.hint


@pytest.mark.parametrize("address", ["192.0.2.1:8080", "no-such-host.invalid:8080"])
def test_an_address_of_another_machine_is_an_instruction(serve, address):
    with pytest.raises(WebError, match="cannot serve the page at") as caught:
        serve(address=address)
    assert "127.0.0.1 is this machine alone" in caught.value.hint


def test_a_folder_that_cannot_be_written_is_said_at_the_start(serve, tmp_path):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(WriteError):
        serve(pictures=tmp_path / "file")


@pytest.mark.skipif(not socket.has_ipv6, reason="no IPv6")
def test_ipv6s_loopback_is_loopback(serve):
    try:
        server = serve(address="[::1]:0")
    except WebError as problem:
        pytest.skip(f"no IPv6 here: {problem}")
    assert server.token == "" and server.url.startswith("http://[::1]:")


def test_the_port_is_free_at_once_when_the_block_is_left(loop, serving, client_of):
    with serving(loop) as server:
        address = server.url.removeprefix("http://").rstrip("/")
        assert client_of(server)("/healthz").status == 200
    with serving(loop, address=address) as server:
        assert client_of(server)("/healthz").status == 200


def test_it_stops_within_a_second_whatever_clients_do(loop, serving, client_of, capfd):
    before = threading.active_count()
    with serving(loop) as server:
        client = client_of(server)
        streams = [client.stream(path) for path in ("/video.mjpg", "/api/live") for _ in range(3)]
        assert all(stream.read(1000) for stream in streams)
        silent = [socket.create_connection(client.address) for _ in range(3)]
        silent[0].sendall(b"GET / HTTP/1.1\r\nHost: 127")
        silent[1].sendall(b"POST /api/save HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 100\r\n\r\n{")
        idle = client.connect()
        assert client("/healthz", keep=idle).status == 200
        stopping = monotonic()
    # A second is the promise; a busy machine gets one more.
    assert monotonic() - stopping < 2
    assert threading.active_count() <= before
    assert capfd.readouterr().err == f"live page: {server.url}\n"
    for stream in streams:
        stream.close()
    for connection in silent:
        connection.close()


WITHOUT = """
import sys
sys.modules[sys.argv[1]] = None  # Python's own way to say: not installed
from edge_runtime.errors import MissingExtraError
from edge_runtime.web.server import WebServer
from edge_runtime.web.settings import WebSettings
try:
    WebServer(None, WebSettings())
except MissingExtraError as problem:
    print(problem, "|", problem.hint)
"""


@pytest.mark.parametrize("library", ["starlette", "uvicorn"])
def test_a_missing_library_is_named(library):
    ended = subprocess.run([sys.executable, "-c", WITHOUT, library], capture_output=True, text=True)
    assert f"the live page needs {library}, which cannot be imported" in ended.stdout, ended.stderr
    assert "| pip install 'litelens[web]'" in ended.stdout


def test_the_server_is_imported_only_when_a_page_is_served():
    script = "import sys; import edge_runtime.web.server; print({'starlette', 'uvicorn', 'anyio'} & set(sys.modules))"
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert ended.stdout.strip() == "set()", ended.stderr


def test_every_static_file_is_packaged():
    from edge_runtime.web.app import STATIC

    root = STATIC.parents[2]
    data = tomllib.loads((root / "pyproject.toml").read_text())["tool"]["setuptools"]["package-data"]
    packaged = {
        path
        for package, patterns in data.items()
        for pattern in patterns
        for path in (root / package.replace(".", "/")).glob(pattern)
    }
    assert set(STATIC.iterdir()) <= packaged
