"""The JSON Schemas of the spec language, of hosts and of the Operator document, for editors and for CI.

An editor reads `# yaml-language-server: $schema=...`. Made of the models, so that they cannot fall behind. They know
the form of a value; what needs the whole gateway is in `check/gateway.py` and told by `nvictl validate`.
"""

from __future__ import annotations

import json
from typing import Any

from pydantic import BaseModel

from nvi_operator.language.model.sections import LANGUAGE, Language
from nvi_operator.language.schema_values import with_variables

DIALECT = "https://json-schema.org/draft/2020-12/schema"
ID = "https://nvi-operator.example/schemas/gateway.schema.json"
HOST_ID = "https://nvi-operator.example/schemas/host.schema.json"
OPERATOR_ID = "https://nvi-operator.example/schemas/operator.schema.json"


def schema(language: Language = LANGUAGE) -> dict[str, Any]:
    """Draft 2020-12."""
    what = "One document of a gateway's spec. Documents of one name, in one or many files, are merged."
    return with_variables(_schema(language.document, ID, "nvi-operator gateway", what))


def host_schema() -> dict[str, Any]:
    """The schema of what one host changes: nothing is required in its sections, and `null` removes."""
    from nvi_operator.language.model.host import Host

    gateway = _schema(LANGUAGE.document, "", "", "")
    what = "What one host changes of the spec of its gateway."
    host = _schema(Host, HOST_ID, "nvi-operator host", what)
    spec = gateway["$defs"][LANGUAGE.spec.__name__]
    del spec["properties"]["host"]
    metadata = gateway["properties"]["metadata"]["$ref"].rpartition("/")[2]
    models = {name: node for name, node in gateway["$defs"].items() if name != metadata}
    host["$defs"] = host.get("$defs", {}) | models
    host["properties"]["spec"] = gateway["properties"]["spec"]
    return with_variables(host, partial=True)


def operator_schema() -> dict[str, Any]:
    """The schema of the Operator document."""
    from nvi_operator.language.operator.model import Operator

    return _schema(Operator, OPERATOR_ID, "nvi-operator operator", "What `nvictl run` does.")


def _schema(model: type[BaseModel], identifier: str, title: str, description: str) -> dict[str, Any]:
    body = _tidy(model.model_json_schema(by_alias=True, mode="validation"))
    return {"$schema": DIALECT, "$id": identifier, **body, "title": title, "description": description}


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


def schema_text(found: dict[str, Any] | None = None) -> str:
    """What stands in schemas/: deterministic, so that a test can compare. Of the gateway, unless another is given."""
    return json.dumps(found or schema(), indent=2, ensure_ascii=False) + "\n"
