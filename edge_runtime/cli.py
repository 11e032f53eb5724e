"""The verbs of a device that end by themselves: info, verify and classify."""

import json
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import click

from edge_runtime.capture.files import Video, check_path, open_path
from edge_runtime.capture.frame import Frame
from edge_runtime.classifier import Classifier, Prediction
from edge_runtime.decision import UNKNOWN
from edge_runtime.errors import PictureError, SelfTestFailed
from edge_runtime.interpreter import TensorSpec

MOST_NUMBERS = 20
"""Longer lists of numbers, such as the indices of calibration pictures, are only counted in text for people."""

model_argument = click.argument("model", metavar="NAME.tflite", type=click.Path(path_type=Path))
_json = click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
threads_option = click.option(
    "--threads",
    type=click.IntRange(min=1),
    metavar="N",
    help="Threads one inference may use. [default: the cores, at most 4]",
)


@click.command()
@model_argument
@_json
def info(model: Path, as_json: bool) -> None:
    """Say what a model file is and how accurate it was measured."""
    _print_facts(describe(Classifier(model)), as_json)


@click.command()
@model_argument
@_json
def verify(model: Path, as_json: bool) -> None:
    """Say whether this device's interpreter answers as the exporter's did.

    Replays the model file's self-test vectors and prints the largest difference, in steps of the output.
    Exit code 1 if it is above the file's tolerance.
    """
    classifier = Classifier(model)
    test = classifier.selftest()
    facts = {
        "interpreter": _interpreter(classifier),
        "vectors": len(classifier.model_file.manifest.selftest),
        **asdict(test),
        "passed": test.passed,
    }
    _print_facts(facts, as_json)
    if not test.passed:
        raise SelfTestFailed(
            f"{model}: {classifier.interpreter.library} {classifier.interpreter.version} differs by "
            f"{test.largest_difference} output steps from what the exporter saw, expected at most {test.tolerance}",
            "update the interpreter: pip install --upgrade ai-edge-litert; if it still differs, "
            "export the run again and copy the file again",
        )


@click.command()
@model_argument
@click.argument("paths", metavar="PATH...", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "--top-k",
    type=click.IntRange(min=1),
    default=3,
    show_default=True,
    metavar="K",
    help="How many labels a frame.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object a line.")
@threads_option
def classify(model: Path, paths: tuple[Path, ...], top_k: int, as_json: bool, threads: int | None) -> None:
    """Label pictures, folders of pictures and videos.

    Prints one line a frame: the answer, which is "unknown" where the best label's score is below its class's
    threshold, and the best labels. Files in a folder that are no readable pictures are named on
    stderr and skipped. Videos need OpenCV: pip install 'litelens[camera]'.
    """
    for path in paths:
        check_path(path)
    classifier = Classifier(model, threads)
    skipped = Skipped()
    for path in paths:
        with open_path(path, skipped) as source:
            for frame in source:
                predictions = classifier.classify(frame.image, top_k)
                answer = classifier.answer(predictions)
                if as_json:
                    click.echo(_json_line(frame, answer, predictions))
                else:
                    click.echo(_text_line(frame, answer, predictions, numbered=isinstance(source, Video)))
    skipped.sum_up()


def describe(classifier: Classifier) -> dict:
    """What a model file says of itself, and which interpreter runs it here; ready for JSON."""
    manifest = classifier.model_file.manifest
    thresholds = dict(zip(classifier.labels, manifest.decision.thresholds, strict=True))
    return {
        "name": manifest.name,
        "version": manifest.version,
        "labels": list(classifier.labels),
        "input": _tensor(classifier.interpreter.input),
        "output": _tensor(classifier.interpreter.output),
        "resize": manifest.resize,
        "method": manifest.method,
        "accuracy": asdict(manifest.accuracy),
        "gate": asdict(manifest.gate),
        "decision": asdict(manifest.decision) | {"thresholds": thresholds},
        "provenance": asdict(manifest.provenance),
        "size_bytes": classifier.model_file.size_bytes,
        "interpreter": _interpreter(classifier),
    }


class Skipped:
    """Names each skipped file on stderr as it comes, and counts them."""

    def __init__(self):
        self.count = 0

    def __call__(self, problem: PictureError) -> None:
        self.count += 1
        click.echo(f"skipped: {problem}", err=True)

    def sum_up(self) -> None:
        if self.count:
            click.echo(f"skipped {self.count} file{'s' if self.count > 1 else ''} in all", err=True)


def _interpreter(classifier: Classifier) -> dict:
    return {"library": classifier.interpreter.library, "version": classifier.interpreter.version}


def _tensor(spec: TensorSpec) -> dict:
    return {
        "shape": list(spec.shape),
        "dtype": str(spec.dtype),
        "scale": spec.scale,
        "zero_point": spec.zero_point,
    }


def _print_facts(facts: dict, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(facts))
        return
    rows = list(_rows(facts))
    width = max(len(name) for name, _ in rows)
    for name, value in rows:
        click.echo(f"{name:{width}}  {value}")


def _rows(facts: dict, prefix: str = "") -> Iterator[tuple[str, str]]:
    """Name and value of each fact, nested names joined by dots."""
    for name, value in facts.items():
        if isinstance(value, dict):
            yield from _rows(value, f"{prefix}{name}.")
        else:
            yield prefix + name, _text(value)


def _text(value: object) -> str:
    if not isinstance(value, list):
        return str(value)
    if len(value) > MOST_NUMBERS and not isinstance(value[0], str):
        return f"{len(value)} numbers (--json shows them)"
    return ", ".join(map(str, value))


def _json_line(frame: Frame, answer: str, predictions: list[Prediction]) -> str:
    return json.dumps(
        {
            "source": frame.source,
            "frame": frame.number,
            "answer": answer,
            "predictions": [asdict(p) for p in predictions],
        }
    )


def _text_line(frame: Frame, answer: str, predictions: list[Prediction], numbered: bool) -> str:
    """``a.jpg: cat 0.981, dog 0.019``; ``a.jpg: unknown (cat 0.612, dog 0.388)``."""
    # A path need not be UTF-8; stdout is.
    name = click.format_filename(frame.source) + (f" #{frame.number}" if numbered else "")
    scores = ", ".join(f"{p.label} {p.score:.3f}" for p in predictions)
    return f"{name}: {UNKNOWN} ({scores})" if answer == UNKNOWN else f"{name}: {scores}"
