"""Interfaces: those with inside networks behind them, and the uplinks."""

from typing import Annotated, Any, Literal, Self

from pydantic import Field, Strict, WithJsonSchema, model_validator

from nvi_operator.language.model.base import Entry
from nvi_operator.language.model.fields import (
    Addresses,
    IfName,
    Maybe,
    Name,
    Networks,
    OrShort,
    SpecNetwork,
    as_tuple,
)
from nvi_operator.language.model.health import HEALTH_SCHEMAS, Health, parse_health
from nvi_operator.language.model.prefixes import SubPrefixes
from nvi_operator.language.model.servers import Share
from nvi_operator.language.model.validators import BeforeValidator, Later
from nvi_operator.language.model.values import Address, parse_network


class InterfaceSpec(Entry):
    """An interface that takes part in NAT and is no uplink."""

    networks: Networks = Field(description="The prefixes that live behind this interface.")
    known_as: Maybe[Networks] = Field(
        None, description="Prefixes, on no uplink, under which others on this gateway know these networks."
    )
    delegated: Maybe[SubPrefixes] = Field(
        None,
        description="Parts of what ISPs delegate that live here as well, as in `{from: isp-a, subnet: 3}`. Such "
        "networks are public: rules of sourceNat without `from` leave them as they are.",
    )
    tenant: Maybe[Name] = Field(
        None,
        description="Which tenant this is. Tenants may use the same addresses at the same time. The gateway answers "
        "each in its own network; a connection that it opens itself to such an address goes where the first route of "
        "`main` leads, unless the program binds to an interface (SO_BINDTODEVICE).",
    )


def _auto_or_several(value: Any) -> Any:
    return value if value == "auto" else as_tuple(value)


def _true_or_several(value: Any) -> Any:
    return value if isinstance(value, bool) else as_tuple(value)


def _networks(value: Any) -> Any:
    return value if value in ("auto", "none") else as_tuple(value)


_AUTO_NONE_OR_NETWORKS: dict[str, Any] = {
    "anyOf": [
        {"enum": ["auto", "none"]},
        {"type": "string"},
        {"type": "array", "items": {"type": "string"}, "minItems": 1},
    ]
}
_AUTO_OR_ADDRESSES: dict[str, Any] = {
    "anyOf": [
        {"const": "auto"},
        {"type": "string"},
        {"type": "array", "items": {"type": "string"}, "minItems": 1},
    ]
}


def _delegated(value: Any) -> Any:
    return value if value == "auto" or value is None else parse_network(value)


_AUTO_OR_PREFIX: dict[str, Any] = {"anyOf": [{"const": "auto"}, {"type": "string"}]}
_TRUE_OR_NETWORKS: dict[str, Any] = {
    "anyOf": [{"type": "boolean"}, {"type": "string"}, {"type": "array", "items": {"type": "string"}, "minItems": 1}]
}


class UplinkSpec(Entry):
    """A way out: an ISP, a tunnel, a partner link. Packets take the uplink that owns their translated source."""

    interface: IfName = Field(description="The interface that it is reached through.")
    next_hop: Annotated[
        Maybe[Literal["auto"] | Addresses], BeforeValidator(_auto_or_several), WithJsonSchema(_AUTO_OR_ADDRESSES)
    ] = Field(
        None,
        description="The router's address, one per family. auto: what DHCP or router advertisements "
        "put into the main table. Left out: a point-to-point link that needs none.",
    )
    addresses: Annotated[
        Literal["auto"] | Addresses, BeforeValidator(_auto_or_several), WithJsonSchema(_AUTO_OR_ADDRESSES)
    ] = Field(
        "auto",
        description="The addresses on the interface that belong to this uplink; the first of each family is "
        "'the uplink's address', unless translateTo names another. auto: whatever is on the interface now.",
    )
    routed: Maybe[Networks] = Field(
        None, description="Prefixes that the uplink routes to this gateway; on no interface."
    )
    networks: Annotated[
        Literal["auto", "none"] | Networks, BeforeValidator(_networks), WithJsonSchema(_AUTO_NONE_OR_NETWORKS)
    ] = Field(
        "auto",
        description="Networks behind it, such as those of a site at the other end of a tunnel, whose hosts may open "
        "connections to inside hosts by their own addresses: the answers leave untranslated. none: no such networks. "
        "auto: the private networks that rules of sourceNat name in `to`, and the link's own, unless the spec uses "
        "the uplink for public networks or addresses as well.",
    )
    delegated: Annotated[
        Maybe[Literal["auto"] | SpecNetwork], BeforeValidator(_delegated), WithJsonSchema(_AUTO_OR_PREFIX)
    ] = Field(
        None,
        description="Does the ISP delegate IPv6 prefixes (DHCPv6-PD)? They are routed here, and followed when they "
        "change. auto: every one that is there. Where several ISPs do: the prefix that this one delegates from, as "
        "in 2001:db8::/32.",
    )
    translate_to: Maybe[Addresses] = Field(
        None,
        description="'The uplink's address' where it is not the first of addresses: one per family, out of addresses "
        "or routed, as for a wire that has a private transfer network only. The gateway's own packets, and flows to "
        "hosts in the wire's network, keep the address on the wire.",
    )
    default: bool = Field(
        False,
        description="Use it where no uplink is named, and for the gateway's own packets where `main` has no default "
        "route. One of each family; with one uplink only, that one is it.",
    )
    weight: Share = Field(
        1,
        description="Its share where traffic is spread over uplinks that are named without weights, as in "
        "`as: [isp-a, isp-b]`. 0: it is used only when none of the others works.",
    )

    announce: Annotated[
        Annotated[bool, Strict()] | Networks, BeforeValidator(_true_or_several), WithJsonSchema(_TRUE_OR_NETWORKS)
    ] = Field(
        False,
        description="Answer for these public addresses on the uplink's own wire, by ARP and neighbour discovery, for "
        "an ISP that takes them to be there instead of routing them here; neighbours are told when they appear. "
        "true: what of `routed` is in a network of the interface. Or prefixes out of `routed`.",
    )
    virtual: Annotated[
        Annotated[bool, Strict()] | Addresses, BeforeValidator(_true_or_several), WithJsonSchema(_TRUE_OR_NETWORKS)
    ] = Field(
        False,
        description="Addresses that a pair of gateways shares by VRRP, as keepalived does: on one of the two at a "
        "time. While the other one has all of them, this gateway is on standby, and that is no fault. true: all of "
        "`addresses`. Or some of them.",
    )
    clamp_mss: bool = Field(
        False,
        description="Tell both ends of TCP connections through it to use segments that fit into the interface's MTU, "
        "or a smaller one of its default route or of a router advertisement, as PPPoE and tunnels need where routers "
        "drop the ICMP errors that would tell. What asks for less keeps it.",
    )

    health: Annotated[Maybe[Later[Health]], BeforeValidator(parse_health), OrShort(*HEALTH_SCHEMAS)] = Field(
        None,
        description="Probes that say whether it works beyond its own wire; `nvictl run` sends them. One that is down "
        "takes no new flows while another one works. Left out: it works while it has a carrier, an address and a "
        "router.",
    )

    @model_validator(mode="after")
    def _one_next_hop_per_family(self) -> Self:
        if isinstance(self.next_hop, tuple):
            versions = [hop.version for hop in self.next_hop]
            if len(set(versions)) != len(versions):
                raise ValueError("nextHop names two routers of one family; one each, IPv4 and IPv6")
        return self

    @property
    def virtual_addresses(self) -> tuple[Address, ...]:
        if isinstance(self.virtual, tuple):
            return self.virtual
        return self.addresses if self.virtual and self.addresses != "auto" else ()
