"""Where the numbers of a plot's bubbles stand, so that all can be read."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

HEIGHT_PX = 15
DIGIT_PX = 8.0
NEAR_PX, FAR_PX = 60, 1000
"""How far from its bubble a number may be; and where no place is free so near."""
ANGLES = 24
# What is as bad as so many px of distance.
_COVERS_ITS_OWN, _COVERS_ANOTHER, _CROSSES_A_NUMBER = 12, 25, 40


@dataclass(frozen=True)
class Bubble:
    """A circle, and the number that belongs to it."""

    x: float
    y: float
    radius: float
    number: int


@dataclass(frozen=True)
class Field:
    """Where numbers may be."""

    left: float
    top: float
    right: float
    bottom: float


@dataclass(frozen=True)
class Label:
    """A number: its middle, and its width."""

    x: float
    y: float
    width: float

    def overlaps(self, other: "Label") -> bool:
        """Whether two numbers stand on each other."""
        apart_px = abs(self.x - other.x), abs(self.y - other.y)
        return apart_px[0] < (self.width + other.width) / 2 and apart_px[1] < HEIGHT_PX


def place(bubbles: list[Bubble], field: Field) -> list[Label]:
    """A place for each number: on no other number, near its bubble, and if possible on no other bubble.

    One after the other takes the best place that is left. Where the field is full, the rest stands on others.
    """
    placed: list[Label] = []
    for bubble in bubbles:
        placed.append(_best(bubble, field, bubbles, placed))
    return placed


def _best(bubble: Bubble, field: Field, bubbles: list[Bubble], placed: list[Label]) -> Label:
    best, least = None, math.inf
    for label, distance in _around(bubble):
        if distance >= least or (best and distance > NEAR_PX):
            break  # all that follow are further, and so worse
        if _inside(label, field) and not any(map(label.overlaps, placed)):
            cost = distance + _in_the_way(label, bubble, bubbles, placed)
            if cost < least:
                best, least = label, cost
    return best or next(_around(bubble))[0]


def _around(bubble: Bubble) -> Iterator[tuple[Label, float]]:
    """Places in and round a bubble, and how far from its edge they are, from near to far."""
    width = DIGIT_PX * len(str(bubble.number)) + 4
    yield Label(bubble.x, bubble.y, width), 0.0
    for distance in range(9, FAR_PX, 7):
        for turn in range(ANGLES):
            angle = math.tau * turn / ANGLES
            along = bubble.radius + distance
            x, y = bubble.x + along * math.sin(angle), bubble.y - along * math.cos(angle)
            yield Label(x, y, width), float(distance)


def _inside(label: Label, field: Field) -> bool:
    return (
        field.left + label.width / 2 <= label.x <= field.right - label.width / 2
        and field.top + HEIGHT_PX / 2 <= label.y <= field.bottom - HEIGHT_PX / 2
    )


def _in_the_way(label: Label, bubble: Bubble, bubbles: list[Bubble], placed: list[Label]) -> float:
    """What a number and the line to it cover, as px of distance."""
    across, up = label.x - bubble.x, label.y - bubble.y
    cost = 0.0
    if not across and not up and bubble.radius < label.width / 2 + 2:
        cost += _COVERS_ITS_OWN
    for other in bubbles:
        near_px = other.radius + label.width / 2
        if other is not bubble and math.hypot(label.x - other.x, label.y - other.y) < near_px:
            cost += _COVERS_ANOTHER
    line = [Label(bubble.x + across * step / 10, bubble.y + up * step / 10, 2) for step in range(10)]
    return cost + _CROSSES_A_NUMBER * sum(any(map(other.overlaps, line)) for other in placed)
