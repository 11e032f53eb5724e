"""In which order devices are flashed, and after how many failures no more are."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil
from typing import TypeVar

import click

Item = TypeVar("Item")


@dataclass(frozen=True)
class Amount:
    """A number of devices, or a share of them."""

    value: float
    percent: bool

    def of(self, count: int) -> float:
        """So many of `count`."""
        return count * self.value / 100 if self.percent else self.value

    def __str__(self) -> str:
        return f"{self.value:g}{'%' if self.percent else ''}"


class AmountType(click.ParamType):
    """10%, or a whole number."""

    name = "amount"

    def __init__(self, least: int):
        self._least = least

    def convert(
        self, value: object, parameter: click.Parameter | None, context: click.Context | None
    ) -> Amount:
        if isinstance(value, Amount):
            return value
        text = str(value)
        percent = text.endswith("%")
        digits = text.removesuffix("%")
        # isascii: int() takes other scripts' digits too.
        if not (digits.isascii() and digits.isdecimal() and len(digits) < 10):
            self.fail(f"{text!r} is neither a number of devices nor a share such as 10%", parameter, context)
        amount = Amount(int(digits), percent)
        if amount.value < self._least or (percent and amount.value > 100):
            self.fail(f"{text} is not in the range", parameter, context)
        return amount


def waves(items: Sequence[Item], canary: int, wave: Amount | None) -> list[list[Item]]:
    """The items in their order: `canary` first, then waves of `wave`; None: all others at once.

    A share is one of all items, and at least one item.
    """
    size = max(1, ceil(wave.of(len(items)))) if wave else len(items)
    rest = [list(items[start : start + size]) for start in range(canary, len(items), size or 1)]
    return [list(items[:canary]), *rest] if canary else rest


def too_many(failed: int, tried: int, most: Amount) -> bool:
    """Whether more failed than may; a share is one of those that were tried."""
    return failed > most.of(tried)
