from itertools import combinations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from benchmarks.matrix.labels import HEIGHT_PX, Bubble, Field, place
from benchmarks.matrix.plot import NARROW, WIDE

unhurried = settings(max_examples=50, deadline=None, suppress_health_check=list(HealthCheck))

FIELDS = [WIDE.field, NARROW.field]


def bubbles_in(field: Field):
    one = st.tuples(
        st.floats(field.left + 30, field.right - 30),
        st.floats(field.top + 30, field.bottom - 30),
        st.floats(3, 26),
    )
    return st.lists(one, min_size=1, max_size=30).map(
        lambda found: [Bubble(*numbers, number=i) for i, numbers in enumerate(found, 1)]
    )


@pytest.mark.parametrize("field", FIELDS, ids=["wide", "narrow"])
@unhurried
@given(data=st.data())
def test_numbers_stand_apart_and_inside(field, data):
    bubbles = data.draw(bubbles_in(field))
    labels = place(bubbles, field)
    assert len(labels) == len(bubbles)
    assert not any(one.overlaps(other) for one, other in combinations(labels, 2))
    for label in labels:
        assert field.left <= label.x - label.width / 2 and label.x + label.width / 2 <= field.right
        assert field.top <= label.y - HEIGHT_PX / 2 and label.y + HEIGHT_PX / 2 <= field.bottom


@pytest.mark.parametrize("field", FIELDS, ids=["wide", "narrow"])
def test_cells_in_one_point_get_numbers_that_can_be_read(field):
    middle = ((field.left + field.right) / 2, (field.top + field.bottom) / 2)
    labels = place([Bubble(*middle, 10, number) for number in range(1, 25)], field)
    assert not any(one.overlaps(other) for one, other in combinations(labels, 2))


def test_a_lone_number_stands_in_its_bubble():
    (label,) = place([Bubble(200, 200, 15, 7)], FIELDS[1])
    assert (label.x, label.y) == (200, 200)


def test_a_full_field_is_no_endless_search():
    labels = place([Bubble(20, 20, 5, number) for number in range(1, 12)], Field(0, 0, 40, 40))
    assert len(labels) == 11
