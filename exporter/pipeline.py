"""Export: candidates, measured by the device's code, judged by the gate, the best one written with its proof."""

import dataclasses
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edge_runtime.classifier import Classifier
from edge_runtime.decision import DecisionRule, temper
from edge_runtime.device import compiled_beside
from edge_runtime.drift.histogram import Histogram
from edge_runtime.drift.reference import REFERENCE_NAME, Reference
from edge_runtime.model_file import (
    GATE_OFF,
    GATE_PASSED,
    Accuracy,
    Gate,
    Manifest,
    ModelFile,
    Provenance,
    SelfTestVector,
    pack,
)
from edge_runtime.whole_file import write_together
from exporter.candidate_kinds import INT8, REFERENCE
from exporter.candidates import Candidates, CandidateSettings, make_candidates
from exporter.decisions import FittedDecision, fit_decision
from exporter.edge_tpu import check as check_edge_tpu
from exporter.edge_tpu_compiler import HOW_TO_GET, compile_for_tpu
from exporter.edge_tpu_compiler import find as find_edge_tpu_compiler
from exporter.exported import ChangedPicture, Exported
from exporter.float_model import FloatModel
from exporter.gate import Bounds, Outcome, judge
from exporter.layers import compare_layers
from exporter.measurement import Measurement, measure
from exporter.metadata import add_metadata
from exporter.reliability import reliability
from exporter.report import render_export
from exporter.target import report_path
from trainer.progress import say
from trainer.run_folder import package_versions

SELFTEST_COEFFICIENTS = ((1, 1, 40), (7, 3, 80), (2, 11, 120))
"""Gradients of different slope: smooth, diagonal and busy inputs."""
SELFTEST_TOLERANCE = 26
"""Of 255 output steps. Interpreters differed by up to 24 on one int8 model: per-channel kernels round differently."""
LAYER_PICTURES = 16
"""Enough for each layer's signal-to-noise: activations have a million values a picture."""


@dataclass(frozen=True)
class ExportSettings:
    """What an export makes and asks for."""

    making: CandidateSettings
    bounds: Bounds
    gate: bool
    """Whether the gate decides; if not, the best int8 candidate is written whatever the gate says of it."""
    precision: float
    """What each class's answers should reach, 0 to 1; below its threshold a device answers "unknown"."""


def export(source: FloatModel, out: Path, settings: ExportSettings) -> Exported:
    """Makes candidates, measures them beside float, and writes the int8 one that passes the gate and agrees best.

    Beside the model file stands its report, NAME.report.html; it is written if the gate lets none through, too.

    Args:
        source: The float model and its pictures.
        out: The model file to write; exporter.target tells before anything else whether it can be.
        settings: What to make and ask for.

    Returns:
        What was found out; `chosen` is None if no int8 candidate passed, and then no model file was written.

    Raises:
        DataError: If there are too few training pictures to calibrate with.
        CannotQuantize: If quantization-aware training was asked for by name and the model cannot be trained.
        FidelityError: If the quantization-aware model and its .tflite answer differently.
        CompilerError: If the Edge TPU's compiler refuses the model.
        WriteError: If a file cannot be written; then the earlier ones are untouched.
    """
    made = make_candidates(source, settings.making)
    with tempfile.TemporaryDirectory() as temporary:
        classifiers = {
            name: _classifier(Path(temporary), name, model, source) for name, model in made.models.items()
        }
        exported = _judged(source, made, settings, classifiers, out.stem)
        files = {}
        if exported.chosen:
            manifest = _manifest(source, exported, classifiers[exported.chosen])
            files[out] = _model_file(made.models[exported.chosen], source, manifest, exported.reference)
            if settings.making.edge_tpu:
                note, compiled = _compiled(
                    made.models[exported.chosen], source, manifest, exported.reference, out
                )
                exported = dataclasses.replace(exported, notes=(*exported.notes, note))
                files |= compiled
    report = report_path(out)
    write_together(files | {report: render_export(exported).encode()})
    for path in (*files, report):
        say(f"{path} written, {path.stat().st_size} bytes")
    return exported


def _classifier(folder: Path, name: str, model: bytes, source: FloatModel) -> Classifier:
    path = folder / f"{name}.tflite"
    path.write_bytes(model)
    return Classifier(ModelFile(path, None, source.labels, len(model)))


def _judged(
    source: FloatModel,
    made: Candidates,
    settings: ExportSettings,
    classifiers: dict[str, Classifier],
    name: str,
) -> Exported:
    started = time.monotonic()
    say(f"measuring on {len(source.splits[source.held_back])} {source.held_back} pictures ...")
    measurements = measure(classifiers, source.splits[source.held_back])
    measured = time.monotonic()
    verdicts = {
        candidate: judge(found, measurements[REFERENCE], settings.bounds, source.labels)
        for candidate, found in measurements.items()
        if candidate != REFERENCE
    }
    int8 = [candidate for candidate in INT8 if candidate in measurements]
    chosen = _best([c for c in int8 if verdicts[c].passed or not settings.gate], measurements)
    too_small = [candidate for candidate in int8 if verdicts[candidate].outcome is Outcome.TOO_SMALL]
    subject = chosen or _best(too_small or int8, measurements)
    pictures = source.load_pictures(source.held_back, _spread(len(source.splits[source.held_back])))
    layers = {
        candidate: compare_layers(candidate, made.models[REFERENCE], made.models[candidate], pictures)
        for candidate in int8
    }
    decision, reference = _fit_decision(
        source, classifiers[subject], measurements[subject], settings.precision
    )
    shown = measurements[subject]
    calibrated = temper(shown.probabilities, decision.rule.temperature, classifiers[subject].half_step)
    seconds = {"measuring": measured - started, "layers and decision": time.monotonic() - measured}
    return Exported(
        name=name,
        version=time.strftime("%Y%m%d.%H%M%S", time.gmtime()),
        labels=source.labels,
        split=source.held_back,
        measurements=measurements,
        reliabilities={
            candidate: reliability(found.probabilities, found.truth)
            for candidate, found in measurements.items()
        },
        verdicts=verdicts,
        bounds=settings.bounds,
        gate="on" if settings.gate else "off",
        chosen=chosen,
        subject=subject,
        changed=_changed(source, measurements[REFERENCE], shown),
        layers=layers,
        fidelity=made.fidelity,
        decision=decision,
        reference=reference,
        before=reliability(shown.probabilities, shown.truth),
        after=reliability(calibrated, shown.truth),
        edge_tpu=check_edge_tpu(made.models[subject]),
        calibration=_calibration(source, made),
        provenance={
            "data_fingerprint": source.fingerprint,
            "config": source.config | {"calibration": list(made.calibration)},
            "packages": package_versions(),
        },
        seconds=made.seconds | {step: round(value, 1) for step, value in seconds.items()},
        notes=(*source.notes, *made.notes),
    )


def _best(candidates: list[str], measurements: dict[str, Measurement]) -> str | None:
    """The one that answers most like float, and of equal ones the one that is right more often, or was made first."""
    return max(
        candidates,
        key=lambda name: (measurements[name].agreement(measurements[REFERENCE]), measurements[name].right),
        default=None,
    )


def _spread(pictures: int) -> list[int]:
    """Indices of at most LAYER_PICTURES pictures over a whole split, which is in the order of its classes."""
    return sorted(set(np.linspace(0, pictures - 1, LAYER_PICTURES).astype(int).tolist()))


def _fit_decision(
    source: FloatModel, classifier: Classifier, held_back: Measurement, precision: float
) -> tuple[FittedDecision, Reference]:
    """On validation, so that a test split judges what it was not fitted on; and what a device would answer there."""
    found = (
        held_back
        if source.held_back == "validation"
        else measure({held_back.candidate: classifier}, source.splits["validation"])[held_back.candidate]
    )
    decision = fit_decision(
        found.probabilities,
        found.truth,
        half_step=classifier.half_step,
        precision=precision,
        split="validation",
    )
    return decision, _reference(found, decision.rule, source.labels, classifier.half_step)


def _reference(
    found: Measurement, rule: DecisionRule, labels: tuple[str, ...], half_step: float
) -> Reference:
    scores = temper(found.probabilities, rule.temperature, half_step)
    histogram = Histogram(labels)
    for class_id, row in zip(found.answers.tolist(), scores, strict=True):
        score = row.item(class_id)
        histogram.count(class_id, score, score < rule.thresholds[class_id])
    return Reference(rule.split, histogram)


def _changed(source: FloatModel, reference: Measurement, shown: Measurement) -> tuple[ChangedPicture, ...]:
    pictures, labels = source.splits[source.held_back], source.labels
    return tuple(
        ChangedPicture(
            path=pictures[i].path,
            name=pictures[i].path.relative_to(source.data).as_posix(),
            truth=labels[reference.truth[i]],
            float_answer=labels[reference.answers[i]],
            float_score=float(reference.probabilities[i].max()),
            int8_answer=labels[shown.answers[i]],
            int8_score=float(shown.probabilities[i].max()),
        )
        for i in np.flatnonzero(reference.answers != shown.answers)
    )


def _calibration(source: FloatModel, made: Candidates) -> str:
    return (
        f"Post-training ranges come from {len(made.calibration)} of {len(source.splits['train'])} training pictures, "
        f"drawn class by class with seed {source.seed}; none of another split."
    )


def _manifest(source: FloatModel, exported: Exported, classifier: Classifier) -> Manifest:
    reference, int8 = exported.measurements[REFERENCE], exported.measurements[exported.chosen]
    return Manifest(
        name=exported.name,
        version=exported.version,
        resize=source.resize,
        method=exported.chosen,
        accuracy=Accuracy(
            split=exported.split,
            pictures=reference.pictures,
            float_top1=reference.top1,
            int8_top1=int8.top1,
            agreement=int8.agreement(reference),
        ),
        gate=Gate(
            outcome=GATE_PASSED if exported.gate == "on" else GATE_OFF, **dataclasses.asdict(exported.bounds)
        ),
        decision=exported.decision.rule,
        selftest=_selftest_vectors(classifier),
        provenance=Provenance(**exported.provenance),
    )


def _selftest_vectors(classifier: Classifier) -> tuple[SelfTestVector, ...]:
    vectors = []
    for coefficients in SELFTEST_COEFFICIENTS:
        vector = SelfTestVector(coefficients, (), SELFTEST_TOLERANCE)
        output = classifier.invoke(vector.picture(classifier.input_size)[np.newaxis])
        vectors.append(dataclasses.replace(vector, expected=tuple(int(value) for value in output)))
    return tuple(vectors)


def _model_file(model: bytes, source: FloatModel, manifest: Manifest, reference: Reference) -> bytes:
    named = ", ".join(source.labels[:6]) + (" and more" if len(source.labels) > 6 else "")
    described = add_metadata(
        model,
        source.labels,
        name=manifest.name,
        version=manifest.version,
        description=f"Tells {named} apart in pictures.",
    )
    return pack(described, source.labels, manifest, {REFERENCE_NAME: reference.to_json()})


def _compiled(
    model: bytes, source: FloatModel, manifest: Manifest, reference: Reference, out: Path
) -> tuple[str, dict[Path, bytes]]:
    """(a sentence on what the Edge TPU's compiler made of it, the compiled model file if there is one)."""
    compiler = find_edge_tpu_compiler()
    if compiler is None:
        say(HOW_TO_GET)
        return "Not compiled for the Edge TPU: edgetpu_compiler is not on the PATH.", {}
    compilation = compile_for_tpu(model, compiler)
    path = compiled_beside(out)
    mapped = sum(operator.count for operator in compilation.operators if operator.mapped)
    note = (
        f"edgetpu_compiler {compilation.compiler_version} mapped {mapped} of "
        f"{sum(operator.count for operator in compilation.operators)} operators in {compilation.subgraphs} parts; "
        f"{compilation.on_chip_used_bytes} bytes of parameters stay on the chip, {compilation.off_chip_bytes} do not."
    )
    say(note)
    return note, {path: _model_file(compilation.model, source, manifest, reference)}
