"""Finished candidates, kept in the run folder, so that an export that was killed does not make them again."""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

from edge_runtime.errors import WriteError
from edge_runtime.whole_file import write_whole


@dataclass(frozen=True)
class Cached:
    """A finished candidate."""

    model: bytes
    facts: dict
    """What was found out while it was made; ready for JSON."""


class CandidateCache:
    """Candidates by the hash of all that made them: runs/NAME/candidates/KIND-HASH.tflite, facts beside it."""

    def __init__(self, folder: Path | None):
        """Takes the folder, which need not exist; None keeps nothing (there is no run folder)."""
        self._folder = folder

    def read(self, kind: str, inputs: dict) -> Cached | None:
        """What was made of the same inputs, or None; a file that was altered counts as absent."""
        if self._folder is None:
            return None
        model_path, facts_path = self._paths(kind, inputs)
        if not (model_path.is_file() and facts_path.is_file()):
            return None
        model = model_path.read_bytes()
        try:
            stored = json.loads(facts_path.read_text(encoding="utf-8"))
            digest, facts = stored["model_sha256"], stored["facts"]
        except (ValueError, KeyError, TypeError):  # no UTF-8, no JSON, or not ours
            return None
        return Cached(model, facts) if digest == hashlib.sha256(model).hexdigest() else None

    def write(self, kind: str, inputs: dict, cached: Cached) -> None:
        """Keeps a candidate.

        Raises:
            WriteError: If the run folder cannot be written or is full.
        """
        if self._folder is None:
            return
        try:
            self._folder.mkdir(exist_ok=True)
        except OSError as problem:
            raise WriteError(
                f"cannot make the folder {self._folder}: {problem}",
                "check the run folder and its permissions",
            ) from problem
        model_path, facts_path = self._paths(kind, inputs)
        stored = {
            "inputs": inputs,
            "facts": cached.facts,
            "model_sha256": hashlib.sha256(cached.model).hexdigest(),
        }
        # The model last: it is looked for first, and a kill between the two leaves none.
        write_whole(facts_path, (json.dumps(stored, indent=1) + "\n").encode())
        write_whole(model_path, cached.model)

    def _paths(self, kind: str, inputs: dict) -> tuple[Path, Path]:
        digest = hashlib.sha256(json.dumps(inputs, sort_keys=True).encode()).hexdigest()
        stem = self._folder / f"{kind}-{digest[:16]}"
        return stem.with_suffix(".tflite"), stem.with_suffix(".json")
