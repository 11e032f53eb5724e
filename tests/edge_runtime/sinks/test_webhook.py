import base64
import hashlib
import hmac
import json
import socket
import ssl
import threading
import time
from email.message import Message
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from edge_runtime.errors import ConfigError
from edge_runtime.sinks import background
from edge_runtime.sinks.settings import WebhookSettings
from edge_runtime.sinks.webhook import Webhook, retry_after_s

from .conftest import HOSTILE, as_unicode, event, free_port, observation, wait_for


class Receiver(ThreadingHTTPServer):
    """A real HTTP server; `answers` are given one after another, then 200.

    An answer is a status, or a status with headers, or "hang", "close" or "rubbish".
    """

    daemon_threads = True

    def __init__(self, *answers, port: int = 0):
        self.answers, self.requests, self.over = list(answers), [], threading.Event()
        super().__init__(("127.0.0.1", port), Handler)

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/hook?key=secret"

    @property
    def ids(self) -> list[str]:
        """Of the events that arrived, resent ones again."""
        return [json.loads(body)["id"] for _, _, body in self.requests]

    def __enter__(self):
        threading.Thread(target=self.serve_forever, args=(0.01,), daemon=True).start()
        return self

    def __exit__(self, *exception):
        self.over.set()
        self.shutdown()
        self.server_close()


class Handler(BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.requests.append((self.path, self.headers, body))
        answer = self.server.answers.pop(0) if self.server.answers else 200
        if answer == "hang":
            self.server.over.wait(60)
        elif answer == "rubbish":
            self.wfile.write(b"\x16\x03\x01 this is no HTTP\r\n\r\n")
        elif answer != "close":
            status, headers = answer if isinstance(answer, tuple) else (answer, {})
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()
        self.close_connection = True

    def do_GET(self):
        raise AssertionError("a webhook never asks")

    def log_message(self, *args):
        pass


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """Failures are followed by waits of hundredths of a second."""
    monkeypatch.setattr(background, "FIRST_WAIT_S", 0.01)
    monkeypatch.setattr(background, "MOST_WAIT_S", 0.05)


@pytest.fixture
def webhook(tmp_path):
    def make(address: str, **settings) -> Webhook:
        return Webhook(WebhookSettings(address, **settings), tmp_path / "state" / "webhook.sqlite")

    return make


def test_posts_each_event_as_json(webhook):
    events = [event("blue"), event("blue", 1, "left"), event("red", 2)]
    with Receiver() as receiver, webhook(receiver.address) as sink:
        for each in events:
            sink.take(observation(each))
        sink.take(observation())
        wait_for(lambda: sink.delivered == 3)
        assert [json.loads(body) for _, _, body in receiver.requests] == [vars(each) for each in events]
        path, headers, _ = receiver.requests[0]
        assert path == "/hook?key=secret" and headers["Content-Type"] == "application/json"
        assert "X-Litelens-Signature" not in headers and "Authorization" not in headers
        status = sink.status()
    assert (status.name, status.ok, status.waiting, status.error) == ("webhook", True, 0, "")


@pytest.mark.parametrize("label", HOSTILE)
def test_posts_any_label(webhook, label):
    with Receiver() as receiver, webhook(receiver.address) as sink:
        sink.take(observation(event(label)))
        wait_for(lambda: sink.delivered)
        assert json.loads(receiver.requests[0][2])["label"] == as_unicode(label)


@pytest.mark.parametrize("given", ["settings", "environment"])
def test_signs_the_body(webhook, monkeypatch, given):
    if given == "environment":
        monkeypatch.setenv("LITELENS_WEBHOOK_SECRET", "open sesame")
    with (
        Receiver() as receiver,
        webhook(receiver.address, secret="open sesame" if given == "settings" else "") as sink,
    ):
        sink.take(observation(event()))
        wait_for(lambda: sink.delivered)
        _, headers, body = receiver.requests[0]
    assert (
        headers["X-Litelens-Signature"]
        == "sha256=" + hmac.new(b"open sesame", body, hashlib.sha256).hexdigest()
    )


def test_a_user_and_password_in_the_address(webhook):
    with (
        Receiver() as receiver,
        webhook(f"http://me:p%40ss@127.0.0.1:{receiver.server_port}/") as sink,
    ):
        sink.take(observation(event()))
        wait_for(lambda: sink.delivered)
        assert receiver.requests[0][1]["Authorization"] == "Basic " + base64.b64encode(b"me:p@ss").decode()
        assert "p%40ss" not in repr(sink.status())


@pytest.mark.parametrize("failure", [500, 502, 503, 408, 429, "close", "rubbish", (301, {}), 304])
def test_tries_again_until_it_arrives_in_order(webhook, failure):
    events = [event(number=number) for number in range(3)]
    with Receiver(failure, failure, 200, failure) as receiver, webhook(receiver.address) as sink:
        sink.take(observation(*events))
        wait_for(lambda: sink.delivered == 3)
        first, second, third = (each.id for each in events)
        assert receiver.ids == [first, first, first, second, second, third]
        assert sink.status().ok and sink.status().dropped == 0


def test_says_why_it_does_not_deliver(webhook):
    with Receiver(*[503] * 10_000) as receiver, webhook(receiver.address) as sink:
        sink.take(observation(event(), event()))
        wait_for(lambda: "answered 503 Service Unavailable" in sink.status().error)
        assert not sink.status().ok
        wait_for(lambda: sink.status().waiting == 2)
        assert "secret" not in sink.status().error and "127.0.0.1" in sink.status().error


@pytest.mark.parametrize("status", [400, 401, 403, 404, 410, 413, 422])
def test_what_is_refused_is_set_aside_and_tried_by_the_next_run(webhook, status):
    refused, taken = event(number=0), event(number=1)
    with Receiver(status) as receiver:
        with webhook(receiver.address) as first:
            first.take(observation(refused, taken))
            wait_for(lambda: first.delivered == 1)
            assert receiver.ids == [refused.id, taken.id]
            assert (
                f"events refused and set aside: 1, the last: {receiver.address[:22]}" in first.status().error
            )
            assert str(status) in first.status().error and first.status().dropped == 0
        with webhook(receiver.address) as second:
            wait_for(lambda: second.delivered == 1)
        assert receiver.ids == [refused.id, taken.id, refused.id]


def test_a_receiver_that_hangs_is_given_up(webhook):
    with Receiver("hang") as receiver, webhook(receiver.address, timeout_s=0.3) as sink:
        sink.take(observation(event()))
        wait_for(lambda: "timed out" in sink.status().error)
        wait_for(lambda: sink.delivered == 1)


def test_nobody_listens(webhook):
    port = free_port()
    with webhook(f"http://127.0.0.1:{port}/") as sink:
        sink.take(observation(first := event()))
        wait_for(lambda: "Connection refused" in sink.status().error)
        with Receiver(port=port) as receiver:
            wait_for(lambda: sink.delivered == 1)
            assert receiver.ids == [first.id]


def test_a_host_that_does_not_exist(webhook):
    with webhook("http://nowhere.invalid/") as sink:
        sink.take(observation(event()))
        wait_for(lambda: "http://nowhere.invalid: " in sink.status().error)


def test_an_hour_without_receiver_loses_nothing(webhook):
    port, events = free_port(), [event(number=number) for number in range(600)]
    with webhook(f"http://127.0.0.1:{port}/") as first:
        for each in events[:300]:
            first.take(observation(each))
        wait_for(lambda: first.status().waiting == 300)
    with webhook(f"http://127.0.0.1:{port}/") as second:  # the machine was switched off and on
        for each in events[300:]:
            second.take(observation(each))
        with Receiver(port=port) as receiver:
            wait_for(lambda: second.delivered == 600, 60)
            assert receiver.ids == [each.id for each in events], "all, in order, none twice"


def test_closes_within_a_second_whatever_the_receiver_does(webhook):
    with Receiver("hang") as receiver, webhook(receiver.address, timeout_s=60) as sink:
        sink.take(observation(event()))
        wait_for(lambda: receiver.requests)
        begun = time.monotonic()
        sink.__exit__()
        assert time.monotonic() - begun < 5


def test_taking_does_not_wait(webhook):
    with Receiver("hang") as receiver, webhook(receiver.address, timeout_s=60) as sink:
        begun = time.monotonic()
        for number in range(1000):
            sink.take(observation(event(number=number)))
        assert time.monotonic() - begun < 2


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_follows_a_redirect_on_the_same_host(webhook, status):
    with (
        Receiver((status, {"Location": "/moved/"})) as receiver,
        webhook(receiver.address, secret="s") as sink,
    ):
        sink.take(observation(given := event()))
        wait_for(lambda: sink.delivered)
        assert [path for path, _, _ in receiver.requests] == ["/hook?key=secret", "/moved/"]
        assert receiver.ids == [given.id, given.id]
        assert "X-Litelens-Signature" in receiver.requests[1][1]


def test_goes_round_in_circles_no_more_than_a_few_times(webhook):
    circle = [(307, {"Location": "/hook"})] * 5
    with Receiver(*circle) as receiver, webhook(receiver.address) as sink:
        sink.take(observation(event()))
        wait_for(lambda: "answered 307" in sink.status().error)
        wait_for(lambda: sink.delivered)
        assert len(receiver.requests) == 6


@pytest.mark.parametrize(
    "location, why",
    [
        ("http://localhost:{port}/steal", "redirects to http://localhost:{port}, which is not followed"),
        ("https://example.org/?token", "redirects to https://example.org, which is not followed"),
        ("file:///etc/passwd", "redirects to no web address"),
        ("http://[", "redirects to no web address"),
    ],
)
def test_does_not_follow_a_redirect_elsewhere(webhook, location, why):
    with Receiver() as other, Receiver() as receiver, webhook(receiver.address, secret="s") as sink:
        receiver.answers += [(307, {"Location": location.format(port=other.server_port)})] * 10_000
        sink.take(observation(event()))
        wait_for(lambda: why.format(port=other.server_port) in sink.status().error)
        assert other.requests == [] and "token" not in sink.status().error


def test_retry_after_is_honoured(webhook):
    with Receiver((429, {"Retry-After": "1"})) as receiver, webhook(receiver.address) as sink:
        sink.take(observation(event()))
        wait_for(lambda: receiver.requests)
        answered = time.monotonic()
        wait_for(lambda: sink.delivered)
        assert time.monotonic() - answered > 0.9


NOW = 1_700_000_000


@pytest.mark.parametrize(
    "said, seconds",
    [
        ({}, 0),
        ({"Retry-After": "120"}, 120),
        ({"Retry-After": " 7 "}, 7),
        ({"Retry-After": "0"}, 0),
        ({"Retry-After": "-5"}, 0),
        ({"Retry-After": "1.5"}, 0),
        ({"Retry-After": "99999999999999999999"}, 3600),
        ({"Retry-After": "tomorrow"}, 0),
        ({"Retry-After": "²"}, 0),
        ({"Retry-After": formatdate(NOW + 90, usegmt=True), "Date": formatdate(NOW, usegmt=True)}, 90),
        ({"Retry-After": formatdate(NOW - 90, usegmt=True), "Date": formatdate(NOW, usegmt=True)}, 0),
        ({"Retry-After": formatdate(NOW + 90, usegmt=True), "Date": "noon"}, 0),
        ({"Retry-After": formatdate(NOW, usegmt=True)}, 0),
        ({"Retry-After": formatdate(time.time() + 9e6, usegmt=True)}, 3600),
        ({"Retry-After": "Mon, 99 Foo 2023 25:61:61 GMT"}, 0),
    ],
)
def test_reads_retry_after(said, seconds):
    headers = Message()
    for name, value in said.items():
        headers[name] = value
    assert retry_after_s(headers) == seconds


@pytest.fixture
def secure(certificate):
    """A receiver with a certificate that signs itself."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    with Receiver() as receiver:
        receiver.socket = context.wrap_socket(receiver.socket, server_side=True)
        yield receiver


def test_https_is_verified(webhook, secure):
    with webhook(f"https://127.0.0.1:{secure.server_port}/") as sink:
        sink.take(observation(event()))
        wait_for(lambda: "certificate verify failed" in sink.status().error)
    assert secure.requests == []


def test_https_with_a_certificate_that_is_trusted(webhook, secure, certificate, monkeypatch):
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate[0]))
    with webhook(f"https://127.0.0.1:{secure.server_port}/") as sink:
        sink.take(observation(event()))
        wait_for(lambda: sink.delivered)
    assert len(secure.requests) == 1


def test_a_redirect_from_https_to_http_is_not_followed(webhook, secure, certificate, monkeypatch):
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate[0]))
    secure.answers += [(307, {"Location": f"http://127.0.0.1:{secure.server_port}/"})] * 10_000
    with webhook(f"https://127.0.0.1:{secure.server_port}/") as sink:
        sink.take(observation(event()))
        wait_for(lambda: "is not followed" in sink.status().error)


@pytest.mark.parametrize(
    "address",
    ["", "example.org", "ftp://example.org", "http://", "https://:80/", "http://host:port/", "http://host:99999/",
     "http://a b/", "http://host/\r\nX: y", "http://host/ü", "http://[::1", "http://" + "x" * 70, "http://a..b/"],
)  # fmt: skip
def test_refuses_what_is_no_web_address(address):
    with pytest.raises(ConfigError, match="the webhook's address") as caught:
        WebhookSettings(address)
    assert "example" in caught.value.hint


def test_a_bad_address_is_not_repeated():
    with pytest.raises(ConfigError) as caught:
        WebhookSettings("https://me:hu/sh@example.org/")
    assert "hu" not in str(caught.value) and caught.value.__cause__ is None


def test_its_secrets_are_not_shown():
    settings = WebhookSettings("https://me:hush@example.org/services/T0/B0?key=hush", secret="hush")
    assert "hush" not in repr(settings) and "T0" not in repr(settings)


def test_ipv6(webhook):
    if not socket.has_ipv6:
        pytest.skip("this machine has no IPv6")
    with webhook(f"http://[::1]:{free_port()}/") as sink:
        sink.take(observation(event()))
        wait_for(lambda: "http://[::1]:" in sink.status().error)
