"""Which training pictures set the ranges of int8: seeded, and as many of each class as can be."""

import numpy as np

from edge_runtime.errors import DataError
from trainer.dataset import LabelledPicture

FEWEST = 10
"""Fewer pictures than this set ranges that the next picture leaves."""


def choose_calibration(pictures: list[LabelledPicture], *, classes: int, count: int, seed: int) -> list[int]:
    """Indices into `pictures` of a calibration set, ascending.

    Every class gives its next picture in turn, each in a seeded order of its own, until there are `count`; classes
    with few pictures give all they have.

    Args:
        pictures: The training split; ranges must not be set by pictures that judge the model.
        classes: How many there are.
        count: How many pictures are wanted; all where there are fewer.
        seed: Of the order in each class.

    Raises:
        DataError: If that is fewer than FEWEST, or fewer than one a class.
    """
    members = [
        [index for index, picture in enumerate(pictures) if picture.class_id == class_id]
        for class_id in range(classes)
    ]
    count = min(count, len(pictures))
    if count < max(FEWEST, classes):
        raise DataError(
            f"the calibration set has {count} picture{'s' if count != 1 else ''}, expected at least "
            f"{max(FEWEST, classes)}: {FEWEST}, and one of each of {classes} classes",
            "use the default of --calibration"
            if len(pictures) >= max(FEWEST, classes)
            else "train on more pictures",
        )
    orders = [
        iter(np.random.default_rng([seed, class_id]).permutation(own).tolist())
        for class_id, own in enumerate(members)
    ]
    chosen: list[int] = []
    while len(chosen) < count:
        for order in orders:
            if len(chosen) < count and (index := next(order, None)) is not None:
                chosen.append(index)
    return sorted(chosen)
