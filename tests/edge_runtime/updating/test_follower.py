"""Following: when it looks, what it tells, how it ends."""

import random
import threading
import time

import pytest

from edge_runtime.store.errors import SelfTestMissed
from edge_runtime.updating.errors import NotReached, RepositoryRefused
from edge_runtime.updating.fetching import Limits
from edge_runtime.updating.follower import FIRST_WAIT_S, JITTER, Follower
from edge_runtime.updating.into_store import IntoStore
from edge_runtime.updating.update import IN_USE, INSTALLED, REFUSED_BEFORE, Outcome, Source, update

LIMIT_S = 60
"""For things that happen at once on a machine that is not busy."""


def wait_until(condition) -> None:
    end_s = time.monotonic() + LIMIT_S
    while not condition():
        assert time.monotonic() < end_s, "it did not come"
        time.sleep(0.01)


def outcome(what: str = IN_USE, version: str = "1") -> Outcome:
    return Outcome(what, "doors", version, "", "")


class Looks:
    """A row of results, one a look; the last one for all further ones."""

    def __init__(self, *results):
        self.results, self.count = list(results), 0

    def __call__(self, stop: threading.Event) -> Outcome:
        self.count += 1
        result = self.results.pop(0) if len(self.results) > 1 else self.results[0]
        if isinstance(result, Exception):
            raise result
        return result


@pytest.fixture
def follow():
    """Makes a follower that looks at once; keeps what it reports in `lines`."""

    def make(look, **options) -> Follower:
        lines: list[str] = []
        options = {"every_s": 3600.0, "first_s": 0.0} | options
        follower = Follower(look, lines.append, address="https://example.org", channel="stable", **options)
        follower.lines = lines
        return follower

    return make


def test_it_looks_when_it_begins_and_when_it_is_asked_to(follow):
    look = Looks(outcome(INSTALLED, "2"), outcome(version="2"))
    with follow(look) as follower:
        wait_until(lambda: follower.status().said == "doors 2 is in use now")
        follower.look_now()
        wait_until(lambda: follower.status().said == "doors 2 is in use already")
        wait_until(lambda: follower.status().next_look_s > 1)  # the next one is far off
    follower._thread.join(LIMIT_S)
    assert look.count == 2
    assert follower.lines == ["doors 2 is in use now", "doors 2 is in use already"]


def test_it_ends_while_it_waits(follow):
    with follow(Looks(outcome()), first_s=3600.0, chance=random.Random(0)) as follower:
        pass
    follower._thread.join(LIMIT_S)
    assert not follower._thread.is_alive()


def test_before_the_first_look_it_is_well_and_knows_nothing(follow):
    status = follow(Looks(outcome()), first_s=3600.0, chance=random.Random(0)).status()
    assert status.ok and status.looked_s_ago is None and status.said == "" and status.next_look_s > 60


def test_it_tells_each_thing_once(follow):
    follower = follow(
        Looks(outcome(), outcome(), NotReached("no route", "see"), NotReached("no route", "see"), outcome())
    )
    for _ in range(6):
        follower._look_once()
    assert follower.lines == ["doors 1 is in use already", "no update: no route", "doors 1 is in use already"]


def test_after_failures_it_waits_longer_and_longer_and_never_longer_than_usual(follow):
    follower = follow(Looks(*[NotReached("no route", "see")] * 9, outcome(), NotReached("no route", "see")))
    waits = [follower._look_once() for _ in range(9)]
    assert waits == [min(FIRST_WAIT_S * 2**count, 3600) for count in range(9)]
    assert waits[-1] == 3600
    assert not follower.status().ok
    assert follower._look_once() == 3600
    assert follower.status().ok
    assert follower._look_once() == FIRST_WAIT_S, "it begins again"


def test_a_version_that_does_not_do_here_is_told_until_another_comes(follow):
    before = Outcome(REFUSED_BEFORE, "doors", "2", "doors 2 differs by 50", "")
    follower = follow(Looks(SelfTestMissed("doors 2 differs by 50", "see"), before, outcome(version="3")))
    seen = []
    for _ in range(3):
        follower._look_once()
        seen.append((follower.status().ok, follower.status().refused))
    assert seen == [(False, True), (True, True), (True, False)]


def test_what_is_refused_is_told_apart_and_over_when_it_is_over(follow):
    follower = follow(Looks(RepositoryRefused("altered", "see"), NotReached("no route", "see"), outcome()))
    seen = []
    for _ in range(3):
        follower._look_once()
        status = follower.status()
        seen.append((status.ok, status.refused, status.offered))
    assert seen == [(False, True, ""), (False, False, ""), (True, False, "1")]


def test_a_fault_of_ours_is_seen_in_the_status(follow, monkeypatch):
    monkeypatch.setattr(threading, "excepthook", lambda arguments: None)  # pytest would warn of it
    with follow(Looks(ZeroDivisionError())) as follower:
        follower._thread.join(LIMIT_S)
        status = follower.status()
    assert not status.ok and "ended by a fault" in status.said


def test_looks_are_early_or_late_by_chance(follow):
    chance = random.Random(7)
    spread = [chance.uniform(1 - JITTER, 1 + JITTER) for _ in range(1000)]
    assert min(spread) < 0.8 and max(spread) > 1.2
    with follow(Looks(outcome()), chance=random.Random(7)) as follower:
        wait_until(lambda: follower.status().next_look_s > 1)
        left_s = follower.status().next_look_s
    assert 3600 * (1 - JITTER) - LIMIT_S < left_s < 3600 * (1 + JITTER)


def test_devices_do_not_look_in_step(follow):
    """A thousand devices that start in the same second."""
    due = sorted(
        follow(Looks(outcome()), first_s=60.0, chance=random.Random(number)).status().next_look_s
        for number in range(1000)
    )
    assert due[0] < 5 and due[-1] > 55
    most_in_a_second = max(sum(second <= time_s < second + 1 for time_s in due) for second in range(60))
    assert most_in_a_second < 50, "about 17 a second"


@pytest.mark.slow
def test_a_device_follows_from_one_version_to_the_next(far_world, follow):
    """The real thing: server, repository, process, store."""
    far_world.publish("2")
    source = Source(far_world.server.address, far_world.folder / "root.json", name="tiny")

    def look(stop: threading.Event) -> Outcome:
        return update(source, far_world.state, IntoStore(far_world.store), limits=Limits(), stop=stop)

    with follow(look) as follower:
        wait_until(lambda: follower.status().offered == "2")
        assert far_world.current() == "2"
        far_world.publish("3")
        follower.look_now()
        wait_until(lambda: follower.status().offered == "3")
    follower._thread.join(LIMIT_S)
    assert far_world.current() == "3"
    assert follower.lines == ["tiny 2 is in use now", "tiny 3 is in use now"]


def test_it_ends_while_the_server_hangs(far_world, follow):
    asked, release = threading.Event(), threading.Event()

    def hang(handler) -> None:
        handler.close_connection = True
        asked.set()
        release.wait(120)

    far_world.lie("timestamp.json", hang)
    source = Source(far_world.server.address, far_world.folder / "root.json", name="tiny")
    follower = follow(lambda stop: update(source, far_world.state, IntoStore(far_world.store), stop=stop))
    with follower:
        assert asked.wait(LIMIT_S)
    follower._thread.join(LIMIT_S)
    release.set()
    assert not follower._thread.is_alive()
    assert follower.lines == []
