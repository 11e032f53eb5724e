import math

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from edge_runtime.decision import TemperedLevels, temper

HALF_STEP = 1 / 512
LEVELS = st.lists(st.integers(0, 255), min_size=2, max_size=120).filter(any)
"""Raw outputs of an 8-bit model: a level is 1/256."""
LOGITS = st.lists(st.floats(-10, 10, width=32), min_size=2, max_size=120)
TEMPERATURE = st.floats(0.05, 20)


def of_levels(levels) -> np.ndarray:
    return np.array(levels, np.float32) / np.float32(256)


def softmax(logits) -> np.ndarray:
    raised = np.exp(np.array(logits, np.float64) - max(logits))
    return raised / raised.sum()


@given(LOGITS, TEMPERATURE)
def test_is_the_softmax_of_the_logits_divided_by_the_temperature(logits, temperature):
    tempered = temper(softmax(logits).astype(np.float32), temperature, half_step=0.0)
    expected = softmax([logit / temperature for logit in logits])
    # float32 probabilities are right to 6e-8 of themselves; the power multiplies that by up to 1 / 0.05.
    np.testing.assert_allclose(tempered, expected, rtol=5e-6, atol=1e-30)


@given(LEVELS, TEMPERATURE)
def test_keeps_the_order_of_the_classes(levels, temperature):
    tempered = temper(of_levels(levels), temperature, HALF_STEP)
    ascending = np.argsort(levels, kind="stable")
    steps, changes = np.diff(np.array(levels)[ascending]), np.diff(tempered[ascending])
    assert (changes >= 0).all() and (changes[steps == 0] == 0).all()


@given(LOGITS, TEMPERATURE)
def test_keeps_the_order_of_neighbouring_float_scores(logits, temperature):
    probabilities = softmax(logits).astype(np.float32)
    ascending = np.sort(np.concatenate([probabilities, np.nextafter(probabilities, np.float32(1))]))
    assert (np.diff(temper(ascending, temperature, half_step=0.0)) >= 0).all()


@given(LEVELS, st.floats(1e-3, 1e3).filter(lambda temperature: temperature != 1))
def test_sums_to_one(levels, temperature):
    tempered = temper(of_levels(levels), temperature, HALF_STEP)
    assert (tempered.shape, tempered.dtype) == ((len(levels),), np.float32)
    assert tempered.sum(dtype=float) == pytest.approx(1, abs=1e-6) and (tempered >= 0).all()


@given(LEVELS)
def test_a_temperature_of_one_changes_nothing(levels):
    probabilities = of_levels(levels)
    assert np.array_equal(temper(probabilities, 1.0, HALF_STEP), probabilities)


@given(LEVELS, TEMPERATURE.filter(lambda temperature: temperature != 1))
def test_hotter_is_less_sure(levels, temperature):
    cooler, hotter = (temper(of_levels(levels), t, HALF_STEP).max() for t in (temperature, 2 * temperature))
    # 2 T may be 1, where the levels come back as they are and need not sum to 1.
    assert hotter <= cooler + 1e-6 or 2 * temperature == 1


@given(
    st.integers(2, 20).flatmap(
        lambda classes: st.lists(
            st.lists(st.integers(0, 255), min_size=classes, max_size=classes).filter(any),
            min_size=1,
            max_size=5,
        )
    ),
    TEMPERATURE,
)
def test_rows_together_are_rows_one_by_one(rows, temperature):
    """The exporter fits on all pictures at once; a device must reach the very thresholds with one."""
    together = temper(of_levels(rows), temperature, HALF_STEP)
    assert np.array_equal(together, [temper(of_levels(row), temperature, HALF_STEP) for row in rows])


@pytest.mark.parametrize(
    "levels, expected",
    [
        ([255, 0], 1 / (1 + math.sqrt(0.5 / 255))),  # 255 to half a step, not to nothing
        ([200, 56], 1 / (1 + math.sqrt(56 / 200))),  # without zeros, nothing is shared
        ([200, 0, 0], 1 / (1 + 2 * math.sqrt(0.25 / 200))),
        ([200] + 119 * [0], 1 / (1 + 119 * math.sqrt(0.5 / 119 / 200))),  # half a step each would leave 0.14
    ],
    ids=["two classes", "no zero", "two zeros", "119 zeros"],
)
def test_classes_that_show_zero_share_half_a_step(levels, expected):
    assert temper(of_levels(levels), 2.0, HALF_STEP)[0] == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("dtype, zero_point", [(np.uint8, 0), (np.int8, -128), (np.uint8, 3)])
@given(LEVELS, st.floats(1e-3, 1e3) | st.just(1.0))
def test_levels_are_tempered_to_the_bit_as_probabilities_are(dtype, zero_point, levels, temperature):
    output = np.array(levels, np.uint8).view(dtype)
    patterns = np.arange(256, dtype=np.uint8).view(dtype)
    of_patterns = (patterns.astype(np.float32) - zero_point) / np.float32(256)
    probabilities = of_patterns.take(output.view(np.uint8))
    assume((probabilities > 0).any())
    tempered = TemperedLevels(of_patterns, temperature, HALF_STEP)
    for _ in range(2):  # the second time the powers are looked up
        assert np.array_equal(tempered.scores(output), temper(probabilities, temperature, HALF_STEP))
