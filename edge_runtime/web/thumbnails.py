"""A small picture of each recent event, in memory."""

from time import monotonic

from edge_runtime.deciding.observation import Observation
from edge_runtime.web.following import Follower
from edge_runtime.web.jpeg import encode
from edge_runtime.web.view import LiveView

MOST_EVENTS = 24
"""Events that the page lists."""
_KEPT = 2 * MOST_EVENTS  # of some 5 kB each; a list that comes from a disk is a little behind
_LONGEST_PX = 160
_QUALITY = 70
_LOOK_EVERY_S = 0.5


class Thumbnails(Follower):
    """Follows the loop all the time, because an event's frame is gone a moment later."""

    def __init__(self, live: LiveView):
        super().__init__("thumbnails", live, at_most_hz=1000)
        self.want()
        # Events of the time before have none: their frames are gone.
        self._jpegs: dict[str, bytes | None] = dict.fromkeys(
            event.id for event in live.recent_events(MOST_EVENTS)
        )
        self._looked_s = monotonic()

    def see(self, observation: Observation | None) -> None:
        """Keeps the frame of each event that is new."""
        if observation is None:
            return
        events = list(observation.events)
        # Where this thread came too late for a frame with an event, one of half a second later stands for it. Not
        # looked for with every frame: the list may be long to make. It may also hold events of earlier runs.
        if monotonic() - self._looked_s > _LOOK_EVERY_S:
            listed = reversed(self._live.recent_events(MOST_EVENTS))
            events += [event for event in listed if observation.frame.time - event.time < 2 * _LOOK_EVERY_S]
            self._looked_s = monotonic()
        if new := {event.id for event in events} - self._jpegs.keys():
            jpeg = encode(observation.frame.image, _QUALITY, _LONGEST_PX)
            together = [*self._jpegs.items(), *((event.id, jpeg) for event in events if event.id in new)]
            # A new dictionary, as other threads read the old one.
            self._jpegs = dict(together[-_KEPT:])

    def jpeg(self, event_id: str) -> bytes | None:
        """None for an event that is long ago, or was there before the page."""
        return self._jpegs.get(event_id)

    def newest(self) -> str:
        """The last event that got one; "" before the first."""
        return next(reversed(self._jpegs), "")
