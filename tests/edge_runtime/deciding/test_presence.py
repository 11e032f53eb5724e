import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_runtime.deciding.presence import Hysteresis, Presence

CAT, DOG = 0, 1


@pytest.mark.parametrize(
    "cat, dog, in_view, chosen",
    [
        # nothing in view: the best label, at its threshold (cat 0.6, dog 0.5)
        (0.6, 0.4, None, CAT),
        (0.59, 0.41, None, None),
        (0.5, 0.5, None, None),
        (0.4, 0.6, None, DOG),
        (0.3, 0.3, None, None),
        # cat in view: it stays down to 0.5, if the dog is not better by more than 0.1
        (0.6, 0.4, CAT, CAT),
        (0.55, 0.45, CAT, CAT),
        (0.5, 0.5, CAT, CAT),
        (0.5, 0.59, CAT, CAT),
        (0.5, 0.62, CAT, DOG),
        (0.49, 0.51, CAT, DOG),
        (0.49, 0.4, CAT, None),
        (0.3, 0.3, CAT, None),
        # dog in view: it stays down to 0.4
        (0.5, 0.4, DOG, DOG),
        (0.45, 0.4, DOG, DOG),
        (0.54, 0.46, DOG, DOG),
        (0.6, 0.4, DOG, CAT),
        (0.55, 0.39, DOG, None),
    ],
)
def test_a_label_enters_at_its_threshold_and_leaves_a_margin_below(cat, dog, in_view, chosen):
    hysteresis = Hysteresis(np.array([0.6, 0.5]), margin=0.1)
    assert hysteresis.choose(np.array([cat, dog], np.float32), in_view) == chosen


@given(
    st.lists(st.floats(0, 1, width=32), min_size=3, max_size=3, unique=True),
    st.lists(st.floats(0, 1), min_size=3, max_size=3),
    st.sampled_from([None, 0, 1, 2]),
)
def test_without_a_margin_the_frame_alone_decides(scores, thresholds, in_view):
    best = int(np.argmax(scores))
    expected = best if scores[best] >= thresholds[best] else None
    assert Hysteresis(np.array(thresholds), 0.0).choose(np.array(scores, np.float32), in_view) == expected


@pytest.mark.parametrize(
    "interval, steps",
    [
        # steps: (second, class wanted, class in view, changes)
        (0.0, [(0, None, None, (None, None)), (0, CAT, CAT, (None, CAT)), (0, None, None, (CAT, None))]),
        (0.0, [(0, CAT, CAT, (None, CAT)), (0.1, CAT, CAT, (None, None)), (0.2, DOG, DOG, (CAT, DOG))]),
        # Within two seconds of a change there is no other; what is wanted then comes, not what was wanted before.
        (
            2.0,
            [
                (0, CAT, CAT, (None, CAT)),
                (0.5, None, CAT, (None, None)),
                (1.0, CAT, CAT, (None, None)),
                (1.9, DOG, CAT, (None, None)),
                (2.0, DOG, DOG, (CAT, DOG)),
                (3.9, None, DOG, (None, None)),
                (4.1, None, None, (DOG, None)),
                (5.0, CAT, None, (None, None)),
                (60.0, CAT, CAT, (None, CAT)),
            ],
        ),
        # The first change need not wait.
        (60.0, [(0, None, None, (None, None)), (1, CAT, CAT, (None, CAT)), (2, DOG, CAT, (None, None))]),
    ],
)
def test_changes_keep_their_interval(interval, steps):
    presence = Presence(interval)
    for second, wanted, in_view, changes in steps:
        assert presence.update(wanted, 1000.0 + second) == changes
        assert presence.in_view == in_view


def test_a_replacement_does_not_wait():
    presence = Presence(60.0)
    presence.update(CAT, 0.0)
    assert presence.replace(None, 1.0) == (CAT, None)
    assert presence.update(DOG, 60.0) == (None, None) and presence.update(DOG, 61.0) == (None, DOG)
