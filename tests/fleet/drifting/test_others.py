import pytest

from edge_runtime.drift.counted import Counted
from edge_runtime.drift.reference import Reference
from fleet.drifting.answer import Answer
from fleet.drifting.others import beside_others
from fleet.drifting.report import Compared, table

from .conftest import FEW, RED, STEADY, UNSURE, counted

SURE = {"blue": {0.97: 300}}
SOFT = {"blue": {0.97: 100, 0.85: 200}}


def answer(frames, version: str = "1", split: str = "validation") -> Answer:
    return Answer("tiny", version, Counted(counted(frames), 0.0, 0.0, 0), Reference(split, counted(STEADY)))


@pytest.mark.parametrize(
    "devices, odd, why",
    [
        ([STEADY] * 4 + [UNSURE], [4], "one of five"),
        (
            [UNSURE, UNSURE, STEADY, STEADY, STEADY, STEADY, STEADY],
            [0, 1],
            "two of seven do not hide each other",
        ),
        ([SOFT] * 5, [], "all alike, though other than validation"),
        ([SOFT] * 4 + [SURE], [], "surer than the others"),
        ([STEADY, RED, STEADY, STEADY, STEADY], [], "other classes alone"),
        ([STEADY] * 3 + [UNSURE], [], "four are too few to say what is usual"),
        ([STEADY] * 4 + [FEW], [], "too few frames"),
    ],
)
def test_the_odd_one_is_found(devices, odd, why):
    found = beside_others([answer(frames) for frames in devices])
    assert [place for place, beside in enumerate(found) if beside and beside.drifted] == odd, why


def test_other_versions_are_no_others():
    found = beside_others([answer(STEADY, version=str(number % 2)) for number in range(8)])
    assert found == [None] * 8
    assert beside_others([]) == []


def test_devices_that_are_all_unlike_each_other_have_no_median():
    heights = (0.02, 0.12, 0.22, 0.32, 0.42)
    found = beside_others([answer({"blue": {height: 300}}) for height in heights])
    assert found == [None] * 5


def test_the_table_says_so():
    answers = [answer(frames) for frames in [SOFT] * 4 + [UNSURE]]
    compared = [
        Compared(f"d{place}", one, beside)
        for place, (one, beside) in enumerate(zip(answers, beside_others(answers), strict=True))
    ]
    lines = table(compared, [("gone", "it does not answer")])
    assert lines[5].endswith("less sure than the other devices") and "  0.00    " in lines[1]
    assert lines[6].split() == ["gone", *"-------", "not", "compared:", "it", "does", "not", "answer"]
    assert all(line == line.rstrip() for line in lines)
    columns = {line.index("1  ", 6) for line in lines[1:6]}
    assert len(columns) == 1, "the versions stand below each other"
