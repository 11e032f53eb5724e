import pytest

from benchmarks.card.contract import ThreadCount
from benchmarks.measuring.frame import synthetic_frame
from benchmarks.measuring.thread_counts import counts_to_try, recommend, sweep
from edge_runtime.classifier import default_threads
from edge_runtime.model_file import read_model_file


@pytest.mark.parametrize(
    "p50_ms, threads",
    [
        ({1: 8.0}, 1),
        ({1: 8.0, 2: 5.0, 3: 4.1, 4: 4.0}, 3),
        ({1: 8.0, 2: 5.0, 4: 4.0}, 4),
        ({1: 2.0, 2: 2.5}, 1),
        ({4: 4.0, 2: 4.19, 8: 4.5}, 2),
    ],
)
def test_the_least_threads_within_a_twentieth_of_the_fastest(p50_ms, threads):
    assert recommend([ThreadCount(count, 100, ms, ms) for count, ms in p50_ms.items()]) == threads


def test_the_count_that_was_asked_for_is_tried_too():
    usual = list(range(1, default_threads() + 1))
    assert counts_to_try(1) == usual and counts_to_try(7) == [*usual, 7]


def test_each_count_is_measured(tiny):
    found = sweep(read_model_file(tiny), [1, 2], synthetic_frame(), 0.2)
    assert [count.threads for count in found.measured] == [1, 2]
    for count in found.measured:
        assert count.runs >= 10 and 0 < count.whole_p50_ms <= count.whole_p90_ms
    assert found.recommended in (1, 2)
