import pytest

from benchmarks.card.contract import Reading, Spread, Window
from benchmarks.measuring.noise import judge, median_spread


def windows(*medians_ms: float) -> tuple[Window, ...]:
    spreads = [Spread(ms, ms, ms, ms, 0.0, 0.0) for ms in medians_ms]
    return tuple(Window(10.0 * n, 100, spread, spread, ()) for n, spread in enumerate(spreads))


def during(
    mhz: float | None = None, throttling: tuple[str, ...] | None = None, phase: str = "during"
) -> Reading:
    return Reading(0.0, phase, "ondemand", mhz, 50.0, throttling, 0.1)


STEADY = windows(5.0, 5.1, 5.05, 5.02, 5.0)


@pytest.mark.parametrize(
    "measured, readings, before, meanwhile, reasons",
    [
        (STEADY, (), None, None, ()),
        (STEADY, (during(1800, ()), during(1800, ())), 0.01, 0.05, ()),
        (
            windows(5.0, 5.0, 5.0, 5.0, 5.3),
            (),
            0.0,
            0.0,
            ("windows' medians spread by 6.0%, expected at most 5%",),
        ),
        (STEADY, (), 0.06, 0.0, ("other programs took 6% of all cores before the first window",)),
        (STEADY, (), 0.0, 0.5, ("other programs took 50% of all cores during the windows",)),
        (
            STEADY,
            (during(1800, ("throttled",)), during(1800, ("low voltage", "throttled"))),
            0.0,
            0.0,
            ("the board slowed itself down: low voltage, throttled",),
        ),
        (STEADY, (during(1800, ("low voltage",), "before"),), 0.0, 0.0, ("low voltage",)),
        (
            STEADY,
            (during(1800), during(1500), during(1800)),
            0.0,
            0.0,
            ("clock was between 1500 and 1800 MHz",),
        ),
        # A PC's goes up and down a little, and was slow before there was work to do.
        (STEADY, (during(800, phase="before"), during(4200), during(3900), during(None)), 0.0, 0.0, ()),
        (
            windows(5.0, 9.0),
            (during(1800, ("throttled",)),),
            0.2,
            0.2,
            ("spread", "before", "during", "throttled"),
        ),
    ],
)
def test_what_may_be_quoted(measured, readings, before, meanwhile, reasons):
    noise = judge(measured, readings, before, meanwhile)
    assert noise.quotable == (not reasons) and len(noise.reasons) == len(reasons)
    for said, expected in zip(noise.reasons, reasons, strict=True):
        assert expected in said
    assert noise.limit == 0.05


def test_the_spread_is_that_of_the_windows_medians():
    assert median_spread(windows(4.0, 5.0, 6.0)) == pytest.approx(0.4)
    assert median_spread(windows(4.0)) == 0.0
