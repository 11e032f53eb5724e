"""Follows a repository: looks now and then, in a thread that only waits; the work is done in other processes."""

import random
import threading
from collections.abc import Callable
from time import monotonic
from typing import Self

from edge_runtime.errors import LitelensError
from edge_runtime.live.status import FollowStatus
from edge_runtime.updating.errors import RepositoryRefused
from edge_runtime.updating.update import REFUSALS, Outcome

EVERY_S = 3600.0
FIRST_S = 60.0
"""A first look comes within this time: after a power cut a whole fleet starts in the same second."""
JITTER = 0.25
"""Looks are up to this share early or late, so that they do not fall together again."""
FIRST_WAIT_S = 60.0
"""After a failure; doubled with each further one in a row, up to the usual time."""
_CLOSING_S = 1.0


class Follower:
    """Looks for updates from `__enter__` until `__exit__`.

    The thread waits for a clock or for another process and does nothing else, so it takes no time from the loop; the
    process that looks has the lowest priority, and ends with each look.
    """

    def __init__(
        self,
        look: Callable[[threading.Event], Outcome],
        report: Callable[[str], None],
        *,
        address: str,
        channel: str,
        every_s: float = EVERY_S,
        first_s: float = FIRST_S,
        chance: random.Random | None = None,
    ):
        """Looks at nothing yet.

        Args:
            look: Looks once: ``lambda stop: update(source, folder, installer, stop=stop)``; ends soon once the event that it
                is given is set.
            report: Told in a line what a person should know: what was installed or refused, and each new trouble once.
            address: For the status.
            channel: For the status.
            every_s: Between two looks.
            first_s: The first one comes within this time.
            chance: Where the jitter comes from.
        """
        self._look, self._report = look, report
        self._address, self._channel, self._every_s = address, channel, every_s
        self._chance = chance or random.Random()
        self._stop, self._woken = threading.Event(), threading.Event()
        self._failures = 0
        self._offered = self._said = ""
        self._refused = False
        self._succeeded_s: float | None = None
        self._due_s = monotonic() + self._chance.uniform(0, first_s)
        # A daemon: a self-test that is under way does not keep the program from ending.
        self._thread = threading.Thread(target=self._follow, name="litelens follow", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        """Ends a look that is under way, and the thread, within about a second."""
        self._stop.set()
        self._woken.set()
        self._thread.join(_CLOSING_S)

    def look_now(self) -> None:
        """Has the next look begin at once; from any thread or signal handler."""
        self._woken.set()

    def status(self) -> FollowStatus:
        """How it does; from any thread, never waits."""
        now_s, succeeded_s = monotonic(), self._succeeded_s
        died = self._thread.ident is not None and not self._thread.is_alive() and not self._stop.is_set()
        return FollowStatus(
            ok=self._failures == 0 and not died,
            address=self._address,
            channel=self._channel,
            offered=self._offered,
            said="its thread ended by a fault of litelens, the log has the traceback" if died else self._said,
            refused=self._refused,
            looked_s_ago=None if succeeded_s is None else now_s - succeeded_s,
            next_look_s=max(0.0, self._due_s - now_s),
        )

    def _follow(self) -> None:
        while not self._stop.is_set():
            self._woken.wait(max(0.0, self._due_s - monotonic()))
            self._woken.clear()
            if self._stop.is_set():
                return
            wait_s = self._look_once()
            self._due_s = monotonic() + wait_s * self._chance.uniform(1 - JITTER, 1 + JITTER)

    def _look_once(self) -> float:
        """Looks, tells what came of it, and returns how long to wait."""
        try:
            outcome = self._look(self._stop)
        except (LitelensError, OSError) as problem:
            if not self._stop.is_set():
                self._fail(problem)
            return min(FIRST_WAIT_S * 2 ** min(self._failures - 1, 20), self._every_s)
        self._failures, self._refused = 0, bool(outcome.reason)
        self._offered, self._succeeded_s = outcome.version, monotonic()
        self._say(str(outcome))
        return self._every_s

    def _fail(self, problem: Exception) -> None:
        self._failures += 1
        self._refused = isinstance(problem, (RepositoryRefused, *REFUSALS))
        self._say(f"no update: {problem}")

    def _say(self, line: str) -> None:
        if line != self._said:  # once, however often it is so
            self._said = line
            self._report(line)
