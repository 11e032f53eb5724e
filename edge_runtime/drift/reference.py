"""What a model answered before it went to a device: the validation split's histogram, which is in the model file."""

import json
from dataclasses import dataclass
from pathlib import Path

from edge_runtime.capture.files import OnSkipped, open_path
from edge_runtime.classifier import Classifier
from edge_runtime.drift.histogram import Histogram
from edge_runtime.errors import ModelFileError
from edge_runtime.model_file import COPY_AGAIN, ModelFile, read_member

REFERENCE_NAME = "validation.json"
"""The member of the model file's zip; a litelens that knows nothing of it reads the file all the same."""


class NoReference(ModelFileError):
    """The model file was written before exports kept a histogram of the validation split."""


@dataclass(frozen=True, eq=False)
class Reference:
    """What a device's answers are compared with."""

    split: str
    """"validation", or the folder that was named in its place."""
    histogram: Histogram
    """Of one answer a picture."""

    def to_json(self) -> str:
        """The content of REFERENCE_NAME, with sorted keys."""
        return json.dumps(self.to_dict(), sort_keys=True) + "\n"

    @classmethod
    def from_json(cls, text: str, labels: tuple[str, ...]) -> "Reference":
        """Reads what `to_json` wrote for a model with these labels.

        Raises:
            ValueError: If it is anything else.
        """
        try:
            return cls.from_dict(json.loads(text), labels)
        except RecursionError:  # of 1,000 brackets
            raise ValueError("it is nested too deeply") from None

    @classmethod
    def from_dict(cls, fields: object, labels: tuple[str, ...]) -> "Reference":
        """The same, once JSON is an object.

        Raises:
            ValueError: If it is anything else.
        """
        if not isinstance(fields, dict) or not isinstance(fields.get("split"), str):
            raise ValueError(f"expected an object with the split's name, got {fields!r:.100}")
        counts = {name: value for name, value in fields.items() if name != "split"}
        return cls(fields["split"], Histogram.from_dict(counts, labels))

    def to_dict(self) -> dict:
        """Ready for JSON."""
        return {"split": self.split, **self.histogram.to_dict()}


def read_reference(model: ModelFile) -> Reference:
    """Reads the reference that the exporter wrote.

    Raises:
        NoReference: If the file has none.
        ModelFileError: If what it has is damaged, or of another litelens.
    """
    text = read_member(model.path, REFERENCE_NAME)
    if text is None:
        raise NoReference(
            f"{model.path} was exported by a litelens that kept no histogram of the validation pictures",
            "export the run again and bring it to the device; or compare with pictures here: --data PICTURES",
        )
    try:
        return Reference.from_json(text, model.labels)
    except ValueError as problem:
        raise ModelFileError(
            f"{model.path}: {REFERENCE_NAME} cannot be read: {problem}",
            f"{COPY_AGAIN}; or update litelens on this machine",
        ) from problem


def measure_reference(classifier: Classifier, pictures: Path, on_skipped: OnSkipped) -> Reference:
    """Classifies a folder of pictures as `litelens run` does, in place of the exporter.

    Args:
        classifier: Of the model file.
        pictures: A folder; the folders below it need not be classes.
        on_skipped: Told of files that are no readable pictures.

    Raises:
        SourceError: If there is none in it.
    """
    histogram = Histogram(classifier.labels)
    with open_path(pictures, on_skipped) as source:
        for frame in source:
            predictions = classifier.classify(frame.image, top_k=1)
            best = predictions[0]
            histogram.count(best.class_id, best.score, classifier.answer(predictions) != best.label)
    return Reference(pictures.name, histogram)
