"""What `litelens drift` says of pictures that have changed, and how often it is wrong about pictures that have not.

    python -m benchmarks.drift_sensitivity NAME.tflite --data PICTURES --other PICTURES --json FILE

Half of the pictures, drawn at random, are the reference. The other half are a device's frames: as they are, and made
darker, blurred, turned ...; --other are of no class that the model knows. From each, 200 and 2,000 frames are drawn a
hundred times. A camera's frames are more alike than these, so its chance is larger; see docs/drift.md.
"""

import random
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path

import click
import numpy as np
from PIL import Image, ImageEnhance, ImageFilter

from benchmarks.measuring.pictures import find_pictures
from benchmarks.result_file import begin, write_result
from edge_runtime import Classifier
from edge_runtime.capture.files import open_path
from edge_runtime.cli import Skipped
from edge_runtime.drift.comparison import Verdict, compare
from edge_runtime.drift.histogram import Histogram
from edge_runtime.drift.reference import Reference
from edge_runtime.drift.stability import SOME_SHIFT
from edge_runtime.pictures import read_picture

MOST_PICTURES = 800
"""In the reference and the frames together: more would take longer than two minutes on a laptop."""
FRAMES = (200, 2000)
ROUNDS = 100
BLUR_OF_SIDE = 1 / 80
"""The blur's radius by the picture's shorter side: 2 px of a model's 160."""
AS_THEY_ARE, ONE_CLASS, OTHER_THINGS = "as they are", "of one class alone", "of other things"

Change = Callable[[np.ndarray], np.ndarray]


def _by_pillow(change: Callable[[Image.Image], Image.Image]) -> Change:
    return lambda frame: np.asarray(change(Image.fromarray(frame)))


def _blurred(times: float) -> Change:
    return _by_pillow(
        lambda image: image.filter(ImageFilter.GaussianBlur(times * BLUR_OF_SIDE * min(image.size)))
    )


def _darker(brightness: float) -> Change:
    return _by_pillow(lambda image: ImageEnhance.Brightness(image).enhance(brightness))


def _noisy(frame: np.ndarray) -> np.ndarray:
    noise = np.random.default_rng(0).normal(0, 40, frame.shape)
    return (frame + noise).clip(0, 255).astype(np.uint8)


CHANGES: dict[str, Change] = {
    AS_THEY_ARE: lambda frame: frame,
    "brightness 0.3": _darker(0.3),
    "brightness 0.1": _darker(0.1),
    "red and blue swapped": lambda frame: np.ascontiguousarray(frame[..., ::-1]),
    "noise of 40 levels": _noisy,
    "blurred": _blurred(1),
    "blurred twice as much": _blurred(2),
    "turned by 90 degrees": lambda frame: np.ascontiguousarray(np.rot90(frame)),
    "upside down": lambda frame: np.ascontiguousarray(frame[::-1, ::-1]),
    "lens covered": np.zeros_like,
}


@dataclass(frozen=True, eq=False)
class Answers:
    """A model's answers to some pictures."""

    histogram: Histogram
    top1: float
    """0 to 1: the share of them that is right."""


@dataclass(frozen=True)
class Sensitivity:
    """One kind of frames, so many of them, over the rounds."""

    frames: str
    """What was done to them."""
    count: int
    top1: float
    """0 to 1, of all of them: what a shift should stand for."""
    shift: tuple[float, float, float]
    """Of the scores: 5 %, 50 % and 95 % of the rounds."""
    some_shift: float
    """0 to 1: the share of the rounds with a shift of SOME_SHIFT or more."""
    drifted: float
    """0 to 1: the share of the rounds with the verdict "drifted"."""
    other_classes: float
    """0 to 1: the share of the rounds with other classes."""


def measure_sensitivity(model: Path, data: Path, other: Path | None) -> list[Sensitivity]:
    """Classifies the pictures and compares draws of them with the reference.

    Args:
        model: Written by ``litelens export``.
        data: Pictures like those that it was validated on, in a folder a class.
        other: Pictures of other things, or None.

    Raises:
        LitelensError: If the model or the pictures cannot be used.
    """
    classifier = Classifier(model)
    pictures = list(find_pictures(data, classifier.labels).files)
    random.Random(0).shuffle(pictures)
    half = min(len(pictures), MOST_PICTURES) // 2
    reference = Reference("half", _answers(classifier, _changed(pictures[:half])).histogram)
    frames = pictures[half : 2 * half]
    kinds = {name: _answers(classifier, _changed(frames, change)) for name, change in CHANGES.items()}
    of_one = [(path, label) for path, label in frames if label == classifier.labels[0]]
    kinds[ONE_CLASS] = _answers(classifier, _changed(of_one))
    if other:
        with open_path(other, Skipped()) as source:
            kinds[OTHER_THINGS] = _answers(classifier, ((frame.image, "") for frame in islice(source, half)))
    return [
        _sensitivity(name, count, answers, reference) for name, answers in kinds.items() for count in FRAMES
    ]


def _changed(
    pictures: list[tuple[Path, str]], change: Change = CHANGES[AS_THEY_ARE]
) -> Iterable[tuple[np.ndarray, str]]:
    return ((change(read_picture(path)), label) for path, label in pictures)


def _answers(classifier: Classifier, frames: Iterable[tuple[np.ndarray, str]]) -> Answers:
    """Of frames with their true labels."""
    histogram, right = Histogram(classifier.labels), 0
    for frame, label in frames:
        predictions = classifier.classify(frame, top_k=1)
        best = predictions[0]
        histogram.count(best.class_id, best.score, classifier.answer(predictions) != best.label)
        right += best.label == label
    return Answers(histogram, right / max(histogram.frames, 1))


def _sensitivity(name: str, count: int, answers: Answers, reference: Reference) -> Sensitivity:
    draw, counts = np.random.default_rng(0), answers.histogram.counts
    found = []
    for _ in range(ROUNDS):
        drawn = Histogram(answers.histogram.labels)
        drawn.counts += draw.multinomial(count, counts.ravel() / counts.sum()).reshape(counts.shape)
        found.append(compare(drawn, reference))
    shifts = [comparison.score_shift for comparison in found]
    return Sensitivity(
        name,
        count,
        answers.top1,
        tuple(np.percentile(shifts, (5, 50, 95)).tolist()),
        some_shift=float(np.mean([shift >= SOME_SHIFT for shift in shifts])),
        drifted=float(np.mean([comparison.verdict == Verdict.DRIFTED for comparison in found])),
        other_classes=float(np.mean([comparison.other_classes for comparison in found])),
    )


@click.command()
@click.argument("model", metavar="NAME.tflite", type=click.Path(path_type=Path))
@click.option("--data", required=True, type=click.Path(path_type=Path), metavar="PICTURES")
@click.option("--other", type=click.Path(path_type=Path), metavar="PICTURES", help="Of other things.")
@click.option("--json", "json_path", type=click.Path(path_type=Path), metavar="FILE")
def main(model: Path, data: Path, other: Path | None, json_path: Path | None) -> None:
    """Prints a line for each kind of frames and each count."""
    began = begin()
    found = measure_sensitivity(model, data, other)
    heads = ("top-1", "shift (5 to 95 %)", ">= 0.1", "drifted", "classes")
    click.echo("frames                   count{:>8}{:>24}{:>8}{:>9}{:>9}".format(*heads))
    for one in found:
        low, middle, high = one.shift
        cells = (one.top1, f"{middle:.2f} ({low:.2f} to {high:.2f})")
        shares = (one.some_shift, one.drifted, one.other_classes)
        line = "{:24}{:6}{:8.1%}{:>24}{:8.0%}{:9.0%}{:9.0%}"
        click.echo(line.format(one.frames, one.count, *cells, *shares))
    if json_path:
        kinds = [asdict(one) for one in found]
        write_result(json_path, "drift_sensitivity", began, {"rounds": ROUNDS, "kinds": kinds})


if __name__ == "__main__":
    main()
