"""State objects as plain data for JSON. Sets become sorted lists, so that equal objects print equally."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from enum import Enum
from typing import Any

from nvi_operator.nft.ast import Table
from nvi_operator.nft.table_text import table_text


def plain(value: Any) -> Any:
    """JSON-able data. An nft table becomes its text, which is what anybody would read or load."""
    if isinstance(value, Table):
        return list(table_text(value))
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, set | frozenset):
        return sorted((plain(item) for item in value), key=repr)
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return value if isinstance(value, str | int | float | bool | None) else str(value)
