"""Which version is the current one, which one it would go back to, and whether it is on trial.

One small file, replaced as a whole, so that all of it changes in one instant. The links follow from it.
"""

import dataclasses
import json
from dataclasses import dataclass
from typing import Any

from edge_runtime.store.errors import StoreError
from edge_runtime.store.history import Event, printable
from edge_runtime.store.moment import Moment
from edge_runtime.store.names import is_safe

SCHEMA_VERSION = 1
STARTS = 3
"""So often may the loop start with a version on trial, without having been healthy, before the one before comes back."""
LOADS_WITHIN_S = 180.0
"""What a trial lasts beyond the healthy time it asks for: the loop notices the link, tries the file apart, loads it; or the
board starts."""
MOST_UNWRITTEN = 20


class DamagedState(Exception):
    """The file holds no state of ours."""


@dataclass(frozen=True)
class Trial:
    """A version that must show that it works, or go."""

    version: str
    before: str | None
    """What `previous` was before the switch, and is again if the trial fails."""
    healthy_s: float
    """The loop must be healthy with it for so long, without a break."""
    boot: str
    """The boot that `ends_s` is of."""
    ends_s: float
    """Uptime at which it has failed. A new boot begins a new time, and costs one of the STARTS."""
    starts: int
    """How often the loop has started with it."""
    by: str

    @property
    def limit_s(self) -> float:
        return self.healthy_s + LOADS_WITHIN_S

    def left_s(self, moment: Moment) -> float:
        """Seconds until it has failed; after a start of the machine that the store has not noticed, all of them."""
        return self.ends_s - moment.uptime_s if moment.boot == self.boot else self.limit_s

    def in_boot(self, moment: Moment) -> "Trial":
        """With its time begun anew where the machine was started since."""
        if moment.boot == self.boot:
            return self
        return dataclasses.replace(self, boot=moment.boot, ends_s=moment.uptime_s + self.limit_s)


@dataclass(frozen=True)
class State:
    """Versions, by name."""

    current: str | None = None
    previous: str | None = None
    """What a rollback goes back to."""
    added: tuple[str, ...] = ()
    """All versions of the store, in the order they came; file times would be those of a clock that may be wrong."""
    trial: Trial | None = None
    """Of `current`."""
    unwritten: tuple[Event, ...] = ()
    """The last events, which a power cut or a full disk may have kept from the history."""

    @property
    def needed(self) -> frozenset[str | None]:
        """What is not removed."""
        return frozenset({self.current, self.previous, self.trial and self.trial.before})

    def switched(self, version: str, healthy_s: float | None, moment: Moment, by: str) -> "State":
        """With another current version; on trial where healthy_s says so."""
        trial = None
        if healthy_s is not None:
            trial = Trial(version, self.previous, healthy_s, "", 0.0, 0, printable(by)).in_boot(moment)
        return dataclasses.replace(self, current=version, previous=self.current, trial=trial)

    def rolled_back(self) -> "State":
        """With the previous version: after a trial all is as it was before; else the two change places."""
        previous = self.trial.before if self.trial else self.current
        return dataclasses.replace(self, current=self.previous, previous=previous, trial=None)

    def confirmed(self) -> "State":
        """Without a trial."""
        return dataclasses.replace(self, trial=None)

    def with_files(self, found: tuple[str, ...]) -> "State":
        """Fitted to the versions whose files are there, unknown ones last; without a version that is gone."""
        added = (
            *(v for v in self.added if v in found),
            *(v for v in found if v not in self.added),
        )
        before = self.trial.before if self.trial else None
        previous, before = (version if version in found else None for version in (self.previous, before))
        if self.current not in found:
            left = [version for version in (previous, before) if version] + [None, None]
            return dataclasses.replace(self, current=left[0], previous=left[1], added=added, trial=None)
        trial = self.trial and dataclasses.replace(self.trial, before=before)
        return dataclasses.replace(self, previous=previous, added=added, trial=trial)

    def to_json(self) -> bytes:
        fields = dataclasses.asdict(self) | {"unwritten": [event.to_dict() for event in self.unwritten]}
        return json.dumps({"schema_version": SCHEMA_VERSION} | fields, indent=1).encode() + b"\n"

    @classmethod
    def from_json(cls, content: bytes) -> "State":
        """Reads what `to_json` gave.

        Raises:
            DamagedState: If it is anything else.
            StoreError: If a newer litelens wrote it.
        """
        try:
            fields = json.loads(content)
            version = fields.pop("schema_version")
        except (ValueError, RecursionError, AttributeError, KeyError, TypeError) as problem:
            raise DamagedState(f"it is no JSON object of ours: {problem!r:.100}") from problem
        if type(version) is int and version > SCHEMA_VERSION:
            raise StoreError(
                f"the store has schema version {version}, this litelens reads {SCHEMA_VERSION}",
                "update litelens on this machine",
            )
        try:
            trial = fields.get("trial")
            state = cls(
                **fields
                | {
                    "added": tuple(fields["added"]),
                    "trial": None if trial is None else Trial(**trial),
                    "unwritten": tuple(Event.from_dict(event) for event in fields["unwritten"]),
                }
            )
        except (KeyError, TypeError, ValueError) as problem:
            raise DamagedState(f"it has not the fields of a store: {problem!r:.100}") from problem
        state._check()
        return state

    def _check(self) -> None:
        """Raises DamagedState for a value that nothing of ours writes; names become paths."""
        links = (self.current, self.previous, self.trial and self.trial.before)
        names: list[Any] = [*self.added, *(name for name in links if name is not None)]
        if not all(isinstance(name, str) and is_safe(name) for name in names):
            raise DamagedState(f"it names versions that are none: {names!r:.100}")
        if len(set(self.added)) != len(self.added):
            raise DamagedState("it names a version twice")
        trial = self.trial
        if trial is None:
            return
        if trial.version != self.current:
            raise DamagedState(
                f"{trial.version!r:.100} is on trial, and {self.current!r} is the current version"
            )
        numbers = (trial.healthy_s, trial.ends_s, trial.starts)
        if not all(type(number) in (int, float) and 0 <= number < 1e12 for number in numbers):
            raise DamagedState(f"its trial has the numbers {numbers!r:.100}")
        if not isinstance(trial.boot, str) or not isinstance(trial.by, str):
            raise DamagedState("its trial names no boot, or nobody")
