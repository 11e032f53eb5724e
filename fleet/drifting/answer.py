"""What a device has counted, and what was expected: as it lies there, and as it comes over the network."""

from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from edge_runtime.capture.files import OnSkipped
from edge_runtime.classifier import Classifier
from edge_runtime.drift.comparison import Comparison, Verdict, compare
from edge_runtime.drift.counted import Counted, read_counted
from edge_runtime.drift.histogram import Histogram
from edge_runtime.drift.reference import Reference, measure_reference, read_reference
from edge_runtime.model_file import read_model_file

MOST_LABELS = 10_000
"""Another machine that names more has no model of ours."""


@dataclass(frozen=True, eq=False)
class Answer:
    """One version of a model on one device."""

    model: str
    version: str
    counted: Counted
    reference: Reference

    @cached_property
    def comparison(self) -> Comparison:
        return compare(self.counted.histogram, self.reference)

    @property
    def labels(self) -> tuple[str, ...]:
        """The model's."""
        return self.counted.histogram.labels

    def to_dict(self) -> dict[str, Any]:
        """Ready for JSON, with the comparison for who reads it."""
        counted, comparison = self.counted, self.comparison
        return {
            "model": self.model,
            "version": self.version,
            "labels": list(self.labels),
            "since": counted.since,
            "until": counted.until,
            "unreadable": counted.unreadable,
            "histogram": counted.histogram.to_dict(),
            "reference": self.reference.to_dict(),
            "comparison": asdict(comparison) | {"other_classes": comparison.other_classes},
            "drifted": comparison.verdict == Verdict.DRIFTED,
        }

    @classmethod
    def from_dict(cls, fields: Any) -> "Answer":
        """Reads what `to_dict` gave on another machine, which may say anything; its comparison is made again.

        Raises:
            ValueError: If it is anything else.
        """
        if not isinstance(fields, dict):
            raise ValueError(f"expected an object, got {fields!r:.100}")
        labels = fields.get("labels")
        if not isinstance(labels, list) or not 0 < len(labels) <= MOST_LABELS:
            raise ValueError(f"labels is {labels!r:.100}, expected a list of at most {MOST_LABELS}")
        if not all(isinstance(label, str) for label in labels) or len(set(labels)) < len(labels):
            raise ValueError(f"labels is {labels!r:.100}, expected texts, each once")
        for name in ("model", "version"):
            if not isinstance(fields.get(name), str):
                raise ValueError(f"{name} is {fields.get(name)!r:.100}, expected a text")
        unreadable = fields.get("unreadable")
        if type(unreadable) is not int or unreadable < 0:
            raise ValueError(f"unreadable is {unreadable!r:.100}, expected a whole number")
        histogram = Histogram.from_dict(fields.get("histogram"), tuple(labels))
        counted = Counted(histogram, _time(fields, "since"), _time(fields, "until"), unreadable)
        reference = Reference.from_dict(fields.get("reference"), tuple(labels))
        return cls(fields["model"], fields["version"], counted, reference)


def answer_here(
    model: Path, state: Path, days: float, pictures: Path | None, on_skipped: OnSkipped
) -> Answer:
    """Of this machine.

    Args:
        model: The model file that the loop runs.
        state: The folder of the loop's history.
        days: Older records are left out.
        pictures: A folder to measure in place of the reference in the model file; None: that one.
        on_skipped: Told of files in it that are no readable pictures.

    Raises:
        ModelFileError: If the model file cannot be read, or NoReference.
        HistoryUnreadable: If there is no history.
        SourceError, InterpreterError: If the pictures cannot be measured.
    """
    whole = read_model_file(model.resolve())  # `current` may lead elsewhere in a moment
    manifest = whole.manifest
    counted = read_counted(state, manifest.name, manifest.version, whole.labels, days)
    if pictures is not None:
        reference = measure_reference(Classifier(whole), pictures, on_skipped)
        return Answer(manifest.name, manifest.version, counted, reference)
    return Answer(manifest.name, manifest.version, counted, read_reference(whole))


def _time(fields: dict[str, Any], name: str) -> float | None:
    value = fields.get(name)
    if value is not None and (type(value) not in (int, float) or not abs(value) < 1e11):
        raise ValueError(f"{name} is {value!r:.100}, expected seconds since 1970")
    return value
