"""State objects as plain data for JSON. Sets become sorted lists, so that equal objects print equally."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from enum import Enum
from typing import Any

from nvi_operator.kinds import KINDS


def plain_object(kind: str, obj: Any) -> Any:
    """An object of a kind; one that has a text, as an nft table, is its lines, as one would read and load them."""
    text = KINDS[kind].text
    return json_data(obj) if text is None or obj is None else list(text(obj))


def json_data(value: Any) -> Any:
    """JSON-able data."""
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: json_data(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, Mapping):
        return {str(key): json_data(item) for key, item in value.items()}
    if isinstance(value, set | frozenset):
        return sorted((json_data(item) for item in value), key=repr)
    if isinstance(value, list | tuple):
        return [json_data(item) for item in value]
    return value if isinstance(value, str | int | float | bool | None) else str(value)
