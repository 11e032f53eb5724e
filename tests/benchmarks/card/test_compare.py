from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from benchmarks.card.compare import MUST_BE_ALIKE, NotAlike, Outcome, Verdict, compare
from benchmarks.card.json_file import CardError


def with_field(card, where: str, value: object):
    """The card with one field set, two names deep."""
    part, _, name = where.partition(".")
    return replace(card, **{part: replace(getattr(card, part), **{name: value})})


@pytest.mark.parametrize(
    "by, verdict", [(1.0, Verdict.SAME), (1.005, Verdict.SAME), (1.1, Verdict.SLOWER), (0.9, Verdict.FASTER)]
)
def test_the_verdict(card, make_card, by, verdict):
    found = compare(card, make_card(median_ms=5.0 * by, seed=1))
    assert found.verdict is verdict and found.ratio.value == pytest.approx(by, rel=0.02)
    assert found.new_median_ms / found.old_median_ms == found.ratio.value
    assert found.warnings == () and found.differences == () and found.gate is None and found.quotable


@pytest.mark.parametrize(
    "by, percent, outcome",
    [
        (1.2, 10, Outcome.MISSED),
        (1.2, 30, Outcome.PASSED),
        (1.0, 5, Outcome.PASSED),
        (0.8, 0, Outcome.PASSED),
        (1.05, 5, Outcome.NOT_PROVEN),
        (1.0, 0, Outcome.NOT_PROVEN),
    ],
)
def test_the_gate(card, make_card, by, percent, outcome):
    gate = compare(card, make_card(median_ms=5.0 * by, seed=1), max_regression_percent=percent).gate
    assert gate.outcome is outcome and gate.max_regression_percent == percent
    assert gate.windows is None or outcome is Outcome.NOT_PROVEN


def test_a_noisy_machine_proves_nothing_and_says_how_many_windows_would(make_card):
    noisy = [
        make_card(drift=drift, seed=seed)
        for seed, drift in enumerate(((1, 1.2, 1, 1.3, 1.1), (1.1, 1.3, 1.4, 1, 1.2)))
    ]
    found = compare(*noisy, max_regression_percent=20)
    assert found.verdict is Verdict.SAME and found.gate.outcome is Outcome.NOT_PROVEN
    assert found.gate.windows > 5
    assert [warning[:29] for warning in found.warnings] == [
        "the old card may not be quote",
        "the new card may not be quote",
    ]
    assert "the windows' medians spread by" in found.warnings[0]


@pytest.mark.parametrize("field", MUST_BE_ALIKE)
def test_only_like_with_like(card, field):
    value = 7 if isinstance(_value(card, field), int) else "another"
    other = with_field(card, field, value)
    with pytest.raises(NotAlike) as caught:
        compare(card, other)
    assert (
        f"{field}: {_value(card, field)!r} and {value!r}" in str(caught.value)
        and "--force" in caught.value.hint
    )
    forced = compare(card, other, force=True)
    assert forced.warnings == (f"not like with like: {field}: {_value(card, field)!r} and {value!r}",)
    assert [difference.field for difference in forced.differences] == [field]


def _value(card, field: str) -> object:
    part, _, name = field.partition(".")
    return getattr(getattr(card, part), name)


def test_every_field_that_differs_is_named(card):
    other = with_field(with_field(card, "machine.cpu", "Raspberry Pi 5"), "setting.threads", 4)
    with pytest.raises(NotAlike, match=r"machine.cpu: .* and 'Raspberry Pi 5'; setting.threads: 2 and 4"):
        compare(card, other)


def test_what_one_wants_to_compare_may_differ(card):
    other = replace(
        with_field(with_field(card, "model.sha256", "f" * 64), "setting.interpreter_version", "2.4.0"),
        litelens="0.2.0",
    )
    differences = {one.field: (one.old, one.new) for one in compare(card, other).differences}
    assert differences == {
        "model.sha256": (card.model.sha256, "f" * 64),
        "setting.interpreter_version": ("2.3.0", "2.4.0"),
        "litelens": ("0.1.0", "0.2.0"),
    }


def test_a_first_look_is_compared_with_a_warning(make_card):
    found = compare(
        make_card(windows=1), make_card(windows=1, median_ms=15.0, seed=1), max_regression_percent=20
    )
    assert found.verdict is Verdict.SLOWER and found.gate.outcome is Outcome.MISSED and not found.quotable
    assert "the old card may not be quoted: 1 x 2 s were measured, in place of 5 x 10 s" in found.warnings
    assert sum("has one window" in warning for warning in found.warnings) == 2
    near = compare(
        make_card(windows=1), make_card(windows=1, median_ms=5.2, seed=1), max_regression_percent=5
    )
    assert (
        near.verdict is Verdict.SAME and near.gate.outcome is Outcome.NOT_PROVEN and near.gate.windows is None
    )


def test_other_governors_and_other_pictures_are_told(card):
    other = replace(
        card,
        readings=tuple(replace(reading, governor="performance") for reading in card.readings),
        accuracy=replace(card.accuracy, split="validation"),
    )
    assert compare(card, other).warnings == (
        "the CPU governors differ: ondemand and performance",
        "top-1 was measured on different pictures",
    )


def test_the_other_figures(card, bare):
    changes = {change.name: (change.old, change.new) for change in compare(card, bare, force=True).changes}
    assert changes["invoke p50"] == (card.stages.invoke.p50_ms, bare.stages.invoke.p50_ms)
    assert changes["cold start"] == (0.6, None) and changes["top-1"] == (0.945, None)
    assert changes["steady memory"] == (71_200_000, 71_200_000) and changes["file size"] == (684_032, 684_032)


@pytest.mark.parametrize("samples", [None, (), (5.0, 0.0), (-1.0,)])
def test_a_card_without_frames_cannot_be_compared(card, samples):
    windows = () if samples is None else (*card.windows[1:], replace(card.windows[0], sample_ms=samples))
    with pytest.raises(CardError, match="the new card cannot be compared"):
        compare(card, replace(card, windows=windows))


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_any_two_cards_are_compared_or_refused(data, any_card):
    try:
        found = compare(data.draw(any_card), data.draw(any_card), max_regression_percent=5, force=True)
    except CardError as problem:
        assert problem.hint
    else:
        assert 0 < found.ratio.low <= found.ratio.value <= found.ratio.high < float("inf")
