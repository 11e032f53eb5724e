from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_runtime.errors import DataError
from exporter.calibration import FEWEST, choose_calibration
from trainer.dataset import LabelledPicture


def pictures(class_ids: list[int]) -> list[LabelledPicture]:
    return [LabelledPicture(Path(f"{number}.jpg"), class_id) for number, class_id in enumerate(class_ids)]


@st.composite
def splits(draw) -> tuple[list[LabelledPicture], int]:
    """(a training split in which every class has a picture, how many classes)."""
    classes = draw(st.integers(2, 8))
    others = draw(st.lists(st.integers(0, classes - 1), min_size=FEWEST, max_size=80))
    return pictures(draw(st.permutations([*range(classes), *others]))), classes


@given(splits(), st.integers(FEWEST, 120), st.integers(0, 2**32 - 1))
def test_as_many_as_asked_and_as_even_as_the_classes_allow(split, count, seed):
    of_train, classes = split
    chosen = choose_calibration(of_train, classes=classes, count=count, seed=seed)
    assert len(chosen) == min(count, len(of_train))
    assert chosen == sorted(set(chosen)) and chosen[0] >= 0 and chosen[-1] < len(of_train)
    there = np.bincount([picture.class_id for picture in of_train], minlength=classes)
    taken = np.bincount([of_train[index].class_id for index in chosen], minlength=classes)
    for class_id in range(classes):
        # One that ran out may be behind, and no other is.
        assert taken[class_id] >= min(taken.max() - 1, there[class_id])
    assert choose_calibration(of_train, classes=classes, count=count, seed=seed) == chosen


def test_the_seed_and_nothing_else_decides_which():
    of_train = pictures([0, 1] * 100)
    chosen = {seed: choose_calibration(of_train, classes=2, count=20, seed=seed) for seed in range(5)}
    assert len(set(map(tuple, chosen.values()))) == 5
    # More pictures are the same ones and others: a larger set never loses a range that a smaller one saw.
    assert set(chosen[0]) < set(choose_calibration(of_train, classes=2, count=40, seed=0))


@pytest.mark.parametrize(
    "there, classes, count, says, hint",
    [
        (100, 2, 1, "has 1 picture, expected at least 10", "the default of --calibration"),
        (100, 2, FEWEST - 1, "has 9 pictures, expected at least 10", "the default of --calibration"),
        (100, 20, 19, "has 19 pictures, expected at least 20: .* one of each of 20 classes", "--calibration"),
        (FEWEST - 1, 2, 200, "has 9 pictures, expected at least 10", "train on more pictures"),
        (2, 2, 1, "has 1 picture, expected at least 10", "train on more pictures"),
    ],
)
def test_too_few_is_an_instruction(there, classes, count, says, hint):
    with pytest.raises(DataError, match=says) as caught:
        choose_calibration(
            pictures([n % classes for n in range(there)]), classes=classes, count=count, seed=0
        )
    assert hint in caught.value.hint
