"""What an export found out and decided: the data of its report, its table and --json."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edge_runtime.drift.reference import Reference
from exporter.decisions import FittedDecision
from exporter.edge_tpu import TpuCheck
from exporter.gate import Bounds, GateVerdict
from exporter.layers import LayerReport
from exporter.measurement import Measurement
from exporter.reliability import Reliability

if TYPE_CHECKING:
    from exporter.fidelity import Fidelity  # TensorFlow: seconds to import


@dataclass(frozen=True)
class ChangedPicture:
    """A picture that the shown candidate, int8, answers otherwise than float."""

    path: Path
    name: str
    """The path in the data folder, for people."""
    truth: str
    """The true label."""
    float_answer: str
    float_score: float
    """0 to 1, as are all scores here."""
    int8_answer: str
    int8_score: float


@dataclass(frozen=True)
class Exported:
    """One export, whether or not it wrote a model file."""

    name: str
    version: str
    labels: tuple[str, ...]
    """By class id."""
    split: str
    """The held-back split that all was measured on."""
    measurements: dict[str, Measurement]
    """By candidate, REFERENCE first and at least one more."""
    reliabilities: dict[str, Reliability]
    """By candidate, of the model's own scores."""
    verdicts: dict[str, GateVerdict]
    """By candidate, without REFERENCE."""
    bounds: Bounds
    gate: str
    """"on", or "off": judged, but written whatever came of it."""
    chosen: str | None
    """The candidate that was written; None if the gate let none through."""
    subject: str
    """The candidate that is shown beside REFERENCE: the chosen one, or the best of those that the gate refused."""
    changed: tuple[ChangedPicture, ...]
    """REFERENCE against `subject`."""
    layers: dict[str, LayerReport]
    """By int8 candidate."""
    fidelity: "Fidelity | None"
    """None where there was no quantization-aware training."""
    decision: FittedDecision | None
    reference: Reference
    """What `subject` answered on the split that the decision was fitted on."""
    before: Reliability | None
    """Of `subject` on the held-back split, before the decision's temperature."""
    after: Reliability | None
    edge_tpu: TpuCheck | None
    """Of `subject`."""
    calibration: str
    """One sentence: which pictures the ranges were measured on."""
    provenance: dict[str, Any]
    """Of plain types, nested as in the manifest."""
    seconds: dict[str, float]
    """By step."""
    notes: tuple[str, ...]
    """Sentences for people."""
