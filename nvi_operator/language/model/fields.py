"""The types of fields: how pydantic validates, writes and describes (in JSON Schema) each value of the language.

A field that takes several values takes one without a list as well.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, Literal, TypeVar

from pydantic import (
    BeforeValidator,
    GetJsonSchemaHandler,
    PlainSerializer,
    ValidatorFunctionWrapHandler,
    WithJsonSchema,
    WrapValidator,
)
from pydantic_core import CoreSchema

from nvi_operator.language.model.services import (
    PORT_PROTOCOLS,
    PROTOCOLS,
    PortRange,
    Service,
    Target,
    parse_protocol,
    parse_service,
    parse_source_ports,
    parse_target,
)
from nvi_operator.language.model.values import (
    HOST_PATTERN,
    IFNAME_PATTERN,
    NAME_PATTERN,
    Address,
    AddressRange,
    Network,
    parse_address,
    parse_address_range,
    parse_entry_file,
    parse_hostname,
    parse_ifname,
    parse_name,
    parse_network,
    parse_place,
)
from nvi_operator.language.wording import shown

T = TypeVar("T")


def as_tuple(value: Any) -> Any:
    """One value where a list may stand: ``from: 192.0.2.1`` is ``from: [192.0.2.1]``."""
    if isinstance(value, list):
        if not value:
            raise ValueError("the list is empty: leave the field out or name something")
        return tuple(value)
    return value if isinstance(value, tuple) else (value,)


def distinct(value: Any) -> Any:
    """as_tuple, and nothing is named twice."""
    values = as_tuple(value)
    for number, item in enumerate(values):
        if item in values[:number]:
            raise ValueError(f"{shown(item)} is named twice: once is enough")
    return values


def _one_or_several(parse: Callable[[object], T]) -> Callable[[Any, ValidatorFunctionWrapHandler], tuple[T, ...]]:
    """distinct, with a short way for the one text that most entries have."""

    def validate(value: Any, handler: ValidatorFunctionWrapHandler) -> tuple[T, ...]:
        several: tuple[T, ...] = (parse(value),) if isinstance(value, str) else handler(distinct(value))
        return several

    return validate


def _one_per_family(parse: Callable[[object], T]) -> Callable[[Any, ValidatorFunctionWrapHandler], tuple[T, ...]]:
    """One value, or two of which one is IPv4 and the other IPv6."""
    several = _one_or_several(parse)

    def validate(value: Any, handler: ValidatorFunctionWrapHandler) -> tuple[T, ...]:
        values: tuple[Any, ...] = several(value, handler)
        versions = [item.version for item in values]
        if len(set(versions)) < len(versions):
            raise ValueError(f"{values[0]} and {values[1]} are of one family: one each, IPv4 and IPv6")
        return values

    return validate


def _one_or_many(item: dict[str, Any]) -> dict[str, Any]:
    return {"anyOf": [item, {"type": "array", "items": item, "minItems": 1}]}


NAME_SCHEMA = {"type": "string", "pattern": f"^{NAME_PATTERN.pattern}$"}
_IFNAME_SCHEMA = {"type": "string", "pattern": f"^{IFNAME_PATTERN.pattern}$"}
_ADDRESS_SCHEMA = {"type": "string", "examples": ["192.0.2.1", "2001:db8::1"]}
_NETWORK_SCHEMA = {"type": "string", "examples": ["192.0.2.0/24", "2001:db8::/32"]}
RANGE_SCHEMA = {"type": "string", "examples": ["192.0.2.1", "192.0.2.1-192.0.2.9", "192.0.2.0/28"]}
_PORTS_SCHEMA: dict[str, Any] = {"anyOf": [{"type": "integer", "minimum": 1, "maximum": 65535}, {"type": "string"}]}
_SERVICE_SCHEMA = {
    "type": "string",
    "pattern": f"^[0-9]+(-[0-9]+)?/({'|'.join(PORT_PROTOCOLS)})$",
    "examples": ["443/tcp", "8000-8010/udp"],
}
_TARGET_SCHEMA = {"type": "string", "examples": ["192.168.1.80", "192.168.1.80:8443", "[fd00::80]:8443"]}
_PROTOCOL_SCHEMA = {"enum": list(PROTOCOLS)}
_HOST_SCHEMA = {"type": "string", "pattern": f"^{HOST_PATTERN.pattern}$"}
_ENTRY_FILE_SCHEMA = {"type": "string", "pattern": r"\.(csv|jsonl)$", "examples": ["forwards.csv", "forwards.jsonl"]}
_PLACE_SCHEMA = {"type": "string", "examples": ["isp-a", "192.0.2.1"]}


def _no_null(value: Any) -> Any:
    """`from:` with nothing after it would be everybody."""
    if value is None:
        raise ValueError("there is no value")
    return value


class _NoNullSchema:
    def __get_pydantic_json_schema__(self, core: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        schema = handler(core)
        forms = [form for form in schema["anyOf"] if form != {"type": "null"}]
        return forms[0] if len(forms) == 1 else {"anyOf": forms}


# A field that may be left out; what is written is no null.
Maybe = Annotated[T | None, BeforeValidator(_no_null), _NoNullSchema()]


class OrShort:
    """For the JSON Schema of a model that may also be written in a shorter form."""

    def __init__(self, *forms: dict[str, Any]) -> None:
        self._forms = forms

    def __get_pydantic_json_schema__(self, core: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return {"anyOf": [*self._forms, handler(core)]}


_STR = PlainSerializer(str)


def _strings(values: tuple[object, ...]) -> list[str]:
    return [str(value) for value in values]


_STRS = PlainSerializer(_strings)
Name = Annotated[str, BeforeValidator(parse_name), WithJsonSchema(NAME_SCHEMA)]
IfName = Annotated[str, BeforeValidator(parse_ifname), WithJsonSchema(_IFNAME_SCHEMA)]
HostName = Annotated[str, BeforeValidator(parse_hostname), WithJsonSchema(_HOST_SCHEMA)]
PlaceName = Annotated[str, BeforeValidator(parse_place), WithJsonSchema(_PLACE_SCHEMA)]
Protocol = Annotated[str, BeforeValidator(parse_protocol), WithJsonSchema(_PROTOCOL_SCHEMA)]
SpecAddress = Annotated[Address, BeforeValidator(parse_address), _STR, WithJsonSchema(_ADDRESS_SCHEMA)]
SpecNetwork = Annotated[Network, BeforeValidator(parse_network), _STR, WithJsonSchema(_NETWORK_SCHEMA)]
SpecRange = Annotated[AddressRange, BeforeValidator(parse_address_range), _STR, WithJsonSchema(RANGE_SCHEMA)]
SourcePorts = Annotated[
    PortRange | Literal["random"],
    BeforeValidator(parse_source_ports),
    _STR,
    WithJsonSchema({"anyOf": [{"const": "random"}, *_PORTS_SCHEMA["anyOf"]]}),
]
SpecService = Annotated[Service, BeforeValidator(parse_service), _STR, WithJsonSchema(_SERVICE_SCHEMA)]
SpecTarget = Annotated[Target, BeforeValidator(parse_target), _STR, WithJsonSchema(_TARGET_SCHEMA)]
EntryFileName = Annotated[str, BeforeValidator(parse_entry_file), WithJsonSchema(_ENTRY_FILE_SCHEMA)]
EntryFiles = Annotated[
    tuple[EntryFileName, ...], BeforeValidator(as_tuple), WithJsonSchema(_one_or_many(_ENTRY_FILE_SCHEMA))
]
HostNames = Annotated[tuple[HostName, ...], BeforeValidator(as_tuple), WithJsonSchema(_one_or_many(_HOST_SCHEMA))]
UplinksOrAddresses = Annotated[
    tuple[PlaceName, ...], WrapValidator(_one_or_several(parse_place)), WithJsonSchema(_one_or_many(_PLACE_SCHEMA))
]
IfNames = Annotated[tuple[IfName, ...], BeforeValidator(distinct), WithJsonSchema(_one_or_many(_IFNAME_SCHEMA))]
Addresses = Annotated[
    tuple[SpecAddress, ...], BeforeValidator(as_tuple), _STRS, WithJsonSchema(_one_or_many(_ADDRESS_SCHEMA))
]
Networks = Annotated[
    tuple[SpecNetwork, ...], BeforeValidator(as_tuple), _STRS, WithJsonSchema(_one_or_many(_NETWORK_SCHEMA))
]
FamilyNetworks = Annotated[
    tuple[SpecNetwork, ...],
    WrapValidator(_one_per_family(parse_network)),
    _STRS,
    WithJsonSchema(_one_or_many(_NETWORK_SCHEMA) | {"maxItems": 2}),
]
Services = Annotated[
    tuple[SpecService, ...],
    WrapValidator(_one_or_several(parse_service)),
    _STRS,
    WithJsonSchema(_one_or_many(_SERVICE_SCHEMA)),
]
Protocols = Annotated[tuple[Protocol, ...], BeforeValidator(distinct), WithJsonSchema(_one_or_many(_PROTOCOL_SCHEMA))]
