"""What a device remembers survives what an SD card does to it."""

import json

import pytest

from edge_runtime.updating.state import FILE_NAME, MOST_REFUSED, State, read_state, write_state


def test_what_is_written_is_read(tmp_path):
    state = State(1.5, {"doors": "a"}, {"b": "too slow"})
    write_state(tmp_path, state)
    assert read_state(tmp_path) == state


@pytest.mark.parametrize(
    "content",
    [
        *(
            b"",
            b"\0" * 100,
            b"[]",
            b"null",
            b"7",
            b"{",
            b'{"more": 1}',
            b'{"known_time_s": "1"}',
            b'{"known_time_s": NaN}',
        ),
        *(
            b'{"known_time_s": 1e300}',
            b'{"known_time_s": -1}',
            b'{"taken": []}',
            b'{"taken": {"doors": 1}}',
            b'{"refused": 3}',
        ),
    ],
)
def test_a_damaged_one_is_begun_anew(tmp_path, content):
    (tmp_path / FILE_NAME).write_bytes(content)
    assert read_state(tmp_path) == State()


def test_it_stays_small(tmp_path):
    state = State()
    for number in range(MOST_REFUSED + 5):
        state = state.refuse(f"{number}", "too slow")
    assert list(state.refused) == [f"{number}" for number in range(5, MOST_REFUSED + 5)]
    assert len(json.dumps(state.refused)) < 5000


def test_a_refusal_is_forgotten_once_it_is_taken():
    state = State().refuse("a", "too slow").refuse("b", "crashes").take("doors", "a")
    assert state.refused == {"b": "crashes"} and state.taken == {"doors": "a"}
