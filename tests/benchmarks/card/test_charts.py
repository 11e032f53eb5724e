import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.card.charts import ticks
from benchmarks.card.facts import number


@pytest.mark.parametrize(
    "low, high, expected",
    [
        (0, 50, ["0", "10", "20", "30", "40", "50"]),
        (4.7, 6.4, ["5.0", "5.5", "6.0"]),
        (0.011, 0.019, ["0.012", "0.014", "0.016", "0.018"]),
        (740, 1510, ["800", "1,000", "1,200", "1,400"]),
        (-1, 2.1, ["-1", "0", "1", "2"]),
        (7, 7, ["7.00"]),
    ],
)
def test_ticks_are_round(low, high, expected):
    assert [text for _, text in ticks(low, high, 6)] == expected


@given(st.floats(-1e9, 1e9), st.floats(-1e9, 1e9), st.integers(2, 8))
def test_ticks_are_few_and_within(low, high, most):
    low, high = sorted((low, high))
    found = list(ticks(low, high, most))
    assert len(found) <= most + 1
    room = 1e-9 + 1e-6 * max(abs(low), abs(high))
    assert all(low - room <= tick <= high + room for tick, _ in found)
    assert len({text for _, text in found}) == len(found), "no two ticks have the same name"


@pytest.mark.parametrize(
    "value, text",
    [
        (0, "0"), (0.0000483, "0.000048"), (0.0483, "0.048"), (0.483, "0.483"), (4.826, "4.83"), (48.26, "48.3"),
        (482.6, "483"), (4826, "4,826"), (-4.826, "-4.83"),
    ],
)  # fmt: skip
def test_numbers_have_three_digits(value, text):
    assert number(value) == text
