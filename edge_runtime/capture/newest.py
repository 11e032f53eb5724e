"""The newest frame of a live camera, which is read in a thread of its own and opened again when it is lost."""

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from time import monotonic

from edge_runtime.capture.frame import Frame, Source
from edge_runtime.capture.redaction import redact
from edge_runtime.errors import LitelensError, SourceError
from edge_runtime.live.status import CameraStatus

HANG_S = 10.0
"""A camera that gave no frame for so long hangs. The first frame may take three times as long: network streams are looked at
before they are decoded, sensors start."""

FIRST_DELAY_S, LONGEST_DELAY_S = 0.5, 30.0
"""Before a lost camera is opened again: doubled from the first to the longest, and back to the first with a frame."""

MOST_STUCK = 2
"""A thread that hangs inside a driver cannot be ended, only left alone: each holds a frame, the camera's buffers and its
own stack. With so many of them alive the camera is not opened again before one of them ends, so memory stays flat."""

_CLOSING_S = 1.5
_LOOK_S = 0.1  # while waiting for a frame, how often is looked whether the camera was lost


class NewestFrames:
    """A live source of which only the newest frame is kept: a slow consumer drops frames, and never lags behind.

    The camera may be lost and come back; after the first frame it ends only with `stop` or the ``with`` block. The
    thread that calls `next` (or iterates) also opens the camera again: one that does not call sees nothing change.

    Example:
        >>> stop = threading.Event()
        >>> with NewestFrames("0", lambda: open_camera("0", print), stop=stop) as frames:    # doctest: +SKIP
        ...     for frame in frames:
        ...         print(monotonic() - frame.captured_s)
    """

    live = True

    def __init__(
        self,
        name: str,
        opener: Callable[[], Source],
        *,
        stop: threading.Event,
        patient: bool = False,
        hang_s: float = HANG_S,
    ):
        """Opens nothing yet.

        Args:
            name: The camera as the user named it; a password in it is not shown.
            opener: Opens the camera; called in another thread, and again after every loss.
            stop: Ends the iteration, and the wait for the first frame, when it is set.
            patient: Whether a camera that cannot be opened at first is tried again, as a service at boot needs it; a
                user who mistyped the camera's name wants the error.
            hang_s: See HANG_S.
        """
        self.name = redact(name)
        self._opener = opener
        self._stop = stop
        self._patient = patient
        self._hang_s = hang_s
        # Guards all that follows.
        self._changed = threading.Condition()
        self._newest: Frame | None = None
        self._captured = self._dropped = self._reopened = 0
        self._problem: SourceError | None = None
        self._reader: _Reader | None = None
        self._stuck: list[_Reader] = []
        self._delay_s = FIRST_DELAY_S
        self._open_at_s = monotonic()

    def __enter__(self) -> "NewestFrames":
        """Starts capturing and, unless patient, waits for the first frame.

        Raises:
            SourceError: If the camera cannot be opened, or gives no frame; never when patient.
            MissingExtraError: If it needs a library that is not installed; when patient, `next` raises it.
        """
        with ExitStack() as on_error:
            on_error.callback(self.__exit__)
            self._tend()
            while not (self._patient or self._captured or self._stop.is_set()):
                if self._problem:
                    raise self._problem
                self._wait(_LOOK_S)
            on_error.pop_all()
        return self

    def __exit__(self, *exception: object) -> None:
        """Lets go of the camera, within 2 s: a reader that hangs is left behind, and ends with the process."""
        with self._changed:
            reader, self._reader = self._reader, None
            self._newest = None
        if reader:
            reader.join(_CLOSING_S)

    def __iter__(self) -> Iterator[Frame]:
        """Yields the newest frame that was not yet taken, waiting for one, until `stop` is set.

        Raises:
            MissingExtraError: See `__enter__`.
        """
        while not self._stop.is_set():
            frame = self.next(_LOOK_S)
            if frame is not None:
                yield frame

    def next(self, timeout_s: float) -> Frame | None:
        """The newest frame that was not yet taken; None if none came within timeout_s.

        Its number counts all frames that the camera gave since the block was entered.

        Raises:
            MissingExtraError: See `__enter__`.
        """
        deadline_s = monotonic() + timeout_s
        self._tend()
        while self._newest is None and (left_s := deadline_s - monotonic()) > 0 and not self._stop.is_set():
            self._wait(min(left_s, _LOOK_S))
        with self._changed:
            frame, self._newest = self._newest, None
        return frame

    def status(self) -> CameraStatus:
        """How the camera does, from any thread."""
        with self._changed:
            error = self._error()
            return CameraStatus(self.name, not error, error, self._captured, self._dropped, self._reopened)

    def _error(self) -> str:
        """Why no frames come, or ""."""
        reader = self._reader
        if reader and reader.is_alive() and reader.frames:
            silent_s = monotonic() - reader.progress_s
            return "" if silent_s <= self._hang_s else f"it hangs: no frame for {silent_s:.0f} s"
        error = str(reader and reader.problem or self._problem or "no frame yet")
        if len(self._stuck) < MOST_STUCK:
            return error
        return f"{error}; not opened again while {len(self._stuck)} threads hang in it"

    def _wait(self, timeout_s: float) -> None:
        """Waits for a frame or for timeout_s, then looks after the reader."""
        with self._changed:
            self._changed.wait_for(lambda: self._newest is not None, timeout_s)
        self._tend()

    def _tend(self) -> None:
        """Notices that the camera was lost or hangs, and opens it again when its time has come.

        Raises:
            MissingExtraError: If opening it failed for a reason that waiting does not cure.
        """
        with self._changed:
            self._stuck = [reader for reader in self._stuck if reader.is_alive()]
            reader = self._reader
            if reader is None:
                if monotonic() >= self._open_at_s and len(self._stuck) < MOST_STUCK:
                    self._reader = _Reader(self._opener, self._deliver, self.name)
                    self._reader.start()
            elif not reader.is_alive():
                self._lose(reader.problem)
            elif monotonic() - reader.progress_s > (self._hang_s if reader.frames else 3 * self._hang_s):
                self._stuck.append(reader)
                what = "gave no frame" if reader.frames else "did not open"
                self._lose(
                    SourceError(
                        f"camera {self.name} hangs: it {what} for {monotonic() - reader.progress_s:.0f} s",
                        "check its cable, its power or the network",
                    )
                )

    def _lose(self, problem: LitelensError) -> None:
        self._reader = None
        if not isinstance(problem, SourceError):
            raise problem
        self._problem = problem
        self._open_at_s = monotonic() + self._delay_s
        self._delay_s = min(2 * self._delay_s, LONGEST_DELAY_S)

    def _deliver(self, reader: "_Reader", frame: Frame) -> bool:
        """Keeps a frame in place of the one before; False tells a reader that was given up to end."""
        with self._changed:
            if reader is not self._reader:
                return False
            if not reader.frames and self._captured:
                self._reopened += 1
            if self._newest is not None:
                self._dropped += 1
            self._newest = replace(frame, source=self.name, number=self._captured)
            self._captured += 1
            self._problem, self._delay_s = None, FIRST_DELAY_S
            reader.frames += 1
            reader.progress_s = monotonic()
            self._changed.notify_all()
            return True


class _Reader(threading.Thread):
    """Opens a camera once and reads it to its end, handing each frame on."""

    def __init__(self, opener: Callable[[], Source], deliver: Callable[["_Reader", Frame], bool], name: str):
        # A daemon: one that hangs in a driver does not keep the process from ending.
        super().__init__(name="capture", daemon=True)
        self._opener, self._deliver = opener, deliver
        self.frames = 0
        self.progress_s = monotonic()
        """When the last frame came, or the start."""
        self.problem: LitelensError = SourceError(
            f"camera {name}: its reader failed, see the traceback", "report it with the traceback"
        )
        """Why it ended; as it stands here, after an error that nobody expected, which Python prints."""
        self._at_the_end = SourceError(f"camera {name} ended", "check that it is a camera, not a recording")

    def run(self) -> None:
        try:
            with self._opener() as source:
                for frame in source:
                    if not self._deliver(self, frame):
                        break
            self.problem = self._at_the_end
        except LitelensError as problem:
            self.problem = problem
