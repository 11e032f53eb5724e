import math

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from benchmarks.matrix.results import FEWEST_ROUNDS, Place, front, paired_ratio

unhurried = settings(max_examples=50, deadline=None, suppress_health_check=list(HealthCheck))


@pytest.mark.parametrize(
    "rounds, low, high",
    [(1, None, None), (5, None, None), (6, 1, 6), (9, 2, 8), (10, 2, 9), (20, 6, 15)],
)
def test_the_interval_leaves_out_what_the_sign_test_allows(rounds, low, high):
    # The order statistics of tables of the sign test at 95 %, such as Conover's A3.
    ratio = paired_ratio([float(n) for n in range(1, rounds + 1)], [1.0] * rounds)
    assert (ratio.low, ratio.high) == (low, high)
    assert ratio.median == (rounds + 1) / 2


def test_fewest_rounds_is_the_least_with_an_interval():
    assert paired_ratio([1.0] * FEWEST_ROUNDS, [1.0] * FEWEST_ROUNDS).low is not None
    assert paired_ratio([1.0] * (FEWEST_ROUNDS - 1), [1.0] * (FEWEST_ROUNDS - 1)).low is None


def test_the_interval_covers_as_often_as_it_says():
    """All outcomes of ten rounds, each above or below the true ratio with the same probability."""
    ratio = paired_ratio([float(n) for n in range(10)], [1.0] * 10)
    left_out = int(ratio.low)
    missed = 2 * sum(math.comb(10, below) for below in range(left_out + 1)) / 2**10
    assert 0.95 <= 1 - missed < 0.99


@unhurried
@given(st.lists(st.floats(0.5, 2), min_size=6, max_size=30), st.floats(0.1, 10))
def test_a_drift_that_hits_both_alike_does_not_matter(drift, ratio):
    found = paired_ratio([ratio * factor for factor in drift], drift)
    assert (found.low, found.median, found.high) == pytest.approx((ratio, ratio, ratio))


FAST, SLOW, NOISY = [1.0] * 6, [2.0] * 6, [0.5, 0.6, 1.5, 1.6, 0.7, 1.7]


@pytest.mark.parametrize(
    "places, expected",
    [
        ([(FAST, 10, 0.9)], [True]),
        ([(FAST, 10, 0.9), (SLOW, 10, 0.9)], [True, False]),
        ([(FAST, 10, 0.8), (SLOW, 10, 0.9)], [True, True]),
        ([(FAST, 20, 0.9), (SLOW, 10, 0.9)], [True, True]),
        ([(FAST, 10, 0.9), (FAST, 10, 0.8)], [True, False]),
        ([(FAST, 10, 0.9), (FAST, 20, 0.9)], [True, False]),
        ([(FAST, 10, 0.9), (NOISY, 10, 0.9)], [True, True]),  # which is faster is chance
        ([(NOISY, 10, 0.9), (FAST, 20, 0.9)], [True, False]),  # smaller, and not slower beyond chance
        ([(FAST, 10, None), (SLOW, 20, None)], [True, False]),
        (
            [(FAST, 10, None), (SLOW, 20, 0.9)],
            [False, True],
        ),  # what has no accuracy is not judged beside what has
        ([(FAST[:2], 10, 0.9), (SLOW[:2], 10, 0.9)], [True, False]),  # no interval: by the median
        ([], []),
    ],
)
def test_front(places, expected):
    assert front([Place(*place) for place in places]) == expected


@unhurried
@given(
    st.lists(
        st.tuples(
            st.lists(st.floats(1, 2), min_size=6, max_size=6), st.integers(1, 3), st.sampled_from([0.8, 0.9])
        ),
        min_size=1,
        max_size=8,
    )
)
def test_the_most_accurate_of_the_smallest_files_is_never_beaten_by_all(places):
    found = front([Place(*place) for place in places])
    best = max(top1 for _, _, top1 in places)
    assert any(on for on, (_, _, top1) in zip(found, places, strict=True) if top1 == best)
