"""In a JSON Schema: a variable may stand for any value of a spec, and in the document of a host `null` may."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_ANNOTATIONS = ("description", "default", "examples")
_PATTERN = r"\$\{"
_VARIABLE = {
    "type": "string",
    "pattern": _PATTERN,
    "description": "A variable of spec.vars: ${name}, whole or within a text.",
}
_REFERENCE = {"$ref": "#/$defs/Variable"}
_NULL = {"type": "null", "description": "Removes what the gateway's spec has here."}
_AS_IT_IS = ("host", "vars")  # sections in which no variable can stand


def with_variables(schema: dict[str, Any], *, partial: bool = False) -> dict[str, Any]:
    """The schema of a document with `spec`. `partial`: nothing is required but names in lists, and `null` removes."""
    of_metadata = schema["properties"]["metadata"]["$ref"].rpartition("/")[2]
    models = {name: node if name == of_metadata else _model(node, partial) for name, node in schema["$defs"].items()}
    return {**schema, "$defs": {**models, "Variable": _VARIABLE}}


def _model(node: dict[str, Any], partial: bool) -> dict[str, Any]:
    found = _inner(node, partial)
    for name in _AS_IT_IS:
        if name in node.get("properties", {}):
            found["properties"][name] = node["properties"][name]
    if partial and "required" in node:
        required = [name for name in node["required"] if name == "name"]
        found = {key: value for key, value in found.items() if key != "required"}
        found |= {"required": required} if required else {}
    return found


def _inner(node: Mapping[str, Any], partial: bool) -> dict[str, Any]:
    """The node, with variables for what is in it."""
    found = dict(node)
    for key in ("properties", "patternProperties"):
        if key in found:
            found[key] = {name: _value(value, partial, null=partial) for name, value in found[key].items()}
    if len(patterns := found.get("patternProperties", {})) == 1:
        found["patternProperties"] = {**patterns, _PATTERN: next(iter(patterns.values()))}
    if isinstance(found.get("additionalProperties"), dict):
        found["additionalProperties"] = _value(found["additionalProperties"], partial, null=partial)
    if "items" in found:
        found["items"] = _value(found["items"], partial, null=False)
    if "anyOf" in found:
        found["anyOf"] = [_inner(form, partial) for form in found["anyOf"]]
    return found


def _value(node: dict[str, Any], partial: bool, *, null: bool) -> dict[str, Any]:
    """A value or a variable."""
    found = _inner(node, partial)
    more = [] if _takes_any_text(node) else [_REFERENCE]
    more += [_NULL] if null else []
    if not more:
        return found
    outer = {key: found.pop(key) for key in _ANNOTATIONS if key in found}
    forms = found["anyOf"] if set(found) == {"anyOf"} else [found]
    return {**outer, "anyOf": [*forms, *more]}


def _takes_any_text(node: Mapping[str, Any]) -> bool:
    if not node.keys() - set(_ANNOTATIONS):
        return True
    if "anyOf" in node:
        return any(map(_takes_any_text, node["anyOf"]))
    return node.get("type") == "string" and not node.keys() & {"pattern", "enum", "const"}
