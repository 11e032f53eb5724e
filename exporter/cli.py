"""The verb `export`. TensorFlow is imported only when an export starts."""

import json
import math
from pathlib import Path

import click

from edge_runtime.extras import extra
from exporter.candidate_kinds import CANDIDATES, INT8
from exporter.target import check_target, report_path


def _candidates(
    context: click.Context, parameter: click.Parameter, value: str | None
) -> tuple[str, ...] | None:
    if value is None:
        return None
    names = tuple(value.split(","))
    for name in names:
        if name not in CANDIDATES:
            raise click.BadParameter(f"{name!r} is none of {', '.join(CANDIDATES)}; float32 is always made")
    if not set(names) & set(INT8):
        raise click.BadParameter(f"{value!r} has neither {' nor '.join(INT8)}: what is written is int8")
    return names


def _finite(context: click.Context, parameter: click.Parameter, value: float | None) -> float | None:
    """NaN is inside every range, and neither it nor infinity can stand in a manifest."""
    if value is not None and not math.isfinite(value):
        raise click.BadParameter(f"{value} is no finite number")
    return value


@click.command()
@click.argument("run_folder", type=click.Path(path_type=Path), metavar="[runs/NAME]", required=False)
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    required=True,
    metavar="NAME.tflite",
    help="The model file to write; its report stands beside it as NAME.report.html.",
)
@click.option(
    "--candidates",
    callback=_candidates,
    metavar="A,B,...",
    help=f"Make only these of {','.join(CANDIDATES)}.  [default: all]",
)
@click.option(
    "--calibration",
    type=click.IntRange(min=1),
    default=200,
    show_default=True,
    metavar="N",
    help="Training pictures that set the ranges of ptq.",
)
@click.option(
    "--qat-epochs",
    type=click.IntRange(min=0),
    help="Most epochs of quantization-aware training.  [default: by the number of pictures]",
)
@click.option(
    "--qat-freeze-below",
    type=click.IntRange(min=0),
    default=0,
    show_default=True,
    metavar="LAYER",
    help="Layers below this index keep their float weights in quantization-aware training.",
)
@click.option(
    "--gate",
    type=click.Choice(["on", "off"]),
    default="on",
    show_default=True,
    help="off writes the best int8 model whatever it lost, and says so in its manifest.",
)
@click.option(
    "--max-drop",
    type=float,
    callback=_finite,
    default=1.0,
    show_default=True,
    metavar="POINTS",
    help="Largest loss of top-1 against float, in percentage points.",
)
@click.option(
    "--min-ratio",
    type=float,
    callback=_finite,
    default=0.98,
    show_default=True,
    help="Smallest top-1 as a share of float's.",
)
@click.option(
    "--max-class-drop",
    type=float,
    callback=_finite,
    default=5.0,
    show_default=True,
    metavar="POINTS",
    help="Largest loss of one class's recall, where it has pictures enough to tell.",
)
@click.option(
    "--precision",
    type=click.FloatRange(0, 1),
    callback=_finite,
    default=0.95,
    show_default=True,
    help="Share of each class's answers to be right; less certain ones become 'unknown'. 0 always answers.",
)
@click.option(
    "--edge-tpu", is_flag=True, help="Make it fit the Edge TPU, and compile it if edgetpu_compiler is there."
)
@click.option(
    "--from",
    "foreign",
    type=click.Path(path_type=Path),
    metavar="MODEL",
    help="Export a .keras file, SavedModel or float .tflite instead of a run.",
)
@click.option(
    "--labels", type=click.Path(path_type=Path), metavar="FILE", help="With --from: one label a line."
)
@click.option(
    "--data", type=click.Path(path_type=Path), metavar="DIR", help="With --from: pictures in class folders."
)
@click.option(
    "--mean",
    # Outside, no byte would be near the input's 0, and int8 tensors must be able to hold a 0.
    type=click.FloatRange(0, 255),
    callback=_finite,
    help="With --from: the model's input is (pixel - mean) / std.",
)
@click.option(
    "--std",
    type=click.FloatRange(min=0, min_open=True),
    callback=_finite,
    help="With --from, see --mean.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of the table.")
def export(
    run_folder: Path | None,
    out: Path,
    candidates: tuple[str, ...] | None,
    calibration: int,
    qat_epochs: int | None,
    qat_freeze_below: int,
    gate: str,
    max_drop: float,
    min_ratio: float,
    max_class_drop: float,
    precision: float,
    edge_tpu: bool,
    foreign: Path | None,
    as_json: bool,
    **of_foreign,
) -> None:
    """Turn a training run into a proven int8 model file.

    Makes models of several kinds, measures them on the held-back split with the device's own code, and writes the
    int8 one that passes the gate and answers most like float. Exit code 3 if none passes.

    \b
    litelens export runs/parts --out parts.tflite
    litelens export --from model.keras --labels labels.txt --data pictures --mean 127.5 --std 127.5 --out m.tflite
    """
    if (run_folder is None) == (foreign is None):
        raise click.UsageError("name a run folder, or give --from MODEL, and not both")
    given = [f"--{name}" for name, value in of_foreign.items() if value is not None]
    if foreign is None and given:
        raise click.UsageError(f"{given[0]} goes with --from: a run folder knows it")
    if foreign and len(given) < len(of_foreign):
        raise click.UsageError(
            f"--from needs {', '.join('--' + name for name in of_foreign)}; given: {', '.join(given) or 'none'}"
        )
    check_target(out)
    with extra("train", "litelens export"):  # TensorFlow: seconds to import, and absent on devices
        from exporter.candidates import CandidateSettings
        from exporter.float_model import from_foreign, from_run
        from exporter.gate import Bounds
        from exporter.normalisation import Normalisation
        from exporter.pipeline import ExportSettings
        from exporter.pipeline import export as export_model
        from exporter.summary import exported_json, refusal, text_table

    settings = ExportSettings(
        CandidateSettings(candidates, qat_epochs, qat_freeze_below, calibration, edge_tpu),
        Bounds(max_drop, min_ratio, max_class_drop),
        gate == "on",
        precision,
    )
    if run_folder:
        source = from_run(run_folder)
    else:
        normalisation = Normalisation(of_foreign["mean"], of_foreign["std"])
        source = from_foreign(foreign, of_foreign["labels"], of_foreign["data"], normalisation)
    exported = export_model(source, out, settings)
    click.echo(json.dumps(exported_json(exported), allow_nan=False) if as_json else text_table(exported))
    if exported.chosen is None:
        raise refusal(exported, out, report_path(out))
