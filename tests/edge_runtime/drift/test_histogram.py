import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_runtime.drift.histogram import BINS, MOST_FRAMES, Histogram

LABELS = ("blue", "green", "red\n\x1b[2J")
answers = st.lists(st.tuples(st.integers(0, 2), st.floats(0, 1, width=32), st.booleans()), max_size=60)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


def counted(answers) -> Histogram:
    histogram = Histogram(LABELS)
    for answer in answers:
        histogram.count(*answer)
    return histogram


def assert_same(one: Histogram, other: Histogram) -> None:
    assert one.labels == other.labels
    np.testing.assert_array_equal(one.counts, other.counts)
    np.testing.assert_array_equal(one.unknown, other.unknown)


@pytest.mark.parametrize(
    "score, height",
    [
        (0.0, 0),
        (0.049, 0),
        (0.05, 1),
        (0.5, 10),
        (0.9499, 18),
        (0.95, 19),
        (1.0, 19),
        (1.0000001, 19),
        (float("inf"), 19),
        (float("nan"), 0),
        (-0.1, 0),
    ],
)
def test_a_score_has_its_bin(score, height):
    histogram = counted([(1, score, False)])
    assert np.argwhere(histogram.counts).tolist() == [[1, height]]


@given(answers)
def test_what_is_written_is_read(answers):
    histogram = counted(answers)
    fields = json.loads(json.dumps(histogram.to_dict()))
    assert histogram.frames == fields["frames"] == len(answers)
    assert_same(Histogram.from_dict(fields, LABELS), histogram)


@given(answers, answers)
def test_the_sum_of_two_is_that_of_all(first, second):
    histogram = counted(first)
    histogram.add(counted(second))
    assert_same(histogram, counted(first + second))


def test_what_is_zero_takes_no_room():
    fields = counted([(2, 0.97, True)]).to_dict()
    label = LABELS[2]
    assert fields == {"bins": BINS, "frames": 1, "counts": {label: {"19": 1}}, "unknown": {label: 1}}


GOOD = {"bins": BINS, "frames": 2, "counts": {"blue": {"19": 2}}, "unknown": {}}


@pytest.mark.parametrize(
    "fields, why",
    [
        (None, "expected an object"),
        ([], "expected an object"),
        ({}, "expected an object with bins, counts, frames, unknown"),
        (GOOD | {"more": 1}, "expected an object with"),
        (GOOD | {"bins": 10}, "this litelens counts in 20"),
        (GOOD | {"frames": 3}, "the counts' sum is 2"),
        (GOOD | {"frames": None}, "the counts' sum is 2"),
        (GOOD | {"counts": []}, "counts is \\[\\], expected an object"),
        (GOOD | {"counts": {"cat": {"19": 2}}}, "'cat' is none of"),
        (GOOD | {"counts": {"blue": {"20": 2}}}, "'20' is none of"),
        (GOOD | {"counts": {"blue": {"-1": 2}}}, "'-1' is none of"),
        (GOOD | {"counts": {"blue": {"19": 2.0}}}, "a count is 2.0"),
        (GOOD | {"counts": {"blue": {"19": True}}}, "a count is True"),
        (GOOD | {"counts": {"blue": {"19": -2}}}, "a count is -2"),
        (GOOD | {"counts": {"blue": {"19": MOST_FRAMES + 1}}}, "a count is"),
        (GOOD | {"counts": {"blue": {"19": 10**400}}}, "a count is"),
        (
            {
                "bins": BINS,
                "frames": 2 * MOST_FRAMES,
                "counts": {"blue": {"1": MOST_FRAMES, "2": MOST_FRAMES}},
            }
            | {"unknown": {}},
            "frames is",
        ),
        (GOOD | {"unknown": {"blue": 3}}, "more are unknown than were counted"),
        (GOOD | {"unknown": {"green": 1}}, "more are unknown than were counted"),
    ],
)
def test_refuses_what_is_none(fields, why):
    with pytest.raises(ValueError, match=why):
        Histogram.from_dict(fields, LABELS)


@given(json_values, st.sampled_from([None, *GOOD]))
def test_whatever_comes_is_a_histogram_or_a_named_error(value, key):
    try:
        found = Histogram.from_dict(value if key is None else GOOD | {key: value}, LABELS)
    except ValueError as problem:
        assert len(str(problem)) < 500
    else:
        assert found.frames >= 0 and (found.unknown <= found.counts.sum(axis=1)).all()
