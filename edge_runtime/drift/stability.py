"""The measure: the population stability index, known from the scorecards of banks, which watch their scores for years."""

import numpy as np

SOME_SHIFT, SHIFTED = 0.1, 0.25
"""The customary bounds (Siddiqi, "Credit Risk Scorecards", 2006): below the first nothing has changed, from the second on
the population is another."""
_PRIOR = 0.5
"""Added to each bin, as Jeffreys' prior has it: an empty bin is rare, not impossible."""


def stability_index(found: np.ndarray, expected: np.ndarray, size: float) -> float:
    """How far two histograms are from each other: the sum of (p - q) ln(p / q) over their shares; 0 where they are equal.

    Both are scaled to `size` before anything is added to their bins. Otherwise the same half would be a hundredth of fifty
    pictures and nothing of ten thousand frames, and their empty bins would differ by that alone.

    Args:
        found: Counts or shares, shape (bins,), with a sum above 0.
        expected: The same.
        size: How many answers the smaller of them stands for.
    """
    p, q = _shares(found, size), _shares(expected, size)
    return float(((p - q) * np.log(p / q)).sum())


def _shares(counts: np.ndarray, size: float) -> np.ndarray:
    smoothed = counts / counts.sum() * size + _PRIOR
    return smoothed / smoothed.sum()
