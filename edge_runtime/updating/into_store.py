"""Puts a verified model file into the device's store, where it is tried and switched to."""

import hashlib
from pathlib import Path

from edge_runtime.store.install import install
from edge_runtime.store.names import CURRENT
from edge_runtime.store.store import Store

BY = "litelens update"
"""Who did it, in the store's history."""
STATE_FOLDER = ".updates"
"""Below STORE: no model can be called so."""


class IntoStore:
    """An `Installer` for the models of STORE."""

    def __init__(self, root: Path, *, max_latency_ms: float | None = None, healthy_s: float | None = None):
        """Changes nothing yet.

        Args:
            root: STORE, which must be there.
            max_latency_ms: What 99 of 100 frames of 640x480 may take with a new version; None only measures.
            healthy_s: Has `litelens run` be healthy with a new version for so long, or the version before comes back.
                None: no trial, where no loop runs that could pass it.
        """
        self._root, self._max_latency_ms, self._healthy_s = root, max_latency_ms, healthy_s

    def in_use(self, name: str) -> str | None:
        try:
            with open(self._root / name / CURRENT, "rb") as file:
                return hashlib.file_digest(file, "sha256").hexdigest()
        except OSError:
            return None

    def install(self, path: Path, name: str, sha256: str) -> None:
        install(
            Store(self._root / name),
            path,
            sha256,
            max_latency_ms=self._max_latency_ms,
            healthy_s=self._healthy_s,
            by=BY,
        )
