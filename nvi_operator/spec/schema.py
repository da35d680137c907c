"""The JSON Schema of the spec language, for editors (`# yaml-language-server: $schema=...`) and for CI."""

from __future__ import annotations

import json
from typing import Any

from nvi_operator.spec.models import Gateway


def schema() -> dict[str, Any]:
    """Draft 2020-12, made of the models."""
    body = Gateway.model_json_schema(by_alias=True, mode="validation")
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": "https://nvi-operator.example/schemas/gateway.schema.json",
        **body,
    }


def schema_text() -> str:
    """What stands in schemas/: deterministic, so that a test can compare."""
    return json.dumps(schema(), indent=2) + "\n"
