"""Who is flashed when, and when it stops."""

import click
import pytest
from hypothesis import given
from hypothesis import strategies as some

from fleet.flashing.waves import Amount, AmountType, too_many, waves


def share(text: str) -> Amount:
    return AmountType(least=0).convert(text, None, None)


@pytest.mark.parametrize(
    "count, canary, wave, expected",
    [
        (5, 0, None, ["abcde"]),
        (5, 1, None, ["a", "bcde"]),
        (5, 2, "2", ["ab", "cd", "e"]),
        (5, 0, "40%", ["ab", "cd", "e"]),
        (5, 1, "10%", ["a", "b", "c", "d", "e"]),  # a share is one device at least
        (5, 0, "21%", ["ab", "cd", "e"]),  # rounded up
        (5, 5, "2", ["abcde"]),
        (2, 9, None, ["ab"]),
        (1, 1, "100%", ["a"]),
    ],
)
def test_waves(count, canary, wave, expected):
    found = waves("abcde"[:count], canary, share(wave) if wave else None)
    assert ["".join(items) for items in found] == expected


@given(
    some.lists(some.integers()),
    some.integers(0, 9),
    some.none() | some.sampled_from(["1", "3", "1%", "100%"]),
)
def test_each_device_comes_once_and_in_order(items, canary, wave):
    found = waves(items, canary, share(wave) if wave else None)
    assert [item for wave in found for item in wave] == items
    assert all(found) or not items


@pytest.mark.parametrize(
    "failed, tried, most, stops",
    [
        (0, 1, "0", False),
        (1, 1, "10%", True),
        (1, 10, "10%", False),
        (2, 10, "10%", True),
        (1, 9, "10%", True),
        (3, 200, "3", False),
        (4, 200, "3", True),
        (1, 200, "0%", True),
        (5, 5, "100%", False),
    ],
)
def test_too_many(failed, tried, most, stops):
    assert too_many(failed, tried, share(most)) is stops


@pytest.mark.parametrize("text", ["", "%", "ten", "1.5", "-1", "101%", "1e3", "１０%", "10 %", "9" * 5000])
def test_no_amount(text):
    with pytest.raises(click.BadParameter):
        share(text)


@pytest.mark.parametrize("text", ["10%", "3", "0"])
def test_an_amount_is_said_as_it_was_given(text):
    assert str(share(text)) == text
