"""The whole bench in this process, shorter than a user may have it."""

from dataclasses import replace

import pytest

from benchmarks.card.contract import Accuracy, Energy, Noise
from benchmarks.measuring.bench import FULL, Extent, bench
from benchmarks.measuring.sensors import Sensors
from benchmarks.measuring.table import table
from edge_runtime.errors import DataError, ModelFileError

SHORT = Extent(windows=3, window_s=0.3, warmup_s=0.05, sweep_s=0.05, cold_starts=1)


@pytest.fixture(scope="module")
def said() -> list[str]:
    return []


@pytest.fixture(scope="module")
def card(tiny, said):
    return bench(tiny, extent=SHORT, threads=1, device="cpu", report=said.append)


def test_conditions(card, tiny):
    assert card.schema == 1 and card.litelens and card.created.endswith("+00:00") and card.quick
    assert card.model.file == tiny.name and card.machine.cpu
    setting = card.setting
    assert (setting.device, setting.threads, setting.windows, setting.window_s) == ("cpu", 1, 3, 0.3)
    assert (setting.frame_height_px, setting.frame_width_px) == (480, 640)
    assert setting.interpreter in ("ai_edge_litert", "tflite_runtime") and setting.interpreter_version
    assert setting.warmup_runs >= 10


def test_windows_follow_one_another_without_a_pause(card):
    assert [window.start_s for window in card.windows] == sorted(window.start_s for window in card.windows)
    assert card.windows[0].start_s == 0.0 and len(card.windows) == 3
    for before, window in zip(card.windows, card.windows[1:], strict=False):
        assert window.start_s >= before.start_s + 0.3
    for window in card.windows:
        assert 0 < window.invoke.p50_ms < window.whole.p50_ms <= window.whole.p90_ms <= window.whole.p99_ms
        assert 1 <= len(window.sample_ms) <= min(window.runs, 200)


def test_the_numbers_fit_each_other(card):
    stages = card.stages
    assert stages.capture is None and card.accuracy is None
    parts = (stages.preprocess, stages.invoke, stages.postprocess)
    assert sum(part.mean_ms for part in parts) == pytest.approx(stages.whole.mean_ms)
    assert sum(card.histogram.counts) == sum(window.runs for window in card.windows)
    assert card.first_invoke_ms > 0 and card.cold_start.p50_s > 0
    assert card.sustained.slowdown == pytest.approx(
        card.sustained.sustained_p50_ms / card.sustained.burst_p50_ms
    )
    assert {count.threads for count in card.threads.measured} >= {1}


def test_memory(card):
    memory = card.memory
    assert memory.imported_bytes > 10e6 and 10e6 < memory.steady_bytes <= memory.peak_bytes


def test_readings_before_during_and_after(card):
    phases = [reading.phase for reading in card.readings]
    assert phases[0] == "before" and phases[-1] == "after" and set(phases[1:-1]) == {"during"}
    before, *_, after = card.readings
    assert before.seconds < 0 and after.seconds >= card.windows[-1].start_s + 0.3


def test_a_short_bench_is_not_to_be_quoted(card):
    assert not card.noise.quotable and "3 x 0.3 s were measured, in place of 5 x 10 s" in card.noise.reasons
    assert FULL.windows >= 5 and FULL.window_s >= 10


def test_what_goes_on_is_said(card, said):
    for words in ("window 3 of 3", "threads: 1", "cold start"):
        assert any(words in line for line in said)


def test_pictures_are_timed_and_counted(tiny, labelled):
    card = bench(tiny, extent=replace(SHORT, windows=1), data=labelled, device="cpu")
    assert card.stages.capture.p50_ms > 0
    assert (card.accuracy.pictures, card.accuracy.correct, len(card.accuracy.skipped)) == (5, 4, 2)
    assert (card.setting.frame_height_px, card.setting.frame_width_px) == (48, 64)
    text = table(card)
    assert "\ncapture " in text and "80.00%: 4 of 5 pictures in colours/test" in text
    assert "test/green/broken.jpg" in text


def test_the_sensors_come_into_the_card(tiny, machine):
    root = machine("laptop", {"sys/devices/platform/soc/soc:firmware/get_throttled": "4\n"})
    card = bench(tiny, extent=replace(SHORT, windows=1), threads=1, sensors=Sensors(root))
    assert {reading.governor for reading in card.readings} == {"powersave"}
    assert {reading.temperature_c for reading in card.readings} == {53.0}
    assert card.energy.source == "RAPL package-0" and card.energy.joules == 0.0
    assert "the board slowed itself down: throttled" in card.noise.reasons
    assert card.machine.cpu == "Some CPU @ 2.00GHz"
    text = table(card)
    for words in (
        "governor     powersave",
        "53.0 C before, 53.0 during, 53.0 after",
        "throttling   throttled",
    ):
        assert words in text


def test_wrong_input_is_found_before_anything_is_measured(tiny, labelled, tmp_path):
    told = []
    with pytest.raises(DataError, match="do not match the model"):
        bench(tiny, data=labelled / "train", report=told.append)
    with pytest.raises(ModelFileError):
        bench(tmp_path / "absent.tflite", report=told.append)
    assert not told


def test_a_noisy_machine_is_said_first(card):
    noisy = replace(
        card, quick=False, noise=Noise(0.123, 0.05, False, ("the windows' medians spread by 12.3%",))
    )
    assert table(noisy).startswith("Too noisy to quote:\n  the windows' medians spread by 12.3%\n\nmodel ")
    assert table(card).startswith("A first look, not to be quoted:\n")
    quiet = replace(card, quick=False, noise=Noise(0.001, 0.05, True, ()))
    assert table(quiet).startswith("model ") and "spread 0.1%" in table(quiet)


def test_the_table_shows_the_card(card):
    text = table(card)
    for stage in ("preprocess", "invoke", "postprocess", "whole"):
        (row,) = (line for line in text.splitlines() if line.startswith(stage))
        spread = getattr(card.stages, stage)
        times = [float(word) for word in row.split()[1:]]
        expected = (
            spread.p50_ms,
            spread.p90_ms,
            spread.p99_ms,
            spread.mean_ms,
            spread.std_ms,
            spread.jitter_ms,
        )
        assert times == pytest.approx(expected, abs=0.0051)
    assert "capture" not in text and "top-1" not in text
    assert f"{card.memory.peak_bytes / 2**20:.1f} at its peak" in text


def test_what_is_rarely_there(card):
    seldom = replace(
        card,
        threads=None,
        cold_start=None,
        energy=Energy("RAPL package-0", 30.0, 10.0, 3.0, 0.05),
        accuracy=Accuracy("data", "", 4, 3, 0.75, tuple("abcde")),
        machine=replace(card.machine, cores=4, memory_bytes=None),
        setting=replace(card.setting, threads=5),
    )
    text = table(seldom)
    assert "threads      5 (more than the 4 cores here)" in text
    assert "50.0 mJ a frame, 3.00 W (RAPL package-0)" in text
    assert "75.00%: 3 of 4 pictures in data\n" in text and "a, b, c and 2 more: not readable" in text
    assert "cold start" not in text and "thread sweep" not in text and "GiB" not in text
