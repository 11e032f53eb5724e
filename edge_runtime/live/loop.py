"""The loop: camera, region, model, decision, sinks; and what it tells of itself while it runs."""

import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from itertools import islice
from time import monotonic, perf_counter
from typing import TYPE_CHECKING

import numpy as np

from edge_runtime.capture.frame import Frame, Source
from edge_runtime.classifier import Classifier
from edge_runtime.deciding.decider import Decider
from edge_runtime.deciding.observation import Event, Observation
from edge_runtime.deciding.region import Region, RegionError
from edge_runtime.errors import FrameError
from edge_runtime.live.model import LoadedModel
from edge_runtime.live.preparing import PreparedFrame
from edge_runtime.live.recent import Recent
from edge_runtime.live.reload import RunningModel
from edge_runtime.live.status import BoardStatus, CameraStatus, FollowStatus, Status
from edge_runtime.preprocessing import check_frame
from edge_runtime.service.notify import Notifier
from edge_runtime.sinks.open_sink import Sinks

if TYPE_CHECKING:
    from concurrent.futures import Executor, Future

TURN_S = 0.5
"""The loop goes round at least so often while no frame comes: it feeds the watchdog and looks whether to stop."""
LOST_AFTER_S = 5.0
"""Without a classified frame for so long, what was in view has left: nobody knows whether it is still there."""
_STATUS_EVERY_S = 5.0
_SKIPPED_EVERY_S = 60.0
_EVENTS_KEPT = 100


class Live:
    """One camera, one model, from the first frame to `stop` or the end of the file.

    `run` is called once, in the main thread. All else may be called from any thread.
    """

    def __init__(
        self,
        source: Source,
        model: RunningModel,
        decider: Decider,
        sinks: Sinks,
        *,
        camera: str,
        stop: threading.Event,
        report: Callable[[str], None],
        notifier: Notifier,
        board: Callable[[], BoardStatus],
        region: Region | None = None,
        max_frames: int | None = None,
        follow: Callable[[], FollowStatus] | None = None,
    ):
        """Opens nothing yet.

        Args:
            source: A file or folder, of which every frame is looked at; or, where `source.live`, a NewestFrames.
            model: What answers, and its replacements.
            decider: For the model's labels.
            sinks: Told of every observation.
            camera: The source as the status shows it, without a password.
            stop: Set by `stop`; the source ends with it, too.
            report: Told, in a line, of what a person should know.
            notifier: To systemd.
            board: Tells how the machine does; called with each `status`, from any thread.
            region: The part of each frame that is looked at; None: all of it.
            max_frames: `run` ends after so many classified frames; None: never.
            follow: Tells how following a repository does; None: none is followed.
        """
        self._source, self._model, self._decider, self._sinks = source, model, decider, sinks
        self._camera, self._stop, self._report, self._notifier = camera, stop, report, notifier
        self._board, self._region, self._max_frames, self._follow = board, region, max_frames, follow
        self._recent = Recent()
        self._began_s = self._classified_s = self._status_due_s = self._skip_due_s = monotonic()
        self._captured = self._classified = self._skipped = 0
        self._lost = self._ready = self._reloading = False
        self._executor: Executor | None = None
        self._judging: Future | None = None
        self._changed = threading.Condition()  # guards the two that follow
        self._newest: Observation | None = None
        self._events: deque[Event] = deque(maxlen=_EVENTS_KEPT)

    @property
    def labels(self) -> tuple[str, ...]:
        """The model's, in the order of `Observation.scores`; others after a reload with others."""
        return self._model.current.labels

    def run(self) -> None:
        """Goes round until the source ends, `max_frames` are classified, or `stop` is called.

        Raises:
            SourceError: If the source cannot be opened, or gives no frame at first.
            RegionError: If the region does not lie within the first frame.
            LitelensError: What the sinks raise when they are opened.
            BrokenPipeError: If standard output is closed at the other end.
        """
        with self._sinks, self._model, self._source as source, self._beside(source):
            for frame in self._frames(source):
                if self._model.new:
                    self._exchange_model(self._model.new)
                if frame is not None:
                    self._look_at(frame)
                if source.live and not self._lost and monotonic() - self._classified_s > LOST_AFTER_S:
                    self._lose()
                self._tell_systemd()
                if self._stop.is_set() or self._classified == self._max_frames:
                    break
            self._settle()
            self._notifier.stopping()

    def stop(self) -> None:
        """Ends `run` within a second; also from a signal handler."""
        self._stop.set()

    def reload(self) -> None:
        """Has the model file loaded again, changed or not; also from a signal handler."""
        self._model.request()

    def newest(self) -> Observation | None:
        """The newest observation; None before the first."""
        return self._newest

    def wait_newer(self, frame_number: int, timeout_s: float) -> Observation | None:
        """Blocks until the newest observation is of another frame than that; None if none came in time."""

        def is_newer() -> bool:
            return self._newest is not None and self._newest.frame.number != frame_number

        with self._changed:
            return self._newest if self._changed.wait_for(is_newer, timeout_s) else None

    def recent_events(self, limit: int) -> Sequence[Event]:
        """The last events, newest first, at most `limit` and 100; with a history, those of earlier runs too."""
        if remembered := self._sinks.recent(limit):
            return remembered
        with self._changed:
            return tuple(islice(reversed(self._events), limit))

    def status(self) -> Status:
        """How it does."""
        recent, camera, sinks = self._recent, self._camera_status(), self._sinks.status()
        answers = recent.count > 0 and monotonic() - self._classified_s < LOST_AFTER_S
        return Status(
            healthy=answers and camera.ok and all(sink.ok for sink in sinks),
            since_s=monotonic() - self._began_s,
            state=self._decider.state,
            classified=recent.count,
            skipped=self._skipped,
            fps=recent.fps,
            age_ms=recent.age_ms,
            invoke_ms=recent.invoke_ms,
            model=self._model.status(),
            camera=camera,
            device=self._model.current.device,
            board=self._board(),
            sinks=sinks,
            follow=self._follow() if self._follow else None,
        )

    def _frames(self, source: Source) -> Iterator[Frame | None]:
        """The frames as they come; None where a live camera has none for TURN_S."""
        if not source.live:
            yield from source
        while source.live:
            yield source.next(TURN_S)

    def _camera_status(self) -> CameraStatus:
        if self._source.live:
            return self._source.status()
        return CameraStatus(self._camera, ok=True, error="", captured=self._captured, dropped=0, reopened=0)

    def _look_at(self, frame: Frame) -> None:
        """From a frame to what the sinks are told; one that is no RGB picture is counted, and left out."""
        self._captured += 1
        try:
            frame, output, invoke_ms = self._classify(frame)
        except FrameError as problem:
            if isinstance(problem, RegionError) and not self._classified:
                raise
            self._skip(frame, problem)
            return
        if self._lost:
            self._report(f"camera {self._camera} gives frames again")
        self._lost = False
        self._classified, self._classified_s = self._classified + 1, monotonic()
        judge = partial(self._judge, self._model.current.classifier, frame, output, invoke_ms)
        if self._executor is None:
            judge()
        else:
            self._settle()
            self._judging = self._executor.submit(judge)

    def _skip(self, frame: Frame, problem: FrameError) -> None:
        """Counts a frame that cannot be looked at, and names it; of a camera's, one a minute."""
        self._skipped += 1
        if monotonic() >= self._skip_due_s:
            self._skip_due_s = monotonic() + (_SKIPPED_EVERY_S if self._source.live else 0)
            self._report(f"skipped frame {frame.number} of {frame.source}: {problem}")

    def _classify(self, frame: Frame) -> tuple[Frame, np.ndarray, float]:
        """The frame as the model saw it, the model's raw output, and how long that took in ms.

        Raises:
            FrameError: If it is no RGB picture, or the region does not lie within it.
        """
        classifier = self._model.current.classifier
        picture = frame.picture if isinstance(frame, PreparedFrame) else None
        if picture is None:
            check_frame(frame.image)
            if self._region:
                # What the model sees is what sinks and the page get: what they save, a next model is trained on.
                frame = replace(frame, image=self._region.crop(frame.image))
        if picture is None or picture.shape[1:3] != classifier.input_size:  # made for the model before
            picture = None
            classifier.feed(frame.image)
        began_s = perf_counter()
        output = classifier.invoke(picture)
        return frame, output, (perf_counter() - began_s) * 1e3

    def _judge(self, classifier: Classifier, frame: Frame, output: np.ndarray, invoke_ms: float) -> None:
        """From the model's output to what the sinks are told."""
        predictions = classifier.postprocess(output)
        answer = classifier.answer(predictions)
        observation = self._decider.observe(frame, classifier.scores(output), predictions, answer, invoke_ms)
        self._recent.add(observation.age_ms, invoke_ms)
        self._tell(observation)

    def _tell(self, observation: Observation) -> None:
        with self._changed:
            self._newest = observation
            self._events.extend(observation.events)
            self._changed.notify_all()
        self._sinks.take(observation)

    def _settle(self) -> None:
        """Waits until the frame before is judged and told.

        Raises:
            BrokenPipeError: If standard output is closed at the other end.
        """
        judging, self._judging = self._judging, None
        if judging:
            judging.result()

    @contextmanager
    def _beside(self, source: Source) -> Iterator[None]:
        """Has a camera's frames judged and told in a thread, while the interpreter works on the next one.

        Otherwise that time, and that of preparing the next frame, would be added to each invoke: a model that is
        slower than the camera would fall behind what it can do by a sixth.
        """
        if not source.live:  # a file waits; what goes wrong with a frame is told before the next
            yield
            return
        from concurrent.futures import ThreadPoolExecutor  # some ms that a file need not wait for

        with ThreadPoolExecutor(1, "litelens judge") as self._executor:
            yield

    def _lose(self) -> None:
        """Takes out of view what was in view: without frames nobody knows."""
        self._lost = True
        self._report(
            f"camera {self._camera} is lost: {self._camera_status().error or 'none of its frames is RGB'}"
        )
        self._settle()
        if forgotten := self._decider.forget():
            self._tell(forgotten)

    def _exchange_model(self, new: LoadedModel) -> None:
        """Between two frames: none is lost, and what is remembered of earlier ones stays if the labels are the same."""
        self._settle()
        # Told while the sinks still see the model that these labels are of.
        if forgotten := self._decider.adopt(new.labels, new.thresholds):
            self._tell(forgotten)
        self._model.take()

    def _tell_systemd(self) -> None:
        notifier = self._notifier
        notifier.watchdog()
        if not self._ready and (self._recent.count or self._lost):
            # Lost from the start counts too: the loop runs, and waits for the camera longer than a start may take.
            self._ready = True
            notifier.ready()
        if self._ready and self._model.busy != self._reloading:
            self._reloading = self._model.busy
            (notifier.reloading if self._reloading else notifier.ready)()
        if monotonic() >= self._status_due_s:
            self._status_due_s = monotonic() + _STATUS_EVERY_S
            notifier.status(self._summary())

    def _summary(self) -> str:
        recent, camera = self._recent, self._camera_status()
        if not camera.ok:
            return f"camera lost: {camera.error}"
        if not recent.count:
            return "no frame yet"
        refused = "; a new model was refused" if self._model.status().refused else ""
        if self._follow and self._follow().refused:
            refused += "; an update was refused"
        return f"{self._decider.state}; {recent.fps:.1f} frames/s, {recent.age_ms:.0f} ms old{refused}"
