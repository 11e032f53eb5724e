import pytest

from benchmarks.measuring.cold_start import measure_cold_start
from edge_runtime.errors import LitelensError


def test_a_process_is_started_for_each_try(tiny, coloured):
    found = measure_cold_start(tiny, "cpu", 1, coloured("red"), tries=2)
    assert len(found.seconds) == 2 and min(found.seconds) > 0
    assert found.p50_s == pytest.approx(sum(found.seconds) / 2)


@pytest.mark.parametrize("device, verb", [("cpu", "classify"), ("edgetpu:usb:9", "run")])
def test_a_process_that_prints_no_label_is_an_error_that_says_why(tmp_path, coloured, device, verb):
    with pytest.raises(LitelensError) as error:
        measure_cold_start(tmp_path / "absent.tflite", device, 1, coloured("red"), tries=1)
    assert f"litelens {verb}" in str(error.value) and "ended with 1" in str(error.value)
