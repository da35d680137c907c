"""The JSON Schemas of the spec language, of hosts and of the Operator document, for editors and for CI.

An editor reads `# yaml-language-server: $schema=...`. Made of the models, so that they cannot fall behind. They know
the form of a value; what needs the whole gateway is in `check/gateway.py` and told by `nvictl validate`.
"""

from __future__ import annotations

import json
from typing import Any

from nvi_operator.language.model.base import Model
from nvi_operator.language.model.form import Definitions
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


def host_schema(language: Language = LANGUAGE) -> dict[str, Any]:
    """The schema of what one host changes: nothing is required in its sections, and `null` removes."""
    from nvi_operator.language.model.host import Host

    gateway = _schema(language.document, "", "", "")
    what = "What one host changes of the spec of its gateway."
    host = _schema(Host, HOST_ID, "nvi-operator host", what)
    spec = gateway["$defs"][language.spec.__name__]
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


def _schema(model: type[Model], identifier: str, title: str, description: str) -> dict[str, Any]:
    models: Definitions = {}
    model.form().describe(models)
    own = _tidy(models.pop(model.__name__))
    body = {"$defs": {name: _tidy(models[name]) for name in sorted(models)}, **own}
    return {"$schema": DIALECT, "$id": identifier, **body, "title": title, "description": description}


def _tidy(node: Any, *, names: bool = False) -> Any:
    """Mappings closed to other names; keys in the order of the alphabet, but for the names of fields (`names`)."""
    if isinstance(node, list):
        return [_tidy(item) for item in node]
    if not isinstance(node, dict):
        return node
    order = list(node) if names else sorted(node)
    tidy = {key: _tidy(node[key], names=key in ("properties", "patternProperties")) for key in order}
    if "patternProperties" in node and not names:
        tidy.setdefault("additionalProperties", False)
    return tidy


def schema_text(found: dict[str, Any] | None = None) -> str:
    """What stands in schemas/: deterministic, so that a test can compare. Of the gateway, unless another is given."""
    return json.dumps(found or schema(), indent=2, ensure_ascii=False) + "\n"
