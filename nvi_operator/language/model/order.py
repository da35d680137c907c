"""Uplinks by preference: the first that works is used.

`first` is a list. An item is an uplink, or in source NAT a group of uplinks that share the traffic while one of them
works. Which of them work is known to `topology/` only (docs/adr/0022-health.md).
"""

from typing import Annotated, Any

from pydantic import Field, WithJsonSchema

from nvi_operator.language.model.base import Model
from nvi_operator.language.model.fields import NAME_SCHEMA, Name, OrShort, distinct
from nvi_operator.language.model.validators import BeforeValidator, Later, PlainSerializer
from nvi_operator.language.model.values import parse_name
from nvi_operator.language.wording import shown

NAMES_SCHEMA: dict[str, Any] = {"anyOf": [NAME_SCHEMA, {"type": "array", "items": NAME_SCHEMA, "minItems": 1}]}


def _ordered(value: Any) -> Any:
    for item in (names := distinct(value)):
        if not isinstance(item, str):
            raise ValueError(f"expected an uplink's name, found {shown(item)}: only sourceNat has groups of uplinks")
    return names


class Order(Model):
    """One uplink, or several by preference. The short form is a name."""

    first: Annotated[
        tuple[Name, ...], BeforeValidator(_ordered), PlainSerializer(list), WithJsonSchema(NAMES_SCHEMA)
    ] = Field(description="Uplinks, the preferred one first. The first that works is used.")


def _parse_order(value: Any) -> Any:
    """A list alone would not say whether it is an order."""
    if isinstance(value, dict | Order):
        return value
    if isinstance(value, list):
        raise ValueError("expected an uplink's name, or {first: [...]} for several by preference")
    return Order(first=(parse_name(value),))


OneOrOrder = Annotated[Later[Order], BeforeValidator(_parse_order), OrShort(NAME_SCHEMA)]
