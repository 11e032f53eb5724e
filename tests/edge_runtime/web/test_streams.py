import io
import json
import socket
import threading
from time import monotonic, sleep

import numpy as np
import pytest
from PIL import Image

from edge_runtime.web.streams import MOST_CLIENTS


def parts(stream):
    """The JPEGs of a video, as they come."""
    assert stream.headers["content-type"] == "multipart/x-mixed-replace; boundary=frame"
    while True:
        assert stream.readline() == b"--frame\r\n"
        assert stream.readline() == b"Content-Type: image/jpeg\r\n"
        length = int(stream.readline().removeprefix(b"Content-Length: "))
        assert stream.readline() == b"\r\n"
        yield stream.read(length)
        assert stream.readline() == b"\r\n"


def messages(stream):
    """(event, data) of server-sent events, as they come."""
    assert stream.headers["content-type"] == "text/event-stream"
    while True:
        event = stream.readline().decode().removeprefix("event: ").strip()
        data = stream.readline().decode().removeprefix("data: ")
        assert stream.readline() == b"\n"
        yield event, json.loads(data)


def test_the_video_shows_what_the_camera_sees(client, loop, coloured):
    loop.image = coloured("red", (720, 1280))
    stream = client.stream("/video.mjpg")
    video = parts(stream)
    for label, rgb in (("red", (255, 0, 0)), ("blue", (0, 0, 255))):
        loop.image = coloured(label, (720, 1280))
        for jpeg in video:
            with Image.open(io.BytesIO(jpeg)) as picture:
                pixels = np.asarray(picture).astype(int)
            if pixels.shape == (360, 640, 3) and np.abs(pixels - rgb).max() < 8:
                break
    stream.close()


def test_the_video_has_at_most_ten_frames_a_second(client, loop):
    loop.hz = 100
    stream = client.stream("/video.mjpg")
    video = parts(stream)
    next(video)
    began, count = monotonic(), 0
    while monotonic() - began < 1:
        next(video)
        count += 1
    stream.close()
    assert 1 <= count <= 12


def test_frames_are_encoded_once_and_only_while_somebody_looks(serve, client_of, eventually, monkeypatch):
    import edge_runtime.web.streams as streams

    encoded, encode = [], streams.encode
    monkeypatch.setattr(streams, "encode", lambda *given: encoded.append(1) or encode(*given))
    client = client_of(serve())
    sleep(0.5)
    assert not encoded
    opened = [client.stream("/video.mjpg") for _ in range(4)]
    videos = [parts(stream) for stream in opened]
    got = [[next(video) for _ in range(5)] for video in videos]
    # All four see the same five frames, or a few further ones.
    assert len(encoded) < 15 and all(len(jpegs) == 5 for jpegs in got)
    for stream in opened:
        stream.close()
    eventually(lambda: 'litelens_web_clients{stream="video"} 0.0' in client("/metrics").body.decode())
    sleep(0.3)
    before = len(encoded)
    sleep(0.5)
    assert len(encoded) == before


def test_who_comes_while_the_camera_is_lost_sees_the_last_frame(client, loop):
    loop.camera_error = "unplugged"
    for _ in range(2):
        stream = client.stream("/video.mjpg")
        assert next(parts(stream)).startswith(b"\xff\xd8")
        stream.close()


def test_a_slow_client_gets_fewer_frames_and_never_a_queue(client, loop, eventually):
    """It reads nothing for a while: what it then gets is not what was to be seen long ago, but for the buffers."""
    noise = np.random.default_rng(0).integers(0, 256, (480, 640, 3), np.uint8)
    loop.image = noise
    eventually(lambda: loop.newest().frame.image is noise)
    connection = client.connect()
    connection.connect()
    connection.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16 * 1024)
    connection.request("GET", "/video.mjpg")
    stream = connection.getresponse()
    video = parts(stream)
    size = len(next(video))
    fast = client.stream("/video.mjpg")
    seen = parts(fast)
    for _ in range(20):  # about two seconds
        next(seen)
    loop.image = np.zeros_like(noise)
    while len(next(seen)) > size / 2:
        pass
    # 64 KiB in the server, twice that in the kernel, and what the client's own side holds.
    late = 0
    while late < 12 and len(next(video)) > size / 2:
        late += 1
    assert late * size < 2**20
    stream.close()
    fast.close()


def test_live_values_tell_status_and_scores(client, loop, coloured, eventually):
    stream = client.stream("/api/live")
    told = messages(stream)
    event, status = next(told)
    assert event == "status" and status["version"] == 1
    assert {"health", "status", "saving", "events", "frame_size"} <= set(status)
    event, scores = next(told)
    assert event == "scores" and scores["state"] == "red" and len(scores["scores"]) == 3
    assert 0 <= scores["frame_age_s"] < 5
    loop.image = coloured("blue")
    events = []
    for event, data in told:
        if event == "status":
            events = [(e["kind"], e["label"]) for e in data["events"]]
        elif data["state"] == "blue" and ("entered", "blue") in events:
            break
    stream.close()


def test_live_values_come_at_most_ten_times_a_second(client, loop):
    loop.hz = 100
    stream = client.stream("/api/live")
    told = messages(stream)
    next(told)
    began, count = monotonic(), 0
    while monotonic() - began < 1:
        count += next(told)[0] == "scores"
    stream.close()
    assert 1 <= count <= 12


def test_live_values_go_on_while_the_camera_is_lost(client, loop):
    stream = client.stream("/api/live")
    told = messages(stream)
    loop.camera_error = "unplugged"
    statuses = (data for event, data in told if event == "status")
    lost = next(status for status in statuses if status["health"]["level"] == "lost")
    assert lost["status"]["camera"]["error"] == "unplugged"
    ages = [data["frame_age_s"] for event, data in (next(told) for _ in range(8)) if event == "scores"]
    assert ages == sorted(ages) and ages[-1] > ages[0]
    stream.close()


def test_before_the_first_frame_everything_answers(tiny, coloured, serving, client_of, small_loop):
    loop = small_loop(tiny, coloured("red"))
    with serving(loop) as server:
        client = client_of(server)
        assert client("/healthz").status == 503 and client("/api/frame.jpg").status == 503
        assert client("/").status == client("/metrics").status == client("/api/status").status == 200
        stream = client.stream("/api/live")
        told = messages(stream)
        assert [next(told)[0], next(told)[1]["frame"]] == ["status", None]
        stream.close()


@pytest.mark.parametrize("path", ["/video.mjpg", "/api/live"])
def test_of_many_clients_eight_are_served_and_places_come_free(client, path, eventually):
    streams = [client.stream(path) for _ in range(95)]
    served = [stream for stream in streams if stream.status == 200]
    refused = [stream for stream in streams if stream.status != 200]
    assert len(served) == MOST_CLIENTS
    assert {stream.status for stream in refused} == {503}
    answer = refused[0]
    assert answer.headers["retry-after"] == "5"
    assert json.loads(answer.read())["error"].startswith("8 clients are served")
    for stream in streams:
        stream.close()

    def is_served() -> bool:
        again = client.stream(path)
        again.close()
        return again.status == 200

    eventually(is_served)


def test_a_client_that_vanishes_gives_its_place_back(client, loop, eventually):
    """While the camera is lost, so that no failed send tells of it."""
    loop.camera_error = "unplugged"
    for _ in range(3 * MOST_CLIENTS):
        stream = client.stream("/video.mjpg")
        stream.close()
        eventually(lambda: client("/metrics").body.count(b'{stream="video"} 0.0') == 1)


def test_watching_threads_see_one_another_off(client, loop):
    """Clients come and go from many threads; nobody is left without frames."""
    seen, failed = [], []

    def look() -> None:
        for _ in range(5):
            stream = client.stream("/video.mjpg")
            if stream.status == 200:
                seen.append(len(next(parts(stream))))
            else:
                failed.append(stream.status)
            stream.close()

    threads = [threading.Thread(target=look) for _ in range(MOST_CLIENTS // 2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len(seen) + len(failed) == 5 * len(threads) and len(seen) > 10 and set(failed) <= {503}
