import threading
import time

import pytest

from edge_runtime.sinks import background as module
from edge_runtime.sinks.background import Backoff, Handover, NotDelivered, Refused

from .conftest import wait_for


class Receiver(Handover[int]):
    """A sink of numbers; `answers` are raised one after another, then all is taken."""

    def __init__(self, *answers: Exception, keep: int = 10):
        super().__init__("receiver", keep)
        self.answers, self.taken, self.released = list(answers), [], threading.Event()
        self.opened = threading.Event()
        self.opened.set()

    def deliver(self, item: int) -> None:
        self.opened.wait()
        if self.answers:
            raise self.answers.pop(0)
        self.taken.append(item)

    def release(self) -> None:
        self.released.set()


@pytest.fixture
def quick(monkeypatch):
    """Failures are followed by waits of hundredths of a second."""
    monkeypatch.setattr(module, "FIRST_WAIT_S", 0.01)


def test_waits_double_up_to_a_minute():
    backoff = Backoff()
    assert [backoff.next_s() for _ in range(9)] == [1, 2, 4, 8, 16, 32, 60, 60, 60]
    backoff.reset()
    assert backoff.next_s() == 1


def test_delivers_in_order():
    with Receiver(keep=100) as receiver:
        for number in range(100):
            receiver.put(number)
        wait_for(lambda: receiver.delivered == 100)
    assert receiver.taken == list(range(100)) and receiver.released.is_set()
    status = receiver.status()
    assert (status.name, status.ok, status.delivered, status.dropped, status.error) == (
        "receiver",
        True,
        100,
        0,
        "",
    )


def test_tries_again_what_failed(quick):
    with Receiver(NotDelivered("the first time"), NotDelivered("the second")) as receiver:
        receiver.put(1)
        receiver.put(2)
        wait_for(lambda: receiver.delivered == 2)
    assert receiver.taken == [1, 2] and receiver.status().ok


def test_says_why_it_failed():
    with Receiver(*[NotDelivered("no road")] * 9) as receiver:
        receiver.put(1)
        wait_for(lambda: receiver.status().error == "no road")
        assert not receiver.status().ok and receiver.status().waiting == 1


def test_passes_over_what_is_refused():
    with Receiver(Refused("too big")) as receiver:
        receiver.put(1)
        wait_for(lambda: receiver.dropped == 1)
        assert receiver.status().error == "too big" and not receiver.status().ok
        receiver.put(2)
        wait_for(lambda: receiver.delivered == 1)
    assert receiver.taken == [2] and receiver.status().ok


def test_keeps_the_newest_where_it_cannot_follow():
    with Receiver(keep=3) as receiver:
        receiver.opened.clear()
        receiver.put(0)
        wait_for(lambda: receiver.status().waiting == 0)
        for number in range(1, 10):
            receiver.put(number)
        assert receiver.status().waiting == 3 and receiver.dropped == 6
        receiver.opened.set()
        wait_for(lambda: receiver.delivered == 4)
    assert receiver.taken == [0, 7, 8, 9]


def test_what_failed_gives_way_to_newer_ones(quick):
    with Receiver(NotDelivered("not yet"), keep=1) as receiver:
        receiver.opened.clear()
        receiver.put(0)
        wait_for(lambda: receiver.status().waiting == 0)
        receiver.put(1)
        receiver.opened.set()
        wait_for(lambda: receiver.delivered == 1)
    assert receiver.taken == [1] and receiver.dropped == 1


def test_a_receiver_that_never_answers_holds_nobody_up():
    receiver = Receiver(keep=100)
    receiver.opened.clear()
    begun = time.monotonic()
    with receiver:
        for number in range(1000):
            receiver.put(number)
        assert time.monotonic() - begun < 1
        begun = time.monotonic()
    assert time.monotonic() - begun < 5, "closes without it"
    assert receiver.dropped >= 899 and receiver.status().waiting >= 99
    receiver.opened.set()


def test_hands_over_what_waits_when_it_is_closed():
    with Receiver(keep=1000) as receiver:
        for number in range(1000):
            receiver.put(number)
    assert receiver.taken == list(range(1000))


def test_a_pause_ends_when_it_is_closed():
    with Receiver(NotDelivered("come back in an hour", wait_s=3600)) as receiver:
        receiver.put(1)
        wait_for(lambda: receiver.status().error)
        begun = time.monotonic()
    assert time.monotonic() - begun < 5


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_fault_of_ours_shows_in_the_status():
    with Receiver(ZeroDivisionError()) as receiver:
        receiver.put(1)
        wait_for(lambda: not receiver.status().ok)
        assert "fault of litelens" in receiver.status().error
        receiver.put(2)  # nobody takes it, and the loop goes on
