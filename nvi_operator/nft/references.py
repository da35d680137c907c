"""Which named sets rules ask."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields, is_dataclass

from nvi_operator.nft.ast import Opaque, SetRef


def set_names(item: object) -> Iterator[str | None]:
    """The sets that statements, rules or any part of them name; None for a part that cannot be read."""
    if isinstance(item, SetRef):
        yield item.name
    elif isinstance(item, Opaque):
        yield None
    elif is_dataclass(item):
        for field in fields(item):
            yield from set_names(getattr(item, field.name))
    elif isinstance(item, list | tuple | frozenset):
        for inner in item:
            yield from set_names(inner)
