import json
import subprocess
import sys
from pathlib import Path

import pytest

import benchmarks.card
from benchmarks.card.contract import Card
from benchmarks.card.json_file import write_card
from benchmarks.card.json_schema import json_schema

jsonschema = pytest.importorskip("jsonschema", reason="needs jsonschema from PyPI")
SCHEMA_FILE = Path(benchmarks.card.__file__).with_name("card.schema.json")


@pytest.fixture(scope="module")
def validator():
    schema = json.loads(SCHEMA_FILE.read_text())
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema)


def test_the_file_is_what_the_command_prints():
    command = [sys.executable, "-m", "benchmarks.card.json_schema"]
    printed = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout
    assert SCHEMA_FILE.read_text() == printed


@pytest.mark.parametrize("name", ["card", "bare", "throttled", "hostile"])
def test_cards_are_valid(request, validator, tmp_path, name):
    write_card(tmp_path / "card.json", request.getfixturevalue(name))
    validator.validate(json.loads((tmp_path / "card.json").read_text()))


@pytest.mark.parametrize(
    "change",
    [
        lambda card: card.pop("noise"),
        lambda card: card.update(schema=2),
        lambda card: card.update(extra=1),
        lambda card: card["model"].update(name=None),
        lambda card: card["windows"][0]["sample_ms"].append("5"),
        lambda card: card.update(energy=3),
    ],
)
def test_other_json_is_not(card, validator, tmp_path, change):
    write_card(tmp_path / "card.json", card)
    content = json.loads((tmp_path / "card.json").read_text())
    change(content)
    assert not validator.is_valid(content)


def test_each_field_is_there_with_its_docstring():
    schema = json_schema()
    assert set(schema["properties"]) == set(Card.__dataclass_fields__) == set(schema["required"])
    assert schema["properties"]["accuracy"]["description"] == "None without pictures."
    assert schema["$defs"]["Spread"]["properties"]["jitter_ms"] == {
        "type": "number",
        "description": "Mean difference, without its sign, from one run to the next.",
    }
