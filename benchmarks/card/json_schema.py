"""card.schema.json: what a card's JSON looks like, for other programs.

python -m benchmarks.card.json_schema > benchmarks/card/card.schema.json
"""

import ast
import dataclasses
import inspect
import json
import typing

from benchmarks.card import contract
from benchmarks.card.json_file import element, optional

_PLAIN = {str: "string", int: "integer", float: "number", bool: "boolean"}


def json_schema() -> dict:
    """The contract's dataclasses as a JSON Schema, draft 2020-12; their docstrings are its descriptions."""
    classes = [
        one for one in vars(contract).values() if inspect.isclass(one) and dataclasses.is_dataclass(one)
    ]
    said = _said_of_fields()
    definitions = {one.__name__: _object(one, said[one.__name__]) for one in classes}
    card = definitions.pop("Card")
    card["properties"]["schema"] = {"const": contract.SCHEMA}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "A card of litelens bench",
        **card,
        "$defs": definitions,
    }


def _object(kind: type, said: dict[str, str]) -> dict:
    properties = {}
    for name, hint in typing.get_type_hints(kind).items():
        properties[name] = _kind(hint) | ({"description": said[name]} if name in said else {})
    return {
        "description": inspect.getdoc(kind),
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


def _kind(hint: object) -> dict:
    if other := optional(hint):
        return {"anyOf": [_kind(other), {"type": "null"}]}
    if one := element(hint):
        return {"type": "array", "items": _kind(one)}
    if dataclasses.is_dataclass(hint):
        return {"$ref": f"#/$defs/{hint.__name__}"}
    return {"type": _PLAIN[hint]}


def _said_of_fields() -> dict[str, dict[str, str]]:
    """Class to field to the docstring under the field, which Python itself forgets."""
    said = {}
    for node in ast.parse(inspect.getsource(contract)).body:
        if isinstance(node, ast.ClassDef):
            said[node.name] = {
                above.target.id: inspect.cleandoc(below.value.value)
                for above, below in zip(node.body, node.body[1:], strict=False)
                if isinstance(above, ast.AnnAssign)
                and isinstance(below, ast.Expr)
                and isinstance(below.value, ast.Constant)
            }
    return said


if __name__ == "__main__":
    print(json.dumps(json_schema(), indent=1))
