import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.peers.runtimes.ratios import paired_ratio

OURS = [[0.010, 0.011, 0.012], [0.020, 0.021, 0.022], [0.030, 0.031, 0.032]]


@pytest.mark.parametrize("times", [0.5, 1.0, 3.0])
def test_what_always_takes_as_many_times_as_long_has_that_ratio(times):
    # The second round is slow for both, which says nothing of either.
    ratio = paired_ratio([[times * second for second in turn] for turn in OURS], OURS)
    assert (ratio.median, ratio.low, ratio.high) == pytest.approx((times, times, times))


def test_turns_need_not_be_of_a_length_and_a_late_frame_is_no_matter():
    assert paired_ratio([[0.022, 0.022, 9.0], [0.042] * 5, [0.062]], OURS).median == pytest.approx(2)


def test_the_interval_widens_with_the_rounds_differences():
    def width(spread: float) -> float:
        ratios = 2 + spread * np.linspace(-1, 1, 20)
        ratio = paired_ratio([[r] for r in ratios], [[1.0]] * 20)
        assert ratio.low <= ratio.median <= ratio.high
        return ratio.high - ratio.low

    assert 0 < width(0.1) < width(1.0)


@given(st.lists(st.tuples(st.floats(1e-5, 10), st.floats(1e-5, 10)), min_size=1, max_size=40))
def test_the_interval_holds_the_ratio_and_lies_within_the_rounds(turns):
    ratio = paired_ratio([[t] for t, _ in turns], [[o] for _, o in turns])
    each = [t / o for t, o in turns]
    inside = (min(each), ratio.low, ratio.median, ratio.high, max(each))
    assert all(a <= b * (1 + 1e-12) for a, b in zip(inside, inside[1:], strict=False))
