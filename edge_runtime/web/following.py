"""Threads that look at the newest frame, and never at a queue of them."""

import threading
from time import monotonic

from edge_runtime.deciding.observation import Observation
from edge_runtime.web.view import LiveView

_PATIENCE_S = 0.25  # how soon a thread without frames notices that it is to end


class Follower(threading.Thread):
    """Calls `see` with each newest observation while it is wanted."""

    def __init__(self, name: str, live: LiveView, at_most_hz: float):
        super().__init__(name=f"litelens web {name}", daemon=True)
        self._live = live
        self._period_s = 1 / at_most_hz
        self._stopped = threading.Event()
        self._wanted = threading.Event()
        self._afresh = True

    def see(self, observation: Observation | None) -> None:
        """Takes the newest observation; None where a quarter of a second passed without a new one."""
        raise NotImplementedError

    def want(self) -> None:
        """Wakes the thread; the first frame that it sees is the newest there is, seen before or not."""
        self._afresh = True
        self._wanted.set()

    def unwant(self) -> None:
        """Lets the thread sleep."""
        self._wanted.clear()

    def run(self) -> None:
        number = -1
        while self._wanted.wait() and not self._stopped.is_set():
            if self._afresh:
                self._afresh, number = False, -1
            began = monotonic()
            observation = self._live.wait_newer(number, _PATIENCE_S)
            if observation is not None:
                number = observation.frame.number
            if not self._stopped.is_set():
                self.see(observation)
            self._stopped.wait(max(0.0, self._period_s - (monotonic() - began)))

    def stop(self) -> None:
        """Ends the thread soon; `join` waits for it."""
        self._stopped.set()
        self._wanted.set()
