"""Whether the numbers may be quoted."""

import numpy as np

from benchmarks.card.contract import Noise, Reading, Window
from benchmarks.measuring.others import CROWDED

SPREAD_LIMIT = 0.05
"""Of the windows' medians. MLPerf Tiny takes the median of five windows of 10 s; a machine at rest repeats one within a
few percent."""
FREQUENCY_LIMIT = 0.1
"""So far a processor's clock may fall below the highest that was read; a PC's goes up and down by some percent."""


def judge(
    windows: tuple[Window, ...],
    readings: tuple[Reading, ...],
    others_before: float | None,
    others_during: float | None,
) -> Noise:
    """Judges a bench by what its windows and the machine's sensors said.

    Args:
        windows: All of them.
        readings: In the order of time.
        others_before: Share of all cores' time that other programs took just before, 0 to 1; None: unknown.
        others_during: The same while the windows ran.
    """
    spread = median_spread(windows)
    reasons = []
    if spread > SPREAD_LIMIT:
        reasons.append(f"the windows' medians spread by {spread:.1%}, expected at most {SPREAD_LIMIT:.0%}")
    for share, when in ((others_before, "before the first window"), (others_during, "during the windows")):
        if share is not None and share > CROWDED:
            reasons.append(
                f"other programs took {share:.0%} of all cores {when}, expected at most {CROWDED:.0%}"
            )
    if slowed := sorted({reason for reading in readings for reason in reading.throttling or ()}):
        reasons.append(f"the board slowed itself down: {', '.join(slowed)}")
    reasons += _frequency_fell(readings)
    return Noise(spread, SPREAD_LIMIT, not reasons, tuple(reasons))


def median_spread(windows: tuple[Window, ...]) -> float:
    """Largest median of whole frames less the smallest, by their median."""
    medians = [window.whole.p50_ms for window in windows]
    return float((max(medians) - min(medians)) / np.median(medians))


def _frequency_fell(readings: tuple[Reading, ...]) -> list[str]:
    known = [r.frequency_mhz for r in readings if r.phase == "during" and r.frequency_mhz is not None]
    if not known or min(known) >= max(known) * (1 - FREQUENCY_LIMIT):
        return []
    return [f"the processor's clock was between {min(known):.0f} and {max(known):.0f} MHz during the windows"]
