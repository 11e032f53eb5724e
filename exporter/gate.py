"""Decides whether an int8 model is good enough to be written."""

from dataclasses import dataclass

from exporter.measurement import Measurement


@dataclass(frozen=True)
class GateVerdict:
    """What the gate says of one candidate."""

    candidate: str
    drop: float
    """Points of top-1 that were lost against float; negative where int8 is better."""
    passed: bool


def judge(measurement: Measurement, reference: Measurement, max_drop: float) -> GateVerdict:
    """Compares a candidate with the float model on the same pictures.

    Args:
        measurement: Of the candidate.
        reference: Of the float model.
        max_drop: Largest loss of top-1 that passes, in percentage points.
    """
    lost = reference.right - measurement.right  # whole pictures: no rounding decides at the bound
    drop = 100 * lost / reference.pictures
    return GateVerdict(measurement.candidate, drop, 100 * lost <= max_drop * reference.pictures)
