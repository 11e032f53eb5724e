"""An export as text for the terminal and as plain data for --json."""

import dataclasses
import math
from pathlib import Path
from typing import Any

import numpy as np

from edge_runtime.errors import GateMissed
from exporter.candidate_kinds import REFERENCE
from exporter.exported import Exported
from exporter.gate import CONFIDENCE, GateVerdict, Outcome, provable
from exporter.measurement import Measurement


def text_table(exported: Exported) -> str:
    """The candidates, a line for each check that did not pass, and the layer to look at first; no newline at the end."""
    reference = exported.measurements[REFERENCE]
    lines = [
        f"{reference.pictures} {exported.split} pictures, measured through edge_runtime.Classifier",
        f"{'candidate':13} {'bytes':>9} {'top-1':>7} {'drop, points [90 %]':>22} {'worst class':>11} {'agreement':>9} {'ECE':>6} "
        f"{'p50 ms':>7}  gate{'' if exported.gate == 'on' else ' (off)'}",
    ]
    for name, found in exported.measurements.items():
        verdict = exported.verdicts.get(name)
        lines.append(
            f"{name:13} {found.size_bytes:9} {100 * found.top1:6.2f}% {_drop(verdict):>22} "
            f"{100 * found.worst_recall:10.2f}% {100 * found.agreement(reference):8.2f}% "
            f"{exported.reliabilities[name].error:6.3f} {found.p50_ms:7.2f}  "
            f"{verdict.outcome if verdict else 'reference'}"
        )
    for name, report in exported.layers.items():  # the int8 candidates: no other is written
        verdict = exported.verdicts[name]
        lines += [
            f"{name}: {check.outcome}: {check.explanation}"
            for check in verdict.checks
            if check.outcome in (Outcome.MISSED, Outcome.TOO_SMALL)
        ]
        if not verdict.passed and (layer := report.suspect):
            lines.append(
                f"{name}: look first at layer {layer.index}, {layer.operator} {layer.name}: {layer.snr_db:.1f} dB"
            )
    return "\n".join(lines)


def refusal(exported: Exported, out: Path, report: Path) -> GateMissed:
    """Why no model file was written, and what to do."""
    verdict, bounds = exported.verdicts[exported.subject], exported.bounds
    if verdict.outcome is Outcome.TOO_SMALL:
        pictures = exported.measurements[exported.subject].pictures
        return GateMissed(
            f"{pictures} {exported.split} pictures are too few to prove that {exported.subject} loses at most "
            f"{bounds.max_drop:g} points of top-1; {out} was not written",
            f"hold back more pictures; or accept what these can prove: --max-drop {provable(verdict):.1f}",
        )
    return GateMissed(
        f"no int8 model passed the gate; {out} was not written",
        f"{report} says what was lost and in which layer; train longer, use more pictures, or set other bounds: "
        "--max-drop, --min-ratio, --max-class-drop, --gate off",
    )


def exported_json(exported: Exported) -> dict[str, Any]:
    """The whole export in types that ``json.dumps(..., allow_nan=False)`` takes: NaN and infinity become null.

    Accuracies, recalls and scores are 0 to 1; drops are points, as in the gate's checks.
    """
    reference = exported.measurements[REFERENCE]
    return _plain(
        {
            "name": exported.name,
            "version": exported.version,
            "labels": exported.labels,
            "split": exported.split,
            "pictures": reference.pictures,
            "chosen": exported.chosen,
            "subject": exported.subject,
            "gate": exported.gate,
            "bounds": exported.bounds,
            "interval_confidence": CONFIDENCE,
            "candidates": {
                name: _candidate(exported, name, found, reference)
                for name, found in exported.measurements.items()
            },
            "verdicts": {name: _verdict(verdict) for name, verdict in exported.verdicts.items()},
            "changed": exported.changed,
            "layers": exported.layers,
            "fidelity": exported.fidelity,
            "decision": exported.decision,
            "reliability_before": exported.before,
            "reliability_after": exported.after,
            "edge_tpu": exported.edge_tpu,
            "calibration": exported.calibration,
            "provenance": exported.provenance,
            "seconds": exported.seconds,
            "notes": exported.notes,
        }
    )


def _drop(verdict: GateVerdict | None) -> str:
    if verdict is None:
        return ""
    top1 = verdict.checks[0]
    return f"{top1.value:+.2f} [{top1.low:+.2f}, {top1.high:+.2f}]"


def _candidate(exported: Exported, name: str, found: Measurement, reference: Measurement) -> dict[str, Any]:
    return {
        "size_bytes": found.size_bytes,
        "top1": found.top1,
        "agreement": found.agreement(reference),
        "calibration_error": exported.reliabilities[name].error,
        "p50_ms": found.p50_ms,
        "recalls": found.recalls,
        "confusion": found.confusion,
        "operators": found.operators,
        "reliability": exported.reliabilities[name],
    }


def _verdict(verdict: GateVerdict) -> dict[str, Any]:
    return {
        "outcome": verdict.outcome,
        "passed": verdict.passed,
        "drop": verdict.drop,
        "mcnemar_p": verdict.mcnemar_p,
        "checks": verdict.checks,
    }


def _plain(value: Any) -> Any:
    match value:
        case dict():
            return {str(key): _plain(one) for key, one in value.items()}
        case list() | tuple():
            return [_plain(one) for one in value]
        case np.ndarray() | np.generic():
            return _plain(value.tolist())
        case float():
            return value if math.isfinite(value) else None
        case None | bool() | int():
            return value
    if dataclasses.is_dataclass(value):
        fields = dataclasses.fields(value)
        return {field.name: _plain(getattr(value, field.name)) for field in fields}
    return str(value)  # paths, outcomes and dates among others
