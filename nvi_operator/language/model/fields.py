"""The types of fields: how pydantic validates, writes and describes (in JSON Schema) each value of the language.

A field that takes several values takes one without a list as well.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, Literal, TypeVar

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler, ValidatorFunctionWrapHandler, WithJsonSchema
from pydantic_core import CoreSchema, core_schema

from nvi_operator.language.model.packet_fields import Mark, dscp_name, parse_dscp, parse_mark
from nvi_operator.language.model.services import (
    PORT_PROTOCOLS,
    PROTOCOLS,
    PortRange,
    Service,
    Target,
    parse_protocol,
    parse_server,
    parse_service,
    parse_source_ports,
    parse_target,
)
from nvi_operator.language.model.validators import BeforeValidator, PlainSerializer, WrapValidator
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


def equally_weighted(value: Any, kind: type, noun: str, expected: str) -> dict[Any, int]:
    """One or several as the mapping of value to weight that they stand for. `kind`: what parsed values are."""
    values = as_tuple(value)
    for each in values:
        if not isinstance(each, str | kind):
            raise ValueError(f"expected {expected}, found {shown(each)}")
    weights = dict.fromkeys(values, 1)
    if len(weights) < len(values):
        raise ValueError(f"a {noun} is named twice: write a mapping of {noun} to weight to give it more")
    return weights


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
_PROTOCOL_SCHEMA: dict[str, Any] = {
    "anyOf": [{"enum": list(PROTOCOLS)}, {"type": "integer", "minimum": 1, "maximum": 255}]
}
_DSCP_SCHEMA: dict[str, Any] = {
    "anyOf": [{"type": "integer", "minimum": 0, "maximum": 63}, {"type": "string", "examples": ["ef", "af41", "cs1"]}]
}
_MARK_SCHEMA: dict[str, Any] = {
    "anyOf": [{"type": "integer", "minimum": 0}, {"type": "string", "examples": ["0x10", "0x10/0xff"]}]
}
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


def _variable(value: Any) -> Any:
    if isinstance(value, str) and "${" in value:
        raise ValueError("a variable cannot refer to another one: write the value")
    return _no_null(value)


VariableValue = Annotated[Any, BeforeValidator(_variable)]

# A field that may be left out; what is written is no null.
Maybe = Annotated[T | None, BeforeValidator(_no_null), _NoNullSchema()]


class OrShort:
    """For the JSON Schema of a model that may also be written in a shorter form."""

    def __init__(self, *forms: dict[str, Any]) -> None:
        self._forms = forms

    def __get_pydantic_json_schema__(self, core: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return {"anyOf": [*self._forms, handler(core)]}


class _Parsed:
    """A value that one function parses, and its form in JSON Schema; `write` None: it is written as it is.

    It tells pydantic all of that at once. From BeforeValidator, PlainSerializer and WithJsonSchema in a row pydantic
    finds it out by inspecting each function in each field, which takes a fifth of the time of `nvictl validate`.
    """

    def __init__(
        self, parse: Callable[[Any], Any], schema: dict[str, Any], write: Callable[[Any], Any] | None = None
    ) -> None:
        written = None if write is None else core_schema.plain_serializer_function_ser_schema(write)
        self.core: CoreSchema = core_schema.no_info_plain_validator_function(parse, serialization=written)
        self.schema = schema

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return self.core

    def __get_pydantic_json_schema__(self, core: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return dict(self.schema)


class _Several(_Parsed):
    """A tuple of them; `before` makes a tuple of what was written."""

    def __init__(
        self, item: _Parsed, before: Callable[[Any], Any], write: Callable[[Any], Any] | None = None
    ) -> None:
        items = core_schema.tuple_variable_schema(item.core)
        written = None if write is None else core_schema.plain_serializer_function_ser_schema(write)
        self.core = core_schema.no_info_before_validator_function(before, items, serialization=written)
        self.schema = _one_or_many(item.schema)


def _strings(values: tuple[object, ...]) -> list[str]:
    return [str(value) for value in values]


_NAME = _Parsed(parse_name, NAME_SCHEMA)
_IFNAME = _Parsed(parse_ifname, _IFNAME_SCHEMA)
_HOST = _Parsed(parse_hostname, _HOST_SCHEMA)
_ADDRESS = _Parsed(parse_address, _ADDRESS_SCHEMA, str)
_NETWORK = _Parsed(parse_network, _NETWORK_SCHEMA, str)
_DSCP = _Parsed(parse_dscp, _DSCP_SCHEMA)
_STRS = PlainSerializer(_strings)
Name = Annotated[str, _NAME]
IfName = Annotated[str, _IFNAME]
HostName = Annotated[str, _HOST]
PlaceName = Annotated[str, _Parsed(parse_place, _PLACE_SCHEMA)]
Protocol = Annotated[str, _Parsed(parse_protocol, _PROTOCOL_SCHEMA)]
SpecAddress = Annotated[Address, _ADDRESS]
SpecNetwork = Annotated[Network, _NETWORK]
SpecRange = Annotated[AddressRange, _Parsed(parse_address_range, RANGE_SCHEMA, str)]
SourcePorts = Annotated[
    PortRange | Literal["random"],
    _Parsed(parse_source_ports, {"anyOf": [{"const": "random"}, *_PORTS_SCHEMA["anyOf"]]}, str),
]
SpecService = Annotated[Service, _Parsed(parse_service, _SERVICE_SCHEMA, str)]
SpecTarget = Annotated[Target, _Parsed(parse_target, _TARGET_SCHEMA, str)]
SpecServer = Annotated[Target, _Parsed(parse_server, _TARGET_SCHEMA, str)]
EntryFileName = Annotated[str, _Parsed(parse_entry_file, _ENTRY_FILE_SCHEMA)]
EntryFiles = Annotated[
    tuple[EntryFileName, ...], BeforeValidator(as_tuple), WithJsonSchema(_one_or_many(_ENTRY_FILE_SCHEMA))
]
HostNames = Annotated[tuple[HostName, ...], _Several(_HOST, as_tuple)]
UplinksOrAddresses = Annotated[
    tuple[PlaceName, ...], WrapValidator(_one_or_several(parse_place)), WithJsonSchema(_one_or_many(_PLACE_SCHEMA))
]
IfNames = Annotated[tuple[IfName, ...], _Several(_IFNAME, distinct)]
Addresses = Annotated[tuple[SpecAddress, ...], _Several(_ADDRESS, as_tuple, _strings)]
Networks = Annotated[tuple[SpecNetwork, ...], _Several(_NETWORK, as_tuple, _strings)]
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
Dscps = Annotated[tuple[int, ...], _Several(_DSCP, distinct, lambda values: [dscp_name(value) for value in values])]
SpecMark = Annotated[Mark, _Parsed(parse_mark, _MARK_SCHEMA, str)]
Protocols = Annotated[tuple[Protocol, ...], BeforeValidator(distinct), WithJsonSchema(_one_or_many(_PROTOCOL_SCHEMA))]
