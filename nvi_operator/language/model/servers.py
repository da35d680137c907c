"""Several servers, networks or uplinks of which each flow gets one: weights, and how it is picked."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field, GetCoreSchemaHandler, WithJsonSchema
from pydantic_core import CoreSchema, core_schema

from nvi_operator.language.model.fields import SpecServer, equally_weighted
from nvi_operator.language.model.services import Target, parse_server
from nvi_operator.language.model.validators import BeforeValidator, PlainSerializer
from nvi_operator.language.wording import HintedError, shown

Weight = Annotated[int, Field(strict=True, ge=1, le=1000)]
Share = Annotated[int, Field(strict=True, ge=0, le=1000)]  # of an uplink; 0: only when the others do not work
BY_KERNEL = frozenset({"hash", "client"})  # ways to pick that the kernel has for the addresses of one range
BY_TURN = frozenset({"random", "round-robin"})  # ways to pick by which each new flow chooses again

_BY_LOAD = frozenset({"least-connections", "least-conn", "leastconn", "least-load", "load"})


def _no_load(value: Any) -> Any:
    if isinstance(value, str) and value in _BY_LOAD:
        message = f"{shown(value)}: netfilter does not know how busy a server is"
        raise HintedError(message, "give each server a weight, or put a proxy that knows (IPVS, HAProxy) behind it")
    return value


Pick = Annotated[Literal["hash", "client", "client-port", "random", "round-robin"], BeforeValidator(_no_load)]


def _servers(value: Any) -> Any:
    """Every form as a mapping; the targets are parsed as its keys, so that each problem has a place of its own."""
    if isinstance(value, dict):
        if not value:
            raise ValueError("there is no server: name one")
        return value
    return equally_weighted(value, Target, "server", "an address with or without a port")


def _weighted(servers: Mapping[Target, int]) -> tuple[Target, ...]:
    return tuple(Target(server.address, server.ports, weight) for server, weight in servers.items())


class _Servers:
    """Tells pydantic how targets are written."""

    @staticmethod
    def __get_pydantic_core_schema__(source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        mapping = handler.generate_schema(dict[SpecServer, Weight])
        several = core_schema.no_info_after_validator_function(
            _weighted, core_schema.no_info_before_validator_function(_servers, mapping)
        )

        def one_or_several(value: Any, handler: core_schema.ValidatorFunctionWrapHandler) -> Any:
            return (parse_server(value),) if isinstance(value, str) else handler(value)

        return core_schema.no_info_wrap_validator_function(one_or_several, several)


_SERVERS_SCHEMA: dict[str, Any] = {
    "anyOf": [
        {"type": "string", "examples": ["192.168.1.80", "192.168.1.80:8443"]},
        {"type": "array", "items": {"type": "string"}, "minItems": 1},
        {
            "type": "object",
            "additionalProperties": {"type": "integer", "minimum": 1, "maximum": 1000},
            "minProperties": 1,
        },
    ]
}

Servers = Annotated[
    tuple[Target, ...],
    _Servers,
    PlainSerializer(lambda servers: {str(server): server.weight for server in servers}),
    WithJsonSchema(_SERVERS_SCHEMA),
]
