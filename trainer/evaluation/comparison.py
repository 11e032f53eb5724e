"""Training runs beside each other, read from their folders alone."""

import csv
import hashlib
import json
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from edge_runtime.errors import RunFolderError
from trainer.config import TrainConfig, load_config
from trainer.run_folder import MODEL_NAME


@dataclass(frozen=True)
class Step:
    """An epoch, as far as the comparison needs it."""

    phase: int
    val_accuracy: float
    seconds: float
    """Since the beginning of the epochs, at its end."""


@dataclass(frozen=True)
class RunSummary:
    """What a run folder says of its run."""

    run: str
    """The folder, as the user named it."""
    validation_accuracy: float
    test_accuracy: float | None
    """None where there is no test split."""
    loss: float
    """Of the test split where there is one, else of validation."""
    model_bytes: int
    """Size of the float model file."""
    parameters: int
    """Numbers in the model."""
    trained: tuple[int, ...]
    """Numbers that each phase may change."""
    epochs: tuple[int, ...]
    """Run in each phase."""
    seconds_an_epoch: tuple[float, ...]
    """Of each phase, without features and reading."""
    seconds: float
    """Wall time of the whole training."""
    backbone: str
    alpha: float
    size: int
    """Height and width of the input in pixels."""
    fingerprint: str
    """Of the data and its splits."""
    judged_on: str
    """Digest of the names and classes of the pictures that `test_accuracy`, or else `validation_accuracy`, is of."""
    steps: tuple[Step, ...]

    def to_json(self) -> dict:
        """Ready for JSON, without the steps: history.csv has them."""
        return {name: value for name, value in asdict(self).items() if name != "steps"}


def summarise_run(folder: Path) -> RunSummary:
    """Reads config.toml, metrics.json, history.csv and splits.json of a run folder.

    Raises:
        RunFolderError: If one is missing or is not what litelens wrote.
        ConfigError: If config.toml cannot be read.
    """
    config = load_config(_there(folder / "config.toml"))
    model_bytes = _there(folder / MODEL_NAME).stat().st_size
    names = ("metrics.json", "splits.json", "history.csv")
    try:
        metrics, stored, history = (_there(folder / name).read_text(encoding="utf-8") for name in names)
        return _summary(
            str(folder),
            config,
            json.loads(metrics),
            json.loads(stored),
            _steps(csv.DictReader(history.splitlines())),
            model_bytes,
        )
    except (ValueError, KeyError, TypeError, AttributeError) as problem:
        raise RunFolderError(
            f"{', '.join(names)} in {folder} are not what this version of litelens writes: {problem!r}",
            "train again into a new folder",
        ) from problem


def find_differences(runs: Iterable[RunSummary]) -> list[str]:
    """Sentences about what makes the figures of the runs incomparable; none: they can be compared."""
    by_data, by_pictures = defaultdict(list), defaultdict(list)
    for run in runs:
        by_data[run.fingerprint[:8]].append(run.run)
        by_pictures[run.judged_on].append(run.run)
    differences = []
    if len(by_data) > 1:
        groups = "; ".join(f"{data}: {', '.join(names)}" for data, names in by_data.items())
        differences.append(f"the runs had different data or splits ({groups})")
    if len(by_pictures) > 1:
        groups = "; ".join(", ".join(names) for names in by_pictures.values())
        differences.append(
            f"their accuracies are of different pictures, so they cannot be compared ({groups}): "
            "judge them on the same ones with litelens evaluate RUN --data DIR"
        )
    return differences


def table_rows(runs: Iterable[RunSummary]) -> list[tuple[str, ...]]:
    """A head and a row a run, as text."""
    head = (
        "run",
        "validation",
        "test",
        "loss",
        "MB",
        "parameters",
        "trained",
        "epochs",
        "s/epoch",
        "seconds",
        "backbone",
        "alpha",
        "px",
    )
    return [
        (*head, "data"),
        *(
            (
                run.run,
                f"{run.validation_accuracy:.4f}",
                "-" if run.test_accuracy is None else f"{run.test_accuracy:.4f}",
                f"{run.loss:.4f}",
                f"{run.model_bytes / 1e6:.1f}",
                f"{run.parameters:,}",
                "+".join(f"{count:,}" for count in run.trained),
                "+".join(map(str, run.epochs)),
                "+".join(f"{seconds:.1f}" for seconds in run.seconds_an_epoch),
                f"{run.seconds:.0f}",
                run.backbone,
                f"{run.alpha:g}",
                str(run.size),
                run.fingerprint[:8],
            )
            for run in runs
        ),
    ]


def epoch_rows(runs: Sequence[RunSummary]) -> list[tuple[str, ...]]:
    """A head and a row an epoch: validation accuracy of each run after it, "" where a run had ended."""
    longest = max(len(run.steps) for run in runs)
    return [
        ("epoch", *(run.run for run in runs)),
        *(
            (str(i + 1), *(f"{run.steps[i].val_accuracy:.4f}" if i < len(run.steps) else "" for run in runs))
            for i in range(longest)
        ),
    ]


def _there(path: Path) -> Path:
    if not path.is_file():
        raise RunFolderError(
            f"{path.parent} has no {path.name}, expected a run folder written by litelens train",
            f"train first: litelens train --data DIR --out {path.parent}",
        )
    return path


def _summary(
    name: str, config: TrainConfig, metrics: dict, stored: dict, steps: tuple[Step, ...], model_bytes: int
) -> RunSummary:
    splits = metrics["splits"]
    held_back = "test" if "test" in splits else "validation"
    names = json.dumps(stored["splits"][held_back], sort_keys=True)
    return RunSummary(
        run=name,
        validation_accuracy=splits["validation"]["accuracy"],
        test_accuracy=splits["test"]["accuracy"] if "test" in splits else None,
        loss=splits[held_back]["loss"],
        model_bytes=model_bytes,
        parameters=metrics["parameters"],
        trained=tuple(phase["parameters"] for phase in metrics["phases"]),
        epochs=tuple(phase["epochs"] for phase in metrics["phases"]),
        seconds_an_epoch=tuple(phase["seconds"] / phase["epochs"] for phase in metrics["phases"]),
        seconds=sum(metrics["seconds"].values()),
        backbone=config.backbone,
        alpha=config.alpha,
        size=config.size,
        fingerprint=stored["fingerprint"],
        judged_on=hashlib.sha256(names.encode()).hexdigest(),
        steps=steps,
    )


def _steps(rows: Iterable[dict[str, str]]) -> tuple[Step, ...]:
    steps, passed = [], 0.0
    for row in rows:
        passed += float(row["seconds"])
        steps.append(Step(int(row["phase"]), float(row["val_accuracy"]), passed))
    return tuple(steps)
