import json
import re
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from benchmarks.card.contract import SCHEMA, Card
from benchmarks.card.json_file import CardError, read_card, write_card

fixed = settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))


@pytest.fixture
def path(tmp_path):
    return tmp_path / "card.json"


@pytest.fixture(params=["card", "bare", "throttled", "hostile"])
def any_of_these(request) -> Card:
    return request.getfixturevalue(request.param)


def test_what_is_written_is_read_back(path, any_of_these):
    write_card(path, any_of_these)
    card = read_card(path)
    write_card(path.with_name("again.json"), card)
    assert read_card(path.with_name("again.json")) == card
    # But for the sixth digit of a number it is what it was.
    assert card.stages.whole.p50_ms == pytest.approx(any_of_these.stages.whole.p50_ms, rel=1e-5)
    assert card.windows[-1].sample_ms == pytest.approx(any_of_these.windows[-1].sample_ms, rel=1e-5)
    exact = {"model": card.model, "machine": card.machine, "setting": card.setting, "memory": card.memory}
    assert exact == {name: getattr(any_of_these, name) for name in exact}


@fixed
@given(data=st.data())
def test_any_card_survives(data, any_card, tmp_path):
    path = tmp_path / "card.json"
    write_card(path, data.draw(any_card))
    once = path.read_bytes()
    write_card(path, read_card(path))
    assert path.read_bytes() == once


def test_the_file_is_small_and_its_lines_are_the_contracts_fields(path, card):
    write_card(path, card)
    text = path.read_text()
    assert len(text) < 30_000 and text.endswith("}\n")
    assert list(json.loads(text)) == list(Card.__dataclass_fields__)
    (samples, *_) = re.findall(r'"sample_ms": \[(.*)\]', text)
    times = samples.split(", ")
    assert len(times) == 200 and all(len(re.sub(r"[^1-9]", "", time)) <= 6 for time in times)


@pytest.mark.parametrize("number", [float("nan"), float("inf")])
def test_a_number_that_is_none_is_not_written(path, card, number):
    with pytest.raises(ValueError, match="JSON compliant"):
        write_card(path, replace(card, first_invoke_ms=number))
    assert not path.exists()


GONE = object()


def changed(card: Card, where: str, value: object) -> str:
    """The card's JSON with one place set to value, or gone."""
    *parents, last = (int(step) if step.isdigit() else step for step in where.split("."))
    content = inner = json.loads(card)
    for step in parents:
        inner = inner[step]
    if value is GONE:
        del inner[last]
    else:
        inner[last] = value
    return json.dumps(content)


@pytest.fixture(scope="module")
def text(card, tmp_path_factory) -> str:
    path = tmp_path_factory.mktemp("cards") / "card.json"
    write_card(path, card)
    return path.read_text()


@pytest.mark.parametrize(
    "where, value, said",
    [
        ("model", GONE, "the card lacks model"),
        ("model.name", GONE, "model lacks name"),
        ("windows.2.invoke.p50_ms", GONE, "windows[2].invoke lacks p50_ms"),
        ("model.licence", "MIT", "model has the unknown key 'licence'"),
        ("extra", 1, "the card has the unknown key 'extra'"),
        ("windows.2.invoke.p50_ms", "5", "windows[2].invoke.p50_ms is '5', expected float"),
        ("windows.0.sample_ms.3", None, "windows[0].sample_ms[3] is None, expected float"),
        ("windows", {}, "windows is {}, expected a list"),
        ("stages", [], "stages is [], expected an object"),
        ("setting.threads", 2.5, "setting.threads is 2.5, expected int"),
        ("setting.threads", True, "setting.threads is True, expected int"),
        ("first_invoke_ms", True, "first_invoke_ms is True, expected float"),
        ("quick", 1, "quick is 1, expected bool"),
        ("machine.name", None, "machine.name is None, expected str"),
        ("energy", 3, "energy is 3, expected an object"),
        ("first_invoke_ms", float("nan"), "first_invoke_ms is nan, expected a finite number"),
        ("readings.1.temperature_c", float("inf"), "readings[1].temperature_c is inf, expected a finite"),
        ("first_invoke_ms", 10**400, "first_invoke_ms is 1000000000"),
    ],
)
def test_what_is_not_in_the_contract_is_refused_by_its_place(path, text, where, value, said):
    path.write_text(changed(text, where, value))
    with pytest.raises(CardError, match=re.escape(f"{path} is no card of schema 1: {said}")) as caught:
        read_card(path)
    assert "litelens bench" in caught.value.hint


@pytest.mark.parametrize(
    "content, said",
    [
        (b"", "damaged, or no JSON"),
        (b"{", "damaged, or no JSON: Expecting property name"),
        (b'\xff{"schema": 1}', "damaged, or no JSON: 'utf-8' codec"),
        (b"[" * 100_000, "damaged, or no JSON: maximum recursion"),
        (b"1" * 5000, "damaged, or no JSON: Exceeds the limit"),
        (b'{"schema": 1, "schema": 1}', "the key 'schema' is there twice"),
        (b"[]", "no card: expected an object with a schema"),
        (b"{}", "no card: expected an object with a schema"),
        (b'{"schema": "1"}', "has schema '1', this litelens reads 1"),
        (b'{"schema": 0}', "has schema 0, this litelens reads 1"),
        (b'{"schema": true}', "has schema True, this litelens reads 1"),
        (b'{"schema": 1}', "the card lacks litelens, created"),
    ],
)
def test_what_is_no_card_is_refused(path, content, said):
    path.write_bytes(content)
    with pytest.raises(CardError, match=re.escape(said)):
        read_card(path)


def test_a_card_that_was_cut_short_is_refused(path, text):
    path.write_text(text[: len(text) // 2])
    with pytest.raises(CardError, match="is damaged, or no JSON"):
        read_card(path)


def test_a_newer_card_is_told_from_a_damaged_one(path, text):
    # A newer litelens has other fields, too: the schema is looked at first.
    path.write_text(changed(changed(text, "model", GONE), "schema", SCHEMA + 1))
    with pytest.raises(CardError, match=r"made by a newer litelens \(schema 2, this one reads 1\)") as caught:
        read_card(path)
    assert caught.value.hint.endswith("pip install --upgrade litelens")


@pytest.mark.parametrize("name, said", [("absent.json", "is not there"), (".", "is a directory")])
def test_there_must_be_a_file(tmp_path, name, said):
    with pytest.raises(CardError, match=said):
        read_card(tmp_path / name)


@fixed
@given(data=st.data())
def test_a_changed_byte_is_read_or_refused_and_nothing_else(data, text, tmp_path):
    path = tmp_path / "card.json"
    content = bytearray(text.encode())
    content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(content)
    try:
        read = read_card(path)
    except CardError as problem:
        assert problem.hint
    else:
        assert isinstance(read, Card)
