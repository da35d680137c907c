"""Shapes of the JSON of libnftables: each is checked before it is read, and a wrong one is a ListingError."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

Json = Any


class ListingError(Exception):
    """JSON of a shape that nft does not print, or of a form that the ruleset never has."""


def is_number(item: Json) -> bool:
    return isinstance(item, int) and not isinstance(item, bool)


def members(item: Json) -> Mapping[str, Json]:
    if not isinstance(item, dict):
        raise ListingError(f"{item!r} where an object should be")
    return item


def single(item: Json) -> tuple[str, Json]:
    """The one name of an object, and what stands under it."""
    found = list(members(item).items())
    if len(found) != 1:
        raise ListingError(f"an object of {len(found)} members where one should be: {item!r}")
    return found[0]


def member(body: Json, name: str) -> Json:
    if name not in members(body):
        raise ListingError(f"no {name!r} in {body!r}")
    return body[name]


def text(item: Json) -> str:
    if not isinstance(item, str):
        raise ListingError(f"{item!r} where a string should be")
    return item


def number(item: Json) -> int:
    if not is_number(item):
        raise ListingError(f"{item!r} where a number should be")
    return int(item)


def items(item: Json, length: int | None = None) -> Sequence[Json]:
    if not isinstance(item, list) or length not in (None, len(item)):
        raise ListingError(f"{item!r} where a list{'' if length is None else f' of {length}'} should be")
    return item


def words(item: Json) -> list[str]:
    """nft prints a list of one string as the string."""
    return [item] if isinstance(item, str) else [text(word) for word in items(item)]
