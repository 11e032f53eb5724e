"""Cards as a bench makes them, from drawn times."""

import dataclasses
import types
import typing
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import strategies as st

from benchmarks.card import contract
from benchmarks.card.contract import Card, Reading, Spread

SHARES = {"preprocess": 0.25, "invoke": 0.7, "postprocess": 0.05}
"""Of a whole frame's time."""


def _windows(times: list[np.ndarray], window_s: float) -> tuple[contract.Window, ...]:
    return tuple(
        contract.Window(
            start_s=number * window_s,
            runs=len(seconds),
            whole=Spread.of(seconds),
            invoke=Spread.of(seconds * SHARES["invoke"]),
            sample_ms=tuple(float(ms) for ms in seconds[:: len(seconds) // 200 or 1][:200] * 1000),
        )
        for number, seconds in enumerate(times)
    )


def _histogram(seconds: np.ndarray) -> contract.Histogram:
    times_ms = seconds * 1000
    edges = np.linspace(times_ms.min(), np.percentile(times_ms, 99.5), 41)
    counts, _ = np.histogram(np.minimum(times_ms, edges[-1]), edges)
    return contract.Histogram(tuple(map(float, edges)), tuple(map(int, counts)))


def _readings(windows: int, window_s: float) -> tuple[Reading, ...]:
    moments = [-1.0, *np.arange(0, windows * window_s, window_s / 2), windows * window_s + 0.1]
    phases = ["before", *["during"] * (len(moments) - 2), "after"]
    return tuple(
        Reading(
            float(seconds), phase, "ondemand", 1500.0, 48.0 + 8 * (1 - np.exp(-max(seconds, 0) / 20)), (), 1.0
        )
        for seconds, phase in zip(moments, phases, strict=True)
    )


@pytest.fixture(scope="session")
def make_card():
    """Makes a card of so many windows; the drawn times of a window are multiplied by its entry in `drift`."""

    def make(
        windows: int = 5,
        median_ms: float = 5.0,
        drift: tuple[float, ...] = (),
        seed: int = 0,
        runs: int = 400,
    ) -> Card:
        draw = np.random.default_rng(seed)
        window_s = 10.0 if windows > 1 else 2.0
        drift = drift or tuple(1 + 0.004 * draw.standard_normal(windows))
        times = [
            median_ms
            / 1000
            * level
            * (1 + 0.03 * draw.standard_normal(runs) + 0.05 * draw.exponential(1, runs))
            for level in drift
        ]
        every = np.concatenate(times)
        stages = {name: Spread.of(every * share) for name, share in SHARES.items()}
        found = _windows(times, window_s)
        medians = [window.whole.p50_ms for window in found]
        spread = (max(medians) - min(medians)) / float(np.median(medians))
        quick = windows == 1
        reasons = ("1 x 2 s were measured, in place of 5 x 10 s",) if quick else ()
        if spread > 0.05:
            reasons += (f"the windows' medians spread by {spread:.1%}, expected at most 5%",)
        return Card(
            schema=contract.SCHEMA,
            litelens="0.1.0",
            created="2026-10-01T12:30:00+00:00",
            quick=quick,
            model=contract.Model(
                file="parts.tflite", sha256="0123456789abcdef" * 4, size_bytes=684_032, name="parts", version="3",
                input_height_px=96, input_width_px=96, input_dtype="uint8", output_dtype="uint8",
                weights_dtype="int8", classes=6, exported_top1=0.945,
            ),
            machine=contract.Machine(
                name="kitchen", cpu="Raspberry Pi 4 Model B Rev 1.4", architecture="aarch64", cores=4,
                memory_bytes=3_979_165_696, os="Linux-6.6.20+rpt-rpi-v8-aarch64-with-glibc2.36", python="3.11.2",
            ),
            setting=contract.Setting(
                interpreter="ai_edge_litert", interpreter_version="2.3.0", device="cpu", threads=2,
                frame_height_px=480, frame_width_px=640, window_s=window_s, windows=windows, warmup_runs=183,
            ),
            first_invoke_ms=21.4,
            windows=found,
            stages=contract.Stages(capture=Spread.of(every * 0.4), whole=Spread.of(every), **stages),
            histogram=_histogram(every),
            threads=contract.Threads(
                tuple(
                    contract.ThreadCount(threads, 200, median_ms * by, median_ms * by * 1.1)
                    for threads, by in ((1, 1.75), (2, 1.0), (3, 0.97), (4, 0.98))
                ),
                recommended=2,
            ),
            cold_start=contract.ColdStart((0.61, 0.58, 0.6, 0.59, 0.64), 0.6),
            memory=contract.Memory(58_300_000, 71_200_000, 74_900_000),
            sustained=contract.Sustained(medians[0], medians[-1], medians[-1] / medians[0]),
            readings=_readings(windows, window_s),
            energy=contract.Energy("Raspberry Pi 5 PMIC", 180.5, windows * window_s, 3.61, 0.018),
            accuracy=contract.Accuracy("parts", "test", 600, 567, 0.945, ("gear/broken.jpg",)),
            noise=contract.Noise(spread, 0.05, not reasons, reasons),
        )  # fmt: skip

    return make


@pytest.fixture(scope="session")
def card(make_card) -> Card:
    """Of five calm windows."""
    return make_card()


@pytest.fixture(scope="session")
def bare(card) -> Card:
    """Of a machine that tells nothing, without pictures or a manifest's figures."""
    return replace(
        card,
        model=replace(card.model, exported_top1=None, version=""),
        machine=replace(card.machine, memory_bytes=None),
        stages=replace(card.stages, capture=None),
        threads=None,
        cold_start=None,
        readings=tuple(
            Reading(
                r.seconds,
                r.phase,
                governor=None,
                frequency_mhz=None,
                temperature_c=None,
                throttling=None,
                load=None,
            )
            for r in card.readings
        ),
        energy=None,
        accuracy=None,
    )


@pytest.fixture(scope="session")
def throttled(make_card) -> Card:
    """A Raspberry Pi 4 that grew hot in its third window."""
    card = make_card(drift=(1, 1.01, 1.15, 1.6, 1.62), median_ms=18.0)
    hot = tuple(
        replace(
            reading,
            temperature_c=min(86.0, 61 + 0.9 * max(reading.seconds, 0)),
            frequency_mhz=1500.0 if reading.seconds < 24 else 1000.0 if reading.seconds < 35 else 750.0,
            throttling=() if reading.seconds < 24 else ("throttled", "soft temperature limit"),
        )
        for reading in card.readings
    )
    reasons = (
        *card.noise.reasons,
        "the board slowed itself down: soft temperature limit, throttled",
        "the processor's clock was between 750 and 1500 MHz during the windows",
    )
    return replace(card, readings=hot, noise=replace(card.noise, quotable=False, reasons=reasons))


HOSTILE = (
    "</title></td><script>document.title='owned'</script><img src=x onerror=alert(1)>'\"&| `x` [a](http://b.c) "
    "www.d.e @you #1 \\| _e_ $title\n# h\r\n\u202e\ud800\x00"
)


@pytest.fixture(scope="session")
def hostile(card) -> Card:
    """Every text that a machine, a file or a person puts into a card, as bad as can be."""
    return replace(
        card,
        litelens=HOSTILE,
        created=HOSTILE,
        model=replace(
            card.model, **dict.fromkeys(
                ("file", "sha256", "name", "version", "input_dtype", "output_dtype", "weights_dtype"), HOSTILE
            )
        ),
        machine=replace(
            card.machine, **dict.fromkeys(("name", "cpu", "architecture", "os", "python"), HOSTILE)
        ),
        setting=replace(card.setting, **dict.fromkeys(("interpreter", "interpreter_version", "device"), HOSTILE)),
        readings=tuple(
            replace(reading, phase=HOSTILE, governor=HOSTILE, throttling=(HOSTILE,)) for reading in card.readings
        ),
        energy=replace(card.energy, source=HOSTILE),
        accuracy=replace(card.accuracy, data=HOSTILE, split=HOSTILE, skipped=(HOSTILE,)),
        noise=replace(card.noise, quotable=False, reasons=(HOSTILE,)),
    )  # fmt: skip


def _anything(kind: object) -> st.SearchStrategy:
    """Whatever the contract lets stand in a place of this type, within what can be measured."""
    if isinstance(kind, types.UnionType):
        return st.one_of(map(_anything, typing.get_args(kind)))
    if kind is types.NoneType:
        return st.none()
    if typing.get_origin(kind) is tuple:
        return st.lists(_anything(typing.get_args(kind)[0]), max_size=3).map(tuple)
    if dataclasses.is_dataclass(kind):
        fields = {name: _anything(hint) for name, hint in typing.get_type_hints(kind).items()}
        return st.builds(kind, **fields | ({"schema": st.just(contract.SCHEMA)} if kind is Card else {}))
    return {
        str: st.text(st.characters(), max_size=5),
        int: st.integers(-(10**12), 10**12),
        float: st.floats(-1e9, 1e9) | st.floats(0, 100),
        bool: st.booleans(),
    }[kind]


ANY_CARD = _anything(Card)


@pytest.fixture(scope="session")
def any_card() -> st.SearchStrategy:
    """Cards that keep to the contract's types and to nothing else."""
    return ANY_CARD
