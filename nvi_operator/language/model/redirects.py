"""Redirects: services that inside hosts are given in place of those that they ask for, such as a resolver."""

from typing import Annotated, Any, Self

from pydantic import Field, WithJsonSchema, model_validator

from nvi_operator.language.model.address_sets import SelectedNetworks
from nvi_operator.language.model.base import Entry
from nvi_operator.language.model.fields import IfNames, Maybe, Services, as_tuple
from nvi_operator.language.model.services import PortRange, Target, parse_port_range, parse_server
from nvi_operator.language.model.validators import BeforeValidator, PlainSerializer
from nvi_operator.language.model.values import SELF, Family
from nvi_operator.language.wording import HintedError, shown


def _parse_answers(value: Any) -> tuple[Target, ...] | PortRange | None:
    """Servers, one for each family; of the gateway itself its port, or None for the one that was asked."""
    if value is None or isinstance(value, PortRange):
        return value
    if isinstance(value, str) and (value == SELF or value.startswith(f"{SELF}:")):
        _, colon, port = value.partition(":")
        return _one_port(value, parse_port_range(port)) if colon else None
    targets = tuple(parse_server(item) for item in as_tuple(value))
    for target in targets:
        if target.ports is not None:
            _one_port(target, target.ports)
    versions = [target.address.version for target in targets]
    if len(set(versions)) < len(versions):
        raise ValueError(f"{targets[0]} and {targets[1]} are of one family: one each, IPv4 and IPv6")
    return targets


def _one_port(value: object, ports: PortRange) -> PortRange:
    if ports.size > 1:
        raise HintedError(f"{shown(value)}: a service has one port", "write a redirect for each port")
    return ports


def _write_answers(value: tuple[Target, ...] | PortRange | None) -> Any:
    if isinstance(value, tuple):
        return [str(target) for target in value]
    return SELF if value is None else f"{SELF}:{value}"


_SCHEMA: dict[str, Any] = {
    "anyOf": [
        {"type": "string", "examples": ["192.168.1.53", "[fd00:1::53]:5353", SELF]},
        {"type": "array", "items": {"type": "string"}, "minItems": 1, "maxItems": 2},
    ]
}


Answers = Annotated[
    tuple[Target, ...] | PortRange | None,
    BeforeValidator(_parse_answers),
    PlainSerializer(_write_answers),
    WithJsonSchema(_SCHEMA),
]


class RedirectSpec(Entry):
    """What inside hosts send to these ports goes to one server, whatever address they sent it to.

    Answers come from the address that was asked. What the server itself sends is not redirected, so that a resolver
    can ask others. Where client and server are in one network, the server sees the gateway's address there. A family
    without a server is not redirected; a note says so, unless `from` has prefixes of the other one only.
    """

    in_: Maybe[IfNames] = Field(
        None,
        alias="in",
        description="Inside interfaces that it comes in by. Left out: every one; with a server of a tenant, the "
        "tenant's.",
    )
    from_: Maybe[SelectedNetworks] = Field(
        None, alias="from", description="Only from these prefixes. Left out: from whatever lives behind them."
    )
    ports: Services = Field(description="The ports that are asked, with protocol, as in [53/udp, 53/tcp].")
    to: Answers = Field(
        description="The server, one for each family, with a port where that is another one; `self` or `self:PORT`: "
        "the gateway itself, by its first address on the interface."
    )
    except_: Maybe[SelectedNetworks] = Field(
        None,
        alias="except",
        description="What is sent from these prefixes, or to them, is left alone: other resolvers that may be asked.",
    )

    @model_validator(mode="after")
    def _families(self) -> Self:
        if isinstance(self.to, tuple) and self.from_:
            served = {target.address.version for target in self.to}
            if not served & {network.version for network in self.from_}:
                raise ValueError(f"from {self.from_[0]} and to {self.to[0].address} mix IPv4 and IPv6")
        return self

    @property
    def is_to_self(self) -> bool:
        return not isinstance(self.to, tuple)

    def server(self, family: Family) -> Target | None:
        """None for the gateway itself, and for a family without a server."""
        if not isinstance(self.to, tuple):
            return None
        return next((target for target in self.to if target.address.version == family), None)
