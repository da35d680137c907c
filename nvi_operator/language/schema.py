"""The JSON Schema of the spec language, for editors (`# yaml-language-server: $schema=...`) and for CI.

Made of the models, so that it cannot fall behind them. It knows the form of a value; what needs the whole
gateway is in `check/gateway.py` and told by `nvictl validate`.
"""

from __future__ import annotations

import json
from typing import Any

from nvi_operator.language.model.sections import LANGUAGE, Language

DIALECT = "https://json-schema.org/draft/2020-12/schema"
ID = "https://nvi-operator.example/schemas/gateway.schema.json"


def schema(language: Language = LANGUAGE) -> dict[str, Any]:
    """Draft 2020-12."""
    body = _tidy(language.document.model_json_schema(by_alias=True, mode="validation"))
    return {
        "$schema": DIALECT,
        "$id": ID,
        **body,
        "title": "nvi-operator gateway",
        "description": "One document of a gateway's spec. Documents of one name, in one or many files, are merged.",
    }


def _tidy(node: Any, *, names: bool = False) -> Any:
    """Close mappings to other names, which pydantic leaves open, and drop the titles that it makes of field names.

    With `names` the keys of `node` are names of fields, one of which might be `title`.
    """
    if isinstance(node, list):
        return [_tidy(item) for item in node]
    if not isinstance(node, dict):
        return node
    tidy = {
        key: _tidy(value, names=key in ("properties", "patternProperties", "$defs"))
        for key, value in node.items()
        if names or key != "title"
    }
    if "patternProperties" in node and not names:
        tidy.setdefault("additionalProperties", False)
    return tidy


def schema_text() -> str:
    """What stands in schemas/: deterministic, so that a test can compare."""
    return json.dumps(schema(), indent=2, ensure_ascii=False) + "\n"
