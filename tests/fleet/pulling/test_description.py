import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fleet.pulling.description import read_description

GOOD = {"scores": {"cat": 0.3, "dog": 0.6}, "model": {"name": "pets", "version": "1.2"}, "answer": "unknown"}


def test_the_best_label_counts_also_where_the_answer_is_unknown():
    found = read_description(json.dumps(GOOD).encode())
    assert (found.label, found.scores, found.model, found.version) == ("dog", GOOD["scores"], "pets", "1.2")


@pytest.mark.parametrize(
    "wrong",
    [
        {"scores": None},
        {"scores": {}},
        {"scores": {"cat": True}},
        {"scores": {"cat": 1.5}},
        {"scores": {"cat": -0.1}},
        {"scores": {"cat": 10**400}},
        {"scores": {"cat": float("inf")}},
        {"scores": {"cat": float("nan"), "dog": 0.5}},
        {"model": None},
        {"model": {"name": ["pets"], "version": "1"}},
    ],
)
def test_anything_else_is_none(wrong):
    assert read_description(json.dumps(GOOD | wrong).encode()) is None


KEYS = st.sampled_from(["scores", "model", "name", "x"])
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=10,
)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])  # a busy machine takes its time
@given(st.binary() | JSON.map(lambda value: json.dumps(value).encode()))
def test_nothing_is_believed(content):
    found = read_description(content)
    assert found is None or all(0 <= score <= 1 for score in found.scores.values())
