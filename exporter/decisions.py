"""Fits what a device needs to answer rather than to score: a temperature, and a threshold a class."""

from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize_scalar

from edge_runtime.decision import DecisionRule, temper

TEMPERATURES = (0.05, 20.0)
"""Where the temperature is looked for; networks of Guo et al. (2017) needed 0.5 to 3."""
_LEAST = np.finfo(np.float32).tiny
"""Stands for a probability of 0 in a logarithm."""


@dataclass(frozen=True)
class FittedDecision:
    """A rule, and how each class fares with it on the pictures it was fitted on; one entry a label."""

    rule: DecisionRule
    reached: tuple[float | None, ...]
    """0 to 1: the share of the class's answers that are right; None where the class is never the best."""
    answered: tuple[float | None, ...]
    """0 to 1: of the pictures whose best label it is, the share not answered "unknown"; None as above."""


def fit_decision(
    probabilities: np.ndarray, truth: np.ndarray, *, half_step: float, precision: float, split: str
) -> FittedDecision:
    """Fits the temperature, and then the thresholds on the tempered scores.

    Args:
        probabilities: Shape (pictures, classes), float32: the model's own, at least two classes. Of a split that
            the model was not trained on, and that its accuracy is not reported on.
        truth: Shape (pictures,): the true class ids.
        half_step: Of the model's output; see edge_runtime.decision.temper.
        precision: Smallest share of right answers to reach for each class, 0 to 1; 0 always answers.
        split: The split's name.
    """
    temperature = fit_temperature(probabilities, truth, half_step)
    scores = temper(probabilities, temperature, half_step)
    best = probabilities.argmax(axis=1)  # of equal ones the lower id, as the device does
    fitted = [
        _fit_class(scores[best == class_id, class_id], truth[best == class_id] == class_id, precision)
        for class_id in range(probabilities.shape[1])
    ]
    thresholds, reached, answered = zip(*fitted, strict=True)
    rule = DecisionRule(temperature, thresholds, precision, split, pictures=len(truth))
    return FittedDecision(rule, reached, answered)


def fit_temperature(probabilities: np.ndarray, truth: np.ndarray, half_step: float) -> float:
    """The temperature of least negative log likelihood (Guo et al., 2017), with one mistake in n + 2 assumed.

    Where every picture is right, likelihood alone would sharpen without end. So the truth counts 1 - 1 / (n + 2)
    and the other classes share the rest: n right of n are believed to 1 - 1 / (n + 2) (Platt, "Probabilistic
    outputs for support vector machines", 1999, section 2.2). With n in the hundreds it moves little else. The
    loss stays convex in 1 / T, so the bounded search finds its one minimum.

    Args:
        probabilities: Shape (pictures, classes), float32: the model's own, at least two classes.
        truth: Shape (pictures,): the true class ids.
        half_step: Of the model's output; see edge_runtime.decision.temper.

    Returns:
        A number in TEMPERATURES; 1.0 where no other is better.
    """
    pictures, classes = probabilities.shape
    mistake = 1 / (pictures + 2)
    targets = np.full(probabilities.shape, mistake / (classes - 1))
    targets[np.arange(pictures), truth] = 1 - mistake

    def loss(log_temperature: float) -> float:
        tempered = temper(probabilities, float(np.exp(log_temperature)), half_step)
        return float(-(targets * np.log(np.maximum(tempered, _LEAST))).sum())

    found = minimize_scalar(loss, bounds=np.log(TEMPERATURES), method="bounded")
    # Beside 1, not at it: there temper leaves zeros and sums as they are, which would not compare.
    return float(np.exp(found.x)) if found.fun < loss(1e-9) else 1.0


def _fit_class(
    scores: np.ndarray, right: np.ndarray, precision: float
) -> tuple[float, float | None, float | None]:
    """Threshold, precision reached and share answered of a class, by the pictures whose best label it is.

    Args:
        scores: Shape (pictures,): the class's score in each.
        right: Shape (pictures,), bool: whether it is the true one.
        precision: Smallest share of right ones to reach.
    """
    if not len(scores):
        return 0.0, None, None
    order = np.argsort(scores)[::-1]
    # Pictures of one score are answered all or none: a threshold lies at the last of each.
    descending = scores[order]
    last = np.append(np.flatnonzero(np.diff(descending)), len(scores) - 1)
    answered = last + 1
    precisions = right[order].cumsum()[last] / answered
    # The last that reaches it has the lowest threshold; of those that do not, the last of the most precise.
    wanted = min(precision, precisions.max())
    chosen = np.flatnonzero(precisions >= wanted)[-1]
    everything = chosen == len(last) - 1
    threshold = 0.0 if everything else float(descending[last[chosen]])
    return threshold, float(precisions[chosen]), float(answered[chosen] / len(scores))
