import json
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_runtime.store.errors import StoreError
from edge_runtime.store.history import Event
from edge_runtime.store.moment import Moment
from edge_runtime.store.state import SCHEMA_VERSION, DamagedState, State

MOMENT = Moment("boot 1", 100.0, "2026-01-01T00:00:00+00:00")
BEFORE = State(current="2", previous="1", added=("1", "2", "3"))
VERSIONS = st.sampled_from(["1", "2", "3", "4"])


def on_trial() -> State:
    return BEFORE.switched("3", 30, MOMENT, "me")


def test_a_switch_remembers_the_way_back():
    after = BEFORE.switched("3", None, MOMENT, "me")
    assert (after.current, after.previous, after.trial) == ("3", "2", None)


def test_after_a_trial_all_is_as_it_was():
    assert (on_trial().current, on_trial().previous) == ("3", "2")
    assert on_trial().needed == {"3", "2", "1"}
    assert on_trial().rolled_back() == BEFORE


def test_a_confirmed_version_stays():
    assert on_trial().confirmed() == BEFORE.switched("3", None, MOMENT, "me")


def test_without_a_trial_a_second_rollback_undoes_the_first():
    assert BEFORE.rolled_back().current == "1"
    assert BEFORE.rolled_back().rolled_back() == BEFORE


@pytest.mark.parametrize(
    "found, expected",
    [
        (("1", "2", "3"), ("3", "2", ("1", "2", "3"), True)),
        (("3", "9", "2", "1"), ("3", "2", ("1", "2", "3", "9"), True)),
        (("1", "2"), ("2", "1", ("1", "2"), False)),
        (("1",), ("1", None, ("1",), False)),
        (("1", "3"), ("3", None, ("1", "3"), True)),
        ((), (None, None, (), False)),
    ],
)
def test_what_is_gone_is_not_gone_back_to(found, expected):
    state = on_trial().with_files(found)
    assert (state.current, state.previous, state.added, state.trial is not None) == expected


@settings(max_examples=50)
@given(st.data())
def test_a_state_is_read_as_it_was_written(data):
    state = State(added=("1", "2", "3", "4"))
    for version in data.draw(st.lists(VERSIONS, max_size=6)):
        healthy_s = data.draw(st.none() | st.floats(0.1, 1000))
        if version != state.current:
            state = state.switched(version, healthy_s, MOMENT, data.draw(st.text()))
    events = data.draw(st.lists(st.text(), max_size=3))
    state = replace(
        state, unwritten=tuple(Event.at(MOMENT, "switched", None, "1", why, "me") for why in events)
    )
    assert State.from_json(state.to_json()) == state


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
GOOD = json.loads(on_trial().to_json())


@settings(max_examples=50)
@given(st.binary(max_size=200) | JSON.map(lambda value: json.dumps(value).encode()))
def test_what_is_no_state_is_damaged(content):
    with pytest.raises((DamagedState, StoreError)):
        State.from_json(content)


@settings(max_examples=50)
@given(st.sampled_from([*GOOD, *(f"trial.{name}" for name in GOOD["trial"])]), JSON)
def test_a_state_with_another_value_is_read_or_damaged(name, value):
    fields = json.loads(on_trial().to_json())
    if name.startswith("trial."):
        fields["trial"][name.removeprefix("trial.")] = value
    else:
        fields[name] = value
    try:
        state = State.from_json(json.dumps(fields).encode())
    except (DamagedState, StoreError):
        return
    assert State.from_json(state.to_json()) == state and state.rolled_back().current == state.previous


def test_a_newer_schema_is_no_damage():
    fields = GOOD | {"schema_version": SCHEMA_VERSION + 1, "unheard_of": 1}
    with pytest.raises(StoreError, match="schema version 2, this litelens reads 1") as raised:
        State.from_json(json.dumps(fields).encode())
    assert "update litelens" in raised.value.hint


def test_time_of_another_boot_says_nothing_of_this_one():
    trial = on_trial().trial
    assert trial.limit_s == 210 and trial.left_s(MOMENT) == 210
    later = Moment("boot 2", 5000.0, "1970-01-01T00:00:00+00:00")
    assert trial.left_s(later) == 210
    assert trial.in_boot(later).left_s(Moment("boot 2", 5100.0, "")) == 110
    assert trial.in_boot(MOMENT) is trial
