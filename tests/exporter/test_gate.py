import numpy as np
import pytest

from exporter.gate import judge
from exporter.measurement import Measurement

TRUTH = np.zeros(1000, np.int32)


def measured(right: int) -> Measurement:
    answers = np.ones(1000, np.int32)
    answers[:right] = 0
    return Measurement("qat", 1, answers, TRUTH, 1.0)


@pytest.mark.parametrize(
    "float_right, int8_right, max_drop, drop, passed",
    [
        (980, 980, 0.0, 0.0, True),
        (980, 970, 1.0, 1.0, True),  # at the bound
        (980, 969, 1.0, 1.1, False),
        (980, 985, 0.0, -0.5, True),
        (980, 979, 0.1, 0.1, True),  # 0.1 is no binary fraction: the bound must still hold what it says
        (980, 985, -1.0, -0.5, False),  # a negative bound asks int8 to be better
        (0, 0, 0.0, 0.0, True),
    ],
)
def test_the_gate_passes_what_lost_at_most_max_drop(float_right, int8_right, max_drop, drop, passed):
    verdict = judge(measured(int8_right), measured(float_right), max_drop)
    assert (verdict.drop, verdict.passed) == (pytest.approx(drop), passed)


def test_a_measurement_counts_what_is_right_and_what_agrees():
    first = Measurement("ptq", 1, np.array([0, 1, 2, 2]), np.array([0, 1, 2, 1]), 1.0)
    other = Measurement("float", 1, np.array([0, 1, 1, 1]), first.truth, 1.0)
    assert (first.right, first.top1, first.agreement(other)) == (3, 0.75, 0.5)
