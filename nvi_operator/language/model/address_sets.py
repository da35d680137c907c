"""Named sets of addresses, and the type of fields in which their names may stand.

A name is replaced by the set's prefixes when the field is validated, so that nothing after it knows of sets. What
they hold comes as pydantic's validation context (`KnownSets`).
"""

from collections.abc import Mapping
from dataclasses import field
from typing import Annotated, Any

from pydantic import Field, GetCoreSchemaHandler, ValidationInfo
from pydantic_core import CoreSchema, core_schema

from nvi_operator.dataclass import dataclass
from nvi_operator.language.model.base import Entry
from nvi_operator.language.model.fields import Networks, OrShort, SpecNetwork, as_tuple
from nvi_operator.language.model.validators import BeforeValidator, Later
from nvi_operator.language.model.values import Network, is_name, parse_network
from nvi_operator.language.other_words import ANY
from nvi_operator.language.wording import HintedError, nearest, shown

WORDS = ("all", "any", "inside", "none", "outside", "self", "auto", "unchanged")  # that mean something else elsewhere

_SELECTED: dict[str, Any] = {"type": "string", "examples": ["192.0.2.0/24", "2001:db8::/32", "office"]}


class AddressSet(Entry):
    """Addresses under one name, which stands for them where conditions have prefixes. The short form is a list."""

    networks: Networks = Field(description="The prefixes and addresses.")


def _parse_set(value: Any) -> Any:
    return value if isinstance(value, dict | AddressSet) else {"networks": value}


SetOrNetworks = Annotated[
    Later[AddressSet],
    BeforeValidator(_parse_set),
    OrShort({"type": "string"}, {"type": "array", "items": {"type": "string"}, "minItems": 1}),
]


@dataclass
class KnownSets:
    """The sets of one gateway, while its documents are validated; and the names that were found in them."""

    networks: Mapping[str, tuple[Network, ...]] = field(default_factory=dict)
    disabled: frozenset[str] = frozenset()
    used: set[str] = field(default_factory=set)

    def of(self, name: str, words: tuple[str, ...] = ()) -> tuple[Network, ...]:
        """What a name stands for. `words` could have been meant as well. Raises HintedError."""
        if name in self.networks:
            self.used.add(name)
            return self.networks[name]
        if name in self.disabled:
            raise HintedError(f"the address set {name!r} is disabled", "enable it, or disable this as well")
        close = nearest(name, (*self.networks, *words))
        hint = "write a prefix, as in 192.0.2.0/24, or add the name to spec.addressSets"
        if name in ANY:
            hint = "leave it out where it may be anyone, or write 0.0.0.0/0 and ::/0"
        raise HintedError(f"there is no address set {shown(name)}", f"did you mean {close!r}?" if close else hint)


_NO_SETS = KnownSets()


def networks_of(value: object, context: KnownSets | None, words: tuple[str, ...] = ()) -> tuple[Network, ...]:
    """A prefix, or those of a set by its name. `words` are what else the field takes, for hints."""
    if isinstance(value, str) and is_name(value):
        return (context or _NO_SETS).of(value, words)
    return (parse_network(value),)


class _Selected:
    """Tells pydantic how prefixes and names of sets are written."""

    @staticmethod
    def __get_pydantic_core_schema__(source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        def parse(value: Any, info: ValidationInfo) -> tuple[Network, ...]:
            return networks_of(value, info.context)

        items = core_schema.tuple_variable_schema(core_schema.with_info_plain_validator_function(parse))
        return core_schema.no_info_after_validator_function(
            _joined,
            core_schema.no_info_before_validator_function(_written, items),
            serialization=core_schema.plain_serializer_function_ser_schema(lambda values: list(map(str, values))),
        )

    @staticmethod
    def __get_pydantic_json_schema__(core: CoreSchema, handler: Any) -> dict[str, Any]:
        return {"anyOf": [_SELECTED, {"type": "array", "items": _SELECTED, "minItems": 1}]}


def _written(value: Any) -> Any:
    return as_tuple(value)


def _joined(parts: tuple[tuple[Network, ...], ...]) -> tuple[Network, ...]:
    if len(parts) == 1:
        return parts[0]
    return tuple(dict.fromkeys(network for part in parts for network in part))


SelectedNetworks = Annotated[tuple[SpecNetwork, ...], _Selected]
