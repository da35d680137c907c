"""The types of fields of the Operator document."""

from __future__ import annotations

from typing import Annotated

from pydantic import WithJsonSchema

from nvi_operator.language.model.fields import as_tuple
from nvi_operator.language.model.validators import BeforeValidator
from nvi_operator.language.operator.values import parse_duration, parse_hook, parse_metrics, parse_path

_METRICS_SCHEMA = {"type": "string", "examples": ["127.0.0.1:9478", "/var/lib/prometheus/node-exporter/nvi.prom"]}
_KIND_SCHEMA = {"type": "string", "examples": ["uplink-down", "applied"]}

FilePath = Annotated[
    str,
    BeforeValidator(parse_path),
    WithJsonSchema({"type": "string", "pattern": "^/", "examples": ["/etc/nvi-operator"]}),
]
Duration = Annotated[
    float,
    BeforeValidator(parse_duration),
    WithJsonSchema(
        {"anyOf": [{"type": "number", "minimum": 0, "maximum": 86400}, {"type": "string", "examples": ["5m"]}]}
    ),
]
HookTarget = Annotated[
    str,
    BeforeValidator(parse_hook),
    WithJsonSchema({"type": "string", "examples": ["/usr/local/bin/on-uplink", "https://hooks.example.net/nvi"]}),
]
MetricsTargets = Annotated[
    tuple[Annotated[str, BeforeValidator(parse_metrics)], ...],
    BeforeValidator(as_tuple),
    WithJsonSchema({"anyOf": [_METRICS_SCHEMA, {"type": "array", "items": _METRICS_SCHEMA, "minItems": 1}]}),
]
EventKinds = Annotated[
    tuple[str, ...],
    BeforeValidator(as_tuple),
    WithJsonSchema({"anyOf": [_KIND_SCHEMA, {"type": "array", "items": _KIND_SCHEMA, "minItems": 1}]}),
]
