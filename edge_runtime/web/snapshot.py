"""The loop's state, ready for JSON: the same for the page and for scripts."""

from dataclasses import asdict

import numpy as np

from edge_runtime.web.saving import ClassFolders
from edge_runtime.web.thumbnails import MOST_EVENTS, Thumbnails
from edge_runtime.web.view import LiveView, age_s, health


class Snapshot:
    """Gathers what its parts say now. Its methods may be called from any thread."""

    def __init__(self, live: LiveView, folders: ClassFolders | None, thumbnails: Thumbnails):
        self._live = live
        self._folders = folders
        self._thumbnails = thumbnails

    def status(self) -> dict:
        """How it does, all of its status, and what was saved."""
        saving = None
        if self._folders:
            saving = {"folder": str(self._folders.folder), "counts": self._folders.counts()}
        status, newest = self._live.status(), self._live.newest()
        height, width = newest.frame.image.shape[:2] if newest else (3, 4)
        return {
            "health": asdict(health(status, newest)),
            "status": asdict(status),
            "frame_size": {"width": width, "height": height},
            "saving": saving,
        }

    def scores(self) -> dict:
        """What changes with every frame."""
        newest = self._live.newest()
        if newest is None:
            return {"frame": None}
        return {
            "frame": newest.frame.number,
            "state": newest.state,
            "answer": newest.answer,
            # JSON has no NaN, and a float model may have.
            "scores": np.nan_to_num(newest.scores).astype(float).round(4).tolist(),
            "frame_age_s": round(age_s(newest), 2),
        }

    def events(self) -> dict:
        """The last events, newest first."""
        return {
            "events": [
                {**asdict(event), "thumbnail": self._thumbnails.jpeg(event.id) is not None}
                for event in self._live.recent_events(MOST_EVENTS)
            ]
        }
