"""What sinks have in common: a thread each, so that a slow or dead receiver never holds up the loop."""

import threading
from collections import deque
from time import monotonic
from typing import Generic, Self, TypeVar

from edge_runtime.deciding.observation import Observation
from edge_runtime.sinks.sink import SinkStatus

CLOSING_S = 1.0
"""So long a sink may go on when it is closed; what waits on disk after that is delivered by the next run."""
FIRST_WAIT_S, MOST_WAIT_S = 1.0, 60.0

Item = TypeVar("Item")


class NotDelivered(Exception):
    """An attempt failed, and the same is tried again later."""

    def __init__(self, reason: str, wait_s: float = 0.0):
        """Takes why, for people, and how long the receiver asked to be left alone."""
        super().__init__(reason)
        self.wait_s = wait_s


class Refused(Exception):
    """The receiver will never take this one, so the next one has its turn."""


class Backoff:
    """How long to wait after each failure in a row: 1 s, 2 s, 4 s ... 60 s."""

    def __init__(self):
        self.reset()

    def reset(self) -> None:
        """Begins again, after a success."""
        self._next_s = FIRST_WAIT_S

    def next_s(self) -> float:
        """Seconds to wait after this failure."""
        now_s, self._next_s = self._next_s, min(self._next_s * 2, MOST_WAIT_S)
        return now_s


class Background:
    """A sink whose work is done by `work`, in a thread of its own, from `__enter__` until `stop`."""

    def __init__(self, name: str):
        """Takes the name that the status shows."""
        self.name = name
        self.delivered = 0
        self.dropped = 0
        self.error = ""
        """Why the last delivery failed, or ""; set by the thread alone."""
        self._deadline_s = 0.0
        self._stopping = threading.Event()
        self._woken = threading.Event()
        # A daemon: a thread that hangs in a system call does not keep the program from ending.
        self._thread = threading.Thread(target=self.work, name=f"litelens {name}", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self.stop()
        self._thread.join(self.seconds_left())

    def stop(self) -> None:
        """Asks the thread to end within `CLOSING_S` and returns at once: several sinks end side by side."""
        if not self._stopping.is_set():
            self._deadline_s = monotonic() + CLOSING_S
            self._stopping.set()
            self.wake()

    def take(self, observation: Observation) -> None:
        """Keeps what the sink wants of an observation, and returns at once."""
        raise NotImplementedError

    def work(self) -> None:
        """What the thread does; returns soon after `stopping` becomes True."""
        raise NotImplementedError

    @property
    def stopping(self) -> bool:
        return self._stopping.is_set()

    def seconds_left(self) -> float:
        """Until the sink must have ended, once it was stopped; 0 at the least."""
        return max(0.0, self._deadline_s - monotonic())

    def wake(self) -> None:
        """Ends the thread's `rest`, from any thread."""
        self._woken.set()

    def rest(self, seconds: float | None = None) -> None:
        """Waits until `wake`, or for so many seconds."""
        self._woken.wait(seconds)
        self._woken.clear()

    def pause(self, seconds: float) -> None:
        """Waits for so many seconds, whoever calls `wake`, or until `stop`."""
        self._stopping.wait(seconds)

    def status(self) -> SinkStatus:
        """How it does, from any thread."""
        raise NotImplementedError

    def status_with(self, *, waiting: int, dropped: int = 0, trouble: str = "", note: str = "") -> SinkStatus:
        """The status of this thread and of what it works through, an outbox or a database.

        Args:
            waiting: How many are still to be delivered.
            dropped: How many were lost besides those that `dropped` counts.
            trouble: What goes wrong there now.
            note: What a person should know although all works now.
        """
        died = self._thread.ident is not None and not self._thread.is_alive() and not self.stopping
        fault = "its thread ended by a fault of litelens, the log has the traceback" if died else ""
        return SinkStatus(
            name=self.name,
            ok=not (self.error or trouble or fault),
            delivered=self.delivered,
            waiting=waiting,
            dropped=self.dropped + dropped,
            error="; ".join(filter(None, (self.error, trouble, fault, note))),
        )


class Handover(Background, Generic[Item]):
    """A sink that hands items over one by one; where it cannot follow, the oldest are dropped and counted.

    A subclass says in `take` what it wants of an observation, and in `deliver` what to do with it.
    """

    def __init__(self, name: str, keep: int):
        """Takes the sink's name, and how many items may wait."""
        super().__init__(name)
        self._keep = keep
        self._items: deque[Item] = deque()
        self._lock = threading.Lock()

    def put(self, item: Item) -> None:
        """Queues an item and returns at once."""
        with self._lock:
            self._items.append(item)
            if len(self._items) > self._keep:
                self._items.popleft()
                self.dropped += 1
        self.wake()

    def deliver(self, item: Item) -> None:
        """Hands one item over, in the sink's thread, however long it takes.

        Raises:
            NotDelivered: If it is to be tried again, after a wait.
            Refused: If it is not.
        """
        raise NotImplementedError

    def release(self) -> None:
        """Gives back what the sink holds, in its thread, when it ends."""

    def work(self) -> None:
        backoff = Backoff()
        while True:
            item = self._next()
            if item is None:
                break
            try:
                self.deliver(item)
            except NotDelivered as problem:
                self.error = str(problem)
                self._put_back(item)
                if self.stopping:
                    break
                self.pause(max(backoff.next_s(), problem.wait_s))
            except Refused as problem:
                self.error = str(problem)
                self.dropped += 1
            else:
                self.delivered += 1
                self.error = ""
                backoff.reset()
        self.release()

    def status(self) -> SinkStatus:
        return self.status_with(waiting=len(self._items))

    def _next(self) -> Item | None:
        """The oldest item, waiting for one; None when the sink is to end."""
        while True:
            if self.stopping and not self.seconds_left():
                return None
            with self._lock:
                if self._items:
                    return self._items.popleft()
            if self.stopping:
                return None
            self.rest()

    def _put_back(self, item: Item) -> None:
        with self._lock:
            if len(self._items) < self._keep:
                self._items.appendleft(item)
            else:  # newer ones came meanwhile
                self.dropped += 1
