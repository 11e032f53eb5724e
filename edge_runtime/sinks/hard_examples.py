"""Frames that the model found hard, kept with their scores: the pictures that the next training needs most."""

import io
import json
import re
import shutil
from collections import deque
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from time import monotonic

from PIL import Image

from edge_runtime.deciding.observation import Observation
from edge_runtime.errors import WriteError
from edge_runtime.live.status import ModelStatus
from edge_runtime.sinks.background import Handover, NotDelivered, Refused
from edge_runtime.sinks.settings import HardExampleSettings
from edge_runtime.whole_file import write_together

JPEG_QUALITY = 92
UNCERTAIN, CHANGED = "uncertain", "changed"
_NAME = re.compile(rf"(\d{{8}}T\d{{6}}\.\d{{3}}Z)-(?:{UNCERTAIN}|{CHANGED})\.(?:jpg|json)")
_TIME_FORMAT = "%Y%m%dT%H%M%S.%f"
_LAST_MS = 253_402_300_799_000
"""The end of the year 9999, the last that a name can hold."""


@dataclass(frozen=True, eq=False)
class _Example:
    observation: Observation
    model: ModelStatus
    why: str


class HardExamples(Handover[_Example]):
    """Saves uncertain frames, and those with which the state changed.

    Each is TIME-WHY.jpg, the observation's frame as it was before it became the model's input, and TIME-WHY.json.
    TIME is UTC; where the clock jumps back, names go on a millisecond after the last one, so that they sort in the
    order of the frames; the JSON has the time as the clock told it. Where a .jpg is, its .json is, too.
    """

    def __init__(self, settings: HardExampleSettings, model: Callable[[], ModelStatus]):
        """Opens nothing yet; `model` tells which model an observation is of, and is called in `take`."""
        super().__init__("hard examples", keep=2)  # frames: 6 MB each at 1920 x 1080
        self._settings = settings
        self._folder = Path(settings.folder)
        self._model = model
        self._next_s = 0.0
        self._saved: _Saved | None = None

    def take(self, observation: Observation) -> None:
        """Keeps a hard frame, if the last one is long enough ago."""
        why = self._why(observation)
        now_s = monotonic()
        if why and now_s >= self._next_s:
            self._next_s = now_s + self._settings.every_s
            self.put(_Example(observation, self._model(), why))

    def deliver(self, item: _Example) -> None:
        try:
            if self._saved is None:
                self._folder.mkdir(parents=True, exist_ok=True)
                self._saved = _Saved(self._folder)
            self._save(item, self._saved)
        except (OSError, WriteError) as problem:
            raise NotDelivered(f"cannot save hard examples: {problem}") from problem

    def _why(self, observation: Observation) -> str:
        if observation.events:
            return CHANGED
        scores = [prediction.score for prediction in observation.predictions[:2]]
        between = self._settings.low <= scores[0] <= self._settings.high
        close = len(scores) > 1 and scores[0] - scores[1] < self._settings.margin
        return UNCERTAIN if between or close else ""

    def _save(self, example: _Example, saved: "_Saved") -> None:
        picture, described = _jpeg(example.observation.frame.image), _description(example)
        size = len(picture) + len(described)
        if size > self._settings.cap_bytes:
            raise Refused(f"a frame takes {size} bytes, above the cap of {self._settings.cap_bytes}")
        saved.make_room(self._settings.cap_bytes - size)
        free = shutil.disk_usage(self._folder).free
        if free - size < self._settings.free_bytes:
            raise NotDelivered(
                f"no hard examples are saved: {free // 10**6} MB are free at {self._folder}, "
                f"{self._settings.free_bytes // 10**6} MB are to be left"
            )
        stem = f"{saved.next_time(example.observation.frame.time)}-{example.why}"
        # In this order: a reader that finds the picture finds its description.
        write_together({self._folder / f"{stem}.json": described, self._folder / f"{stem}.jpg": picture})
        saved.add(stem, size)


class _Saved:
    """What the folder holds, oldest first."""

    def __init__(self, folder: Path):
        self._folder = folder
        sizes: dict[str, int] = {}
        for path in folder.iterdir():
            if not path.is_file():
                continue
            if _NAME.fullmatch(path.name):
                sizes[path.stem] = sizes.get(path.stem, 0) + path.stat().st_size
            elif path.name.startswith(".") and _NAME.match(path.name[1:]):
                path.unlink(missing_ok=True)  # half a file, of a run that was killed
        self._examples = deque(sorted(sizes.items()))
        self._bytes = sum(sizes.values())
        self._last_ms = max((_milliseconds(stem) for stem in sizes), default=-1)

    def make_room(self, most_bytes: int) -> None:
        """Deletes the oldest until the others take at most so many bytes."""
        while self._bytes > most_bytes and self._examples:
            stem, size = self._examples[0]
            for ending in (".jpg", ".json"):
                (self._folder / f"{stem}{ending}").unlink(missing_ok=True)
            self._examples.popleft()
            self._bytes -= size

    def next_time(self, time_s: float) -> str:
        """The time as names have it: later than that of any example before."""
        self._last_ms = next_milliseconds(time_s, self._last_ms)
        return time_text(self._last_ms)

    def add(self, stem: str, size: int) -> None:
        self._examples.append((stem, size))
        self._bytes += size


def next_milliseconds(time_s: float, last_ms: int) -> int:
    """Milliseconds since 1970 by the clock, but later than the last ones; within what a name can hold."""
    return min(max(int(min(max(time_s, 0.0), _LAST_MS) * 1000), last_ms + 1), _LAST_MS)


def time_text(milliseconds: int) -> str:
    """Such as 20260314T101530.123Z: sorts by time, and is a file's name everywhere."""
    seconds, thousandths = divmod(milliseconds, 1000)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y%m%dT%H%M%S}.{thousandths:03}Z"


def _milliseconds(stem: str) -> int:
    """What `time_text` was made of; -1 where a file's name has a 13th month or a 25th hour."""
    try:
        moment = datetime.strptime(stem.partition("Z")[0], _TIME_FORMAT)
    except ValueError:
        return -1
    return round(moment.replace(tzinfo=UTC).timestamp() * 1000)


def _jpeg(image) -> bytes:
    file = io.BytesIO()
    Image.fromarray(image).save(file, "JPEG", quality=JPEG_QUALITY)
    return file.getvalue()


def _description(example: _Example) -> bytes:
    observation, model = example.observation, example.model
    scores = dict(zip(model.labels, (round(float(s), 4) for s in observation.scores), strict=True))
    content = {
        "why": example.why,
        "time": observation.frame.time,
        "source": observation.frame.source,
        "frame": observation.frame.number,
        "model": {"name": model.name, "version": model.version, "labels": model.labels},
        "answer": observation.answer,
        "predictions": [asdict(prediction) for prediction in observation.predictions],
        "state": observation.state,
        "scores": scores,
        "events": [asdict(event) for event in observation.events],
    }
    return (json.dumps(content, indent=1) + "\n").encode()
