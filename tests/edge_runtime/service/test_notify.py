import os
import socket
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_runtime.service.notify import Notifier


@pytest.fixture(params=["path", "abstract"])
def systemd(request, tmp_path):
    """A socket as systemd's, the value of NOTIFY_SOCKET that names it, and all messages that wait in it."""
    name = f"@litelens-test-{os.getpid()}" if request.param == "abstract" else str(tmp_path / "notify")

    class Listener:
        environ = {"NOTIFY_SOCKET": name}

        def __init__(self, bound: socket.socket):
            self.socket = bound

        def heard(self) -> list[str]:
            messages = []
            while True:
                try:
                    messages.append(self.socket.recv(4096).decode())
                except BlockingIOError:
                    return messages

    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as bound:
        bound.bind(name.replace("@", "\0", 1) if name.startswith("@") else name)
        bound.setblocking(False)
        yield Listener(bound)


def test_every_message_arrives_as_systemd_reads_it(systemd):
    notifier = Notifier(systemd.environ)
    notifier.ready()
    notifier.status("cat, 25.0 frames/s")
    notifier.reloading()
    notifier.ready()
    notifier.stopping()
    first, status, reloading, again, stopping = systemd.heard()
    assert (first, status, again, stopping) == (
        "READY=1",
        "STATUS=cat, 25.0 frames/s",
        "READY=1",
        "STOPPING=1",
    )
    kind, at = reloading.split("\n")
    assert kind == "RELOADING=1"
    # systemd compares the stamp with its own CLOCK_MONOTONIC, in microseconds.
    assert (
        0 <= time.clock_gettime(time.CLOCK_MONOTONIC) * 1e6 - int(at.removeprefix("MONOTONIC_USEC=")) < 60e6
    )


def test_the_watchdog_is_fed_at_once_and_then_three_times_an_interval(systemd):
    notifier = Notifier(systemd.environ | {"WATCHDOG_USEC": "300000"})
    assert notifier.watchdog_interval_s == pytest.approx(0.1)
    sent, end = 0, time.monotonic() + 0.35
    while time.monotonic() < end:
        notifier.watchdog()
        sent += 1
    heard = systemd.heard()
    assert set(heard) == {"WATCHDOG=1"} and 1 <= len(heard) <= 4 < sent


@pytest.mark.parametrize(
    "environ",
    [
        {},
        {"WATCHDOG_USEC": ""},
        {"WATCHDOG_USEC": "0"},
        {"WATCHDOG_USEC": "soon"},
        {"WATCHDOG_USEC": "-5"},
        {"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "1"},
    ],
    ids=str,
)
def test_who_is_not_watched_does_not_feed(systemd, environ):
    notifier = Notifier(systemd.environ | environ)
    notifier.watchdog()
    assert notifier.watchdog_interval_s is None and systemd.heard() == []


def test_the_watchdog_of_this_process_is_fed(systemd):
    watched = {"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": str(os.getpid())}
    Notifier(systemd.environ | watched).watchdog()
    assert systemd.heard() == ["WATCHDOG=1"]


def test_a_status_is_sent_when_it_changes(systemd):
    notifier = Notifier(systemd.environ)
    for text in ("cat", "cat", "  cat\n", "dog", "cat"):
        notifier.status(text)
    assert systemd.heard() == ["STATUS=cat", "STATUS=dog", "STATUS=cat"]


@given(st.text())
def test_no_text_is_more_than_one_assignment(text):
    name = f"@litelens-any-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as bound:
        bound.bind("\0" + name[1:])
        bound.setblocking(False)
        Notifier({"NOTIFY_SOCKET": name}).status(text + "\nREADY=1\ud800")
        message = bound.recv(1 << 16).decode()
    assert message.startswith("STATUS=") and "\n" not in message and message.endswith("READY=1?")


@pytest.mark.parametrize(
    "environ",
    [{}, {"NOTIFY_SOCKET": ""}, {"NOTIFY_SOCKET": "/absent/notify"}, {"NOTIFY_SOCKET": "vsock:2:9"}],
    ids=str,
)
def test_without_a_listener_nothing_happens(environ):
    notifier = Notifier(environ | {"WATCHDOG_USEC": "1000"})
    for tell in (notifier.ready, notifier.reloading, notifier.watchdog, notifier.stopping):
        tell()
    notifier.status("cat")
    assert notifier.watchdog_interval_s is None or environ["NOTIFY_SOCKET"].startswith("/")


def test_a_full_queue_holds_nobody_up(systemd):
    notifier = Notifier(systemd.environ)
    start = time.monotonic()
    for number in range(5000):
        notifier.status(f"frame {number}")
    assert time.monotonic() - start < 10
    heard = systemd.heard()
    assert 0 < len(heard) < 5000, "the kernel's queue is shorter"
    notifier.watchdog()
    notifier.ready()
    assert systemd.heard() == ["READY=1"]
