import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_runtime.deciding.smoothing import MOST_FRAMES, MovingAverage, Smoothing, Votes, parse_smoothing
from edge_runtime.errors import ConfigError


@pytest.mark.parametrize(
    "text, smoothing",
    [
        ("none", Smoothing(1)),
        ("average:1", Smoothing(1)),
        ("average:5", Smoothing(5)),
        (f"average:{MOST_FRAMES}", Smoothing(MOST_FRAMES)),
        ("votes:1/1", Smoothing(1, 1)),
        ("votes:3/5", Smoothing(5, 3)),
        ("votes:5/5", Smoothing(5, 5)),
    ],
)
def test_what_is_written_is_read(text, smoothing):
    assert parse_smoothing(text) == smoothing
    assert parse_smoothing(str(smoothing)) == smoothing


@pytest.mark.parametrize(
    "text",
    [
        *(
            "",
            "5",
            "none:",
            "none:5",
            "None",
            "average",
            "average:",
            "average:0",
            "average:-1",
            "average:2.5",
        ),
        *("average:1001", "average:5/5", "average: 5", "average:٥", "average:99999999999999", "mean:5"),
        *("votes", "votes:", "votes:3", "votes:3/", "votes:/5", "votes:0/5", "votes:6/5", "votes:3/1001"),
        *("votes:3/5/7", "votes:3/5 "),
    ],
)
def test_what_is_no_smoothing_is_refused(text):
    with pytest.raises(ConfigError, match="expected none, average:N or votes:K/N"):
        parse_smoothing(text)


@given(st.text() | st.from_regex(r"(none|average|votes):?[0-9/]{0,6}", fullmatch=True))
def test_any_text_is_read_or_refused(text):
    try:
        smoothing = parse_smoothing(text)
    except ConfigError:
        return
    assert 1 <= smoothing.frames <= MOST_FRAMES and 0 <= smoothing.votes <= smoothing.frames


@given(
    st.integers(1, 7),
    st.lists(st.lists(st.floats(0, 1, width=32), min_size=3, max_size=3), min_size=1, max_size=40),
)
def test_the_average_is_the_mean_of_the_last_frames(frames, vectors):
    average = MovingAverage(frames, classes=3)
    for count in range(1, len(vectors) + 1):
        last = np.array(vectors[max(0, count - frames) : count])
        found = average.add(np.array(vectors[count - 1], np.float32))
        assert found.dtype == np.float32 and np.allclose(found, last.mean(axis=0), rtol=0, atol=1e-7)


def test_equal_frames_have_exactly_that_average():
    """So that a score that meets its threshold meets it when smoothed."""
    scores = np.random.default_rng(0).random(50).astype(np.float32)
    average = MovingAverage(7, len(scores))
    for _ in range(100):
        assert np.array_equal(average.add(scores), scores)


@pytest.mark.soak
def test_a_million_frames_leave_no_drift():
    """A day at 12 frames a second; what one sum would gather shows by then."""
    frames, drawn = 7, np.random.default_rng(0).random((1000, 3)).astype(np.float32)
    average = MovingAverage(frames, classes=3)
    for number in range(1_000_000):
        found = average.add(drawn[number % len(drawn)])
    assert np.array_equal(found, drawn[-frames:].astype(float).mean(axis=0).astype(np.float32))


def test_an_average_stays_as_it_was_given():
    average = MovingAverage(2, classes=1)
    first = average.add(np.array([0.25], np.float32))
    average.add(np.array([0.75], np.float32))
    assert first[0] == 0.25


CAT, DOG, OWL = 0, 1, 2


@pytest.mark.parametrize(
    "votes, needed, in_view, winner",
    [
        ([], 1, None, None),
        ([None, None, None], 1, None, None),
        ([CAT], 1, None, CAT),
        ([CAT], 2, None, None),
        ([CAT, None, CAT], 2, None, CAT),
        ([CAT, CAT, None], 3, CAT, None),
        ([CAT, CAT, DOG, DOG, DOG], 3, CAT, DOG),
        ([CAT, CAT, DOG, DOG, DOG], 2, CAT, DOG),
        ([CAT, CAT, DOG, DOG, OWL], 3, CAT, None),
        # equals: the one in view, else the lower id
        ([DOG, CAT, DOG, CAT, None], 2, DOG, DOG),
        ([DOG, CAT, DOG, CAT, None], 2, CAT, CAT),
        ([DOG, CAT, DOG, CAT, None], 2, OWL, CAT),
        ([DOG, CAT, DOG, CAT, None], 2, None, CAT),
        # only the last five count
        ([CAT, CAT, CAT, DOG, DOG, DOG], 3, CAT, DOG),
        ([CAT, CAT, CAT, None, None, None, None, None], 1, CAT, None),
    ],
)
def test_votes_of_the_last_five(votes, needed, in_view, winner):
    last = Votes(5)
    for vote in votes:
        last.add(vote)
    assert last.winner(needed, in_view) == winner
