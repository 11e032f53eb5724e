"""Answers of devices, which may say anything."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet.drifting.answer import Answer
from fleet.drifting.report import Compared, table

from .conftest import GOOD

anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


def test_what_is_written_is_read():
    answer = Answer.from_dict(GOOD)
    again = Answer.from_dict(json.loads(json.dumps(answer.to_dict())))
    assert again.to_dict() == answer.to_dict() and answer.to_dict().items() >= GOOD.items()


@pytest.mark.parametrize(
    "answer, why",
    [
        ([], "expected an object"),
        ({}, "labels is None"),
        (GOOD | {"labels": []}, "expected a list of at most"),
        (GOOD | {"labels": ["x"] * 20_000}, "expected a list of at most"),
        (GOOD | {"labels": ["blue", "blue"]}, "each once"),
        (GOOD | {"labels": [1]}, "each once"),
        (GOOD | {"model": None}, "model is None"),
        (GOOD | {"version": 1}, "version is 1"),
        (GOOD | {"until": "\x1b[2J"}, "until is "),
        (GOOD | {"until": 1e300}, r"until is 1e\+300"),
        (GOOD | {"since": float("nan")}, "since is nan"),
        (GOOD | {"unreadable": -1}, "unreadable is -1"),
        (GOOD | {"unreadable": True}, "unreadable is True"),
        (GOOD | {"histogram": {"frames": 10**30}}, "expected an object with"),
        (GOOD | {"reference": None}, "the split's name"),
        (GOOD | {"reference": GOOD["reference"] | {"frames": 1}}, "the counts' sum"),
    ],
)
def test_what_is_none_is_refused(answer, why):
    with pytest.raises(ValueError, match=why):
        Answer.from_dict(answer)


@given(anything, st.sampled_from([None, *GOOD]))
def test_whatever_a_device_says_is_a_line_or_a_named_error(value, key):
    try:
        answer = Answer.from_dict(value if key is None else GOOD | {key: value})
    except ValueError as problem:
        assert len(str(problem)) < 500
    else:
        text = "".join(table([Compared("d1", answer)]))
        assert text.isprintable() and text.isascii() or key in ("version", "labels", "reference")
