import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_runtime.decision import temper
from exporter.decisions import TEMPERATURES, fit_decision, fit_temperature
from exporter.reliability import reliability

HALF_STEP = 1 / 512


def softmax(logits: np.ndarray) -> np.ndarray:
    raised = np.exp(logits - logits.max(axis=1, keepdims=True))
    return (raised / raised.sum(axis=1, keepdims=True)).astype(np.float32)


def calibrated(pictures: int, classes: int) -> tuple[np.ndarray, np.ndarray]:
    """Logits whose softmax is the true probability of each class, and truths drawn by it."""
    random = np.random.default_rng(7)
    logits = random.normal(0, 2, (pictures, classes))
    truth = (softmax(logits).cumsum(axis=1) < random.random((pictures, 1))).sum(axis=1)
    return logits, truth.clip(max=classes - 1)


def to_8_bits(probabilities: np.ndarray) -> np.ndarray:
    return np.minimum(np.round(probabilities * 256), 255).astype(np.float32) / 256


@pytest.mark.parametrize("classes", [2, 6, 120])
@pytest.mark.parametrize("overconfidence", [0.5, 1.0, 2.0])
def test_finds_by_how_much_a_float_model_is_overconfident(classes, overconfidence):
    logits, truth = calibrated(4000, classes)
    found = fit_temperature(softmax(logits * overconfidence), truth, half_step=0.0)
    assert found == pytest.approx(overconfidence, rel=0.1)


@pytest.mark.parametrize("classes", [2, 6, 120])
def test_an_8_bit_model_is_calibrated_too(classes):
    logits, truth = calibrated(4000, classes)
    probabilities = to_8_bits(softmax(logits * 2))
    found = fit_temperature(probabilities, truth, HALF_STEP)
    tempered = temper(probabilities, found, HALF_STEP)
    assert reliability(tempered, truth).error < 0.4 * reliability(probabilities, truth).error


@pytest.mark.parametrize("pictures", [10, 240, 5000])
@pytest.mark.parametrize("classes", [2, 6, 120])
def test_a_perfect_split_is_believed_to_one_mistake_in_n_plus_2(pictures, classes):
    truth = np.arange(pictures) % classes
    probabilities = (np.eye(classes, dtype=np.float32) * 255 / 256)[truth]
    found = fit_temperature(probabilities, truth, HALF_STEP)
    best = temper(probabilities, found, HALF_STEP).max()
    assert best == pytest.approx((pictures + 1) / (pictures + 2), abs=1e-4)
    assert 0.5 < found < 4


@pytest.mark.parametrize(
    "probabilities, half_step",
    [
        (np.full((50, 3), 1 / 3, np.float32), 0.0),
        (np.full((50, 3), 85 / 256, np.float32), HALF_STEP),
        (np.eye(2, dtype=np.float32)[np.arange(50) % 2], 0.0),
    ],
    ids=["uniform float", "uniform 8-bit", "float that underflowed"],
)
def test_where_any_temperature_would_do_it_is_one(probabilities, half_step):
    assert fit_temperature(probabilities, probabilities.argmax(axis=1), half_step) == 1.0


def best_is_0(scores: list[float]) -> np.ndarray:
    """Rows of three classes whose best is the first; the last class is never the best."""
    first = np.array(scores, np.float32)
    return np.stack([first, 1 - first, np.zeros_like(first)], axis=1)


# The first column's scores, best first, and whether they are right.
@pytest.mark.parametrize(
    "scores, right, precision, kept, reached",
    [
        ([0.9, 0.8, 0.7, 0.6], [1, 1, 1, 1], 1.0, 4, 1.0),
        ([0.9, 0.8, 0.7, 0.6], [1, 1, 1, 0], 0.75, 4, 0.75),  # already that precise
        ([0.9, 0.8, 0.7, 0.6], [1, 1, 0, 0], 0.0, 4, 0.5),  # nothing asked
        ([0.9, 0.8, 0.7, 0.6], [1, 1, 1, 0], 0.9, 3, 1.0),
        (
            [0.9, 0.8, 0.7, 0.6],
            [1, 0, 1, 0],
            0.6,
            3,
            2 / 3,
        ),  # the lowest that reaches it, past one that does not
        ([0.9, 0.8, 0.8, 0.6], [1, 1, 0, 0], 0.9, 1, 1.0),  # equal scores are kept together
        ([0.9, 0.8, 0.7, 0.6], [0, 1, 1, 0], 0.9, 3, 2 / 3),  # not reached: the most precise
        ([0.9, 0.8, 0.7, 0.6], [0, 1, 0, 1], 0.9, 4, 0.5),  # equally precise at 0.8: the most answers
    ],
)
def test_a_threshold_is_the_lowest_score_that_is_precise_enough(scores, right, precision, kept, reached):
    probabilities, truth = best_is_0(scores), np.where(right, 0, 1)
    fitted = fit_decision(probabilities, truth, half_step=0.0, precision=precision, split="validation")
    tempered = temper(probabilities, fitted.rule.temperature, 0.0)[:, 0]
    threshold = fitted.rule.thresholds[0]
    assert threshold == (0.0 if kept == 4 else tempered[kept - 1])
    assert (tempered >= threshold).sum() == kept
    assert fitted.reached == (pytest.approx(reached), None, None)
    assert fitted.answered == (kept / 4, None, None)
    assert fitted.rule.thresholds[1:] == (0.0, 0.0), "never the best"


@pytest.mark.parametrize("percent", range(1, 100))
def test_no_rounding_decides_at_the_asked_precision(percent):
    """0.07 * 100 is 7.000000000000001: compared by multiplying, 7 right of 100 would fall short."""
    truth = np.where(np.arange(100) < percent, 0, 1)
    fitted = fit_decision(
        best_is_0([0.9] * 100), truth, half_step=0.0, precision=percent / 100, split="validation"
    )
    assert fitted.rule.thresholds[0] == 0.0 and fitted.reached[0] >= percent / 100


@settings(deadline=None)  # a busy machine takes longer than 200 ms now and then
@given(st.integers(0, 2**32 - 1), st.integers(2, 8), st.integers(1, 60), st.floats(0, 1))
def test_the_rule_reaches_what_it_says(seed, classes, pictures, precision):
    random = np.random.default_rng(seed)
    probabilities = to_8_bits(softmax(random.normal(0, 3, (pictures, classes))))
    truth = random.integers(0, classes, pictures)
    fitted = fit_decision(probabilities, truth, half_step=HALF_STEP, precision=precision, split="validation")
    rule = fitted.rule
    assert (rule.precision, rule.split, rule.pictures) == (precision, "validation", pictures)
    assert TEMPERATURES[0] <= rule.temperature <= TEMPERATURES[1]
    assert all(type(number) is float and 0 <= number <= 1 for number in rule.thresholds)
    best = probabilities.argmax(axis=1)
    scores = temper(probabilities, rule.temperature, HALF_STEP)[np.arange(pictures), best]
    known = scores >= np.array(rule.thresholds)[best]
    for class_id in range(classes):
        first, answered = best == class_id, (best == class_id) & known
        if not first.any():
            assert fitted.reached[class_id] is None and rule.thresholds[class_id] == 0.0
            continue
        assert fitted.reached[class_id] == pytest.approx((truth[answered] == class_id).mean())
        assert fitted.answered[class_id] == pytest.approx(answered.sum() / first.sum())
