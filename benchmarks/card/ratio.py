"""How much slower one run's frames are than another's, and how sure that is."""

import math
from dataclasses import dataclass

import numpy as np

CONFIDENCE = 0.95
"""Of the interval: of a hundred pairs of runs of the same thing about five are called different."""
DRAWS = 1000
"""Of the bootstrap; the standard error is then known to about 2 % (1 / sqrt(2 * DRAWS))."""
RANGE_OF_FIVE = 2.326
"""Expected range of five draws from a normal distribution, in its standard deviations (Tippett, Biometrika 17, 1925)."""
MOST_DOUBT = 100.0
"""Of half an interval's logarithm; a float does not hold the exponential of much more, and nobody needs it."""
MOST_WINDOWS = 100
"""Above this `windows_to_tell` gives up."""


@dataclass(frozen=True)
class Frames:
    """The times of a run."""

    windows: tuple[np.ndarray, ...]
    """At least one; each of shape (frames,), at least one frame, in ms, above 0."""
    tolerated_spread: float
    """The largest spread of five windows' medians, relative, at which the run may be quoted."""

    @property
    def median_ms(self) -> float:
        return float(np.median(np.concatenate(self.windows)))


@dataclass(frozen=True)
class Ratio:
    """Median of the new frames by that of the old ones: 1.1 is 10 % slower."""

    value: float
    low: float
    """Of the interval of CONFIDENCE."""
    high: float
    variances: tuple[float, float]
    """Of the logarithms of the old and the new median."""
    windows: tuple[int, int]
    """Old and new."""


def ratio_of_medians(old: Frames, new: Frames, draws: int = DRAWS) -> Ratio:
    """Compares two runs by a two-level bootstrap.

    The frames of a window hang together: a clock that went down or another program that ran slows all of them. So windows
    are drawn first, with replacement, and then frames within each (hierarchical data: Davison and Hinkley, Bootstrap
    Methods and their Application, 1997, section 3.8; of benchmarks: Kalibera and Jones, Rigorous Benchmarking in
    Reasonable Time, ISMM 2013). The interval is symmetrical about the logarithm of the ratio, its half-width the bootstrap's
    standard error times Student's t of the windows' degrees of freedom (Welch), with the variances multiplied by
    n / (n - 1): the plain percentiles of so few windows are too narrow (Hesterberg, The American Statistician 69, 2015).

    A run of one window says nothing of the drift between windows, which is then taken to be as large as is tolerated. What
    changes from one run to the next and not within one, such as another program that runs all the time, is in no interval.

    Args:
        old: The reference.
        new: What is judged.
        draws: How often the bootstrap draws.
    """
    draw = np.random.default_rng(0)  # the same cards give the same answer
    variances = tuple(_variance_of_log_median(run, draw, draws) for run in (old, new))
    windows = (len(old.windows), len(new.windows))
    middle = math.log(new.median_ms / old.median_ms)
    half = min(_half_width(variances, windows), MOST_DOUBT)
    return Ratio(math.exp(middle), math.exp(middle - half), math.exp(middle + half), variances, windows)


def windows_to_tell(found: Ratio, limit: float) -> int | None:
    """How many windows each run would need until the interval ends before the limit, if they spread as these did.

    None: more than MOST_WINDOWS, or a run of one window does not say how they spread.
    """
    if min(found.windows) < 2:
        return None
    distance = abs(math.log(found.value / limit))
    for windows in range(max(found.windows), MOST_WINDOWS + 1):
        variances = tuple(
            variance * had / windows for variance, had in zip(found.variances, found.windows, strict=True)
        )
        if _half_width(variances, (windows, windows)) < distance:
            return windows
    return None


def _variance_of_log_median(run: Frames, draw: np.random.Generator, draws: int) -> float:
    windows = run.windows
    sizes = np.array([times_ms.size for times_ms in windows])
    times = np.zeros((len(windows), sizes.max()))
    for row, times_ms in zip(times, windows, strict=True):
        row[: times_ms.size] = times_ms
    picked = draw.integers(len(windows), size=(draws, len(windows), 1))
    # As many frames of each window as the shortest has: they are of the same length in seconds, or nearly.
    frames = (draw.random((draws, len(windows), sizes.min())) * sizes[picked]).astype(int)
    medians = np.median(times[picked, frames].reshape(draws, -1), axis=1)
    variance = float(np.log(medians).var())
    if len(windows) == 1:
        return variance + (run.tolerated_spread / RANGE_OF_FIVE) ** 2
    return variance * len(windows) / (len(windows) - 1)


def _half_width(variances: tuple[float, ...], windows: tuple[int, ...]) -> float:
    """Of the interval of the logarithm of the ratio."""
    total = sum(variances)
    # Welch-Satterthwaite. What was assumed for a single window is no estimate: it takes no degree of freedom.
    uncertain = sum(
        variance**2 / (count - 1) for variance, count in zip(variances, windows, strict=True) if count > 1
    )
    freedom = total**2 / uncertain if uncertain else math.inf
    return student_t(freedom, (1 + CONFIDENCE) / 2) * math.sqrt(total)


def student_t(freedom: float, probability: float) -> float:
    """The quantile of Student's t distribution; SciPy is not on a device.

    With t = sqrt(freedom) * tan(angle) its density is cos(angle) ** (freedom - 1), which is added up here.

    Args:
        freedom: Degrees of freedom, at least 1, not always whole; beyond 1,000 it is 1,000.
        probability: 0.5 to 0.999.
    """
    freedom = min(freedom, 1000)
    angles, step = np.linspace(-math.pi / 2, math.pi / 2, 20_001, retstep=True)
    density = np.cos(angles[:-1] + step / 2) ** (freedom - 1)
    below = np.concatenate([[0], np.cumsum(density)])
    return float(math.sqrt(freedom) * np.tan(np.interp(probability, below / below[-1], angles)))
