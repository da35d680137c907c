"""The fields and small statements that the rules are written in."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Literal

from nvi_operator.language.model.packet_fields import WHOLE_MARK, Mark
from nvi_operator.language.model.services import Service
from nvi_operator.language.model.values import Family, Network
from nvi_operator.nft.ast import (
    Concat,
    Count,
    Field,
    Masked,
    Match,
    Rule,
    SetRef,
    Statement,
    Value,
    Verdict,
)
from nvi_operator.nft.values import merged, network_value, ports_value, protocol_value
from nvi_operator.topology.model import Topology
from nvi_operator.topology.rules import Conditions

IIF, IIFNAME, OIFNAME = Field("iif"), Field("iifname"), Field("oifname")
IIFGROUP, OIFGROUP = Field("meta iifgroup"), Field("meta oifgroup")
META_MARK, CT_MARK = Field("meta mark"), Field("ct mark")
L4PROTO, SPORT, DPORT = Field("meta l4proto"), Field("th sport"), Field("th dport")
CT_STATE, CT_STATUS, CT_DIRECTION = Field("ct state"), Field("ct status"), Field("ct direction")

Op = Literal["==", "!="]
_Side = Literal["sport", "dport"]

_IP = {4: "ip", 6: "ip6"}
ADDRESS_TYPE = {4: "ipv4_addr", 6: "ipv6_addr"}

ACCEPT, DROP, RETURN = Verdict("accept"), Verdict("drop"), Verdict("return")


def saddr(family: Family) -> Field:
    return Field(f"{_IP[family]} saddr")


def daddr(family: Family) -> Field:
    return Field(f"{_IP[family]} daddr")


def original_daddr(family: Family) -> Field:
    return Field(f"ct original {_IP[family]} daddr")


def original_saddr(family: Family) -> Field:
    return Field(f"ct original {_IP[family]} saddr")


def service_types(family: Family) -> tuple[str, ...]:
    """The key types of a set or map by public address, protocol and port."""
    return (ADDRESS_TYPE[family], "inet_proto", "inet_service")


def protocol_types(family: Family) -> tuple[str, ...]:
    """The key types of a set or map by public address and protocol."""
    return (ADDRESS_TYPE[family], "inet_proto")


def protocol_key(family: Family) -> Concat:
    return Concat((daddr(family), L4PROTO))


def service_key(family: Family) -> Concat:
    return Concat((daddr(family), L4PROTO, DPORT))


def service_range_key(family: Family) -> Concat:
    """The key for a map with port ranges, for packets that conntrack knows.

    Without `meta l4proto`: among intervals nft (1.0.6) swaps its single byte in words of two, and newer kernels
    (6.12.117 for one) refuse that.
    """
    return Concat((daddr(family), Field("ct protocol"), DPORT))


def of_family(family: Family) -> Match:
    return Match(Field("meta nfproto"), "==", f"ipv{family}")


def is_stage_2(topology: Topology) -> Match:
    return Match(Masked(META_MARK, topology.stage_mask), "==", topology.stage_mask)


def leaves_by_device(topology: Topology, *, op: Op = "==") -> Match:
    """By the link group: the match runs twice for every packet in each pass, and a name costs three times as much."""
    return Match(OIFGROUP, op, topology.device_group)


def is_icmp_error(family: Family) -> Match:
    """About a packet of another flow. Without `packet-too-big` IPv6 has no PMTU; IPv4 has a code of `unreachable`."""
    types = ("destination-unreachable", "time-exceeded", "parameter-problem")
    if family == 4:
        return one_of(Field("icmp type"), types)
    return one_of(Field("icmpv6 type"), (*types, "packet-too-big"))


def is_dnated() -> Match:
    return Match(CT_STATUS, "in", frozenset({"dnat"}))


def is_new() -> Match:
    return Match(CT_STATE, "in", frozenset({"new"}))


def is_snated() -> Match:
    return Match(CT_STATUS, "in", frozenset({"snat"}))


def one_of(field: Field | Concat, values: tuple[Value, ...], *, op: Op = "==") -> Match:
    """A match on one value, or on an anonymous set of several."""
    members = merged(values)
    right = members[0] if len(members) == 1 else frozenset(members)
    return Match(field, op, right)


def in_networks(field: Field, networks: tuple[Network, ...], *, op: Op = "==") -> Match:
    return one_of(field, tuple(network_value(network) for network in networks), op=op)


def among(field: Field, networks: tuple[Network, ...]) -> Iterator[Match]:
    """A match of these networks; none of no network, which stands for all."""
    if networks:
        yield in_networks(field, networks)


def not_from_uplinks(topology: Topology) -> tuple[Match, ...]:
    """Packets from an uplink are not translated, whatever source they claim.

    The match names the uplinks and not the inside, so that an inside interface keeps working under a new name.
    """
    if not topology.uplinks:
        return ()
    return (one_of(IIFNAME, topology.uplink_ifnames, op="!="),)


def in_set(field: Field, name: str, networks: tuple[Network, ...], *, op: Op = "==") -> Match:
    """A match of the named set of these networks, or of the only one: a lookup costs three times as much."""
    if len(networks) == 1:
        return in_networks(field, networks, op=op)
    return Match(field, op, SetRef(name))


def drop(counter: str) -> Rule:
    return (Count(counter), DROP)


def of_first_packet(family: Family, dscps: tuple[int, ...], mark: Mark | None) -> Iterator[Match]:
    """What other programs and hosts wrote on the packet; stage 1 decides by it once, when a flow opens."""
    if dscps:
        yield one_of(Field(f"{_IP[family]} dscp"), dscps)
    if mark is not None:
        yield Match(META_MARK if mark.mask == WHOLE_MARK else Masked(META_MARK, mark.mask), "==", mark.value)


def of_services(services: tuple[Service, ...], side: _Side = "dport", *, op: Op = "==") -> Match:
    """A match on ports of one protocol; see `by_protocol`."""
    (protocol,) = {service.protocol for service in services}
    return one_of(Field(f"{protocol} {side}"), tuple(ports_value(service.ports) for service in services), op=op)


def by_protocol(conditions: Conditions, *, reverse: bool = False) -> list[tuple[Match, ...]]:
    """The matches on ports, for one rule each: a rule matches the ports of one protocol. `reverse`: of answers."""
    source, destination = _SIDES[reverse]
    sides: tuple[tuple[_Side, tuple[Service, ...]], ...] = (
        (source, conditions.source_services),
        (destination, conditions.services),
    )
    if conditions.excepted and not conditions.services:
        return list(_all_but(conditions, source, destination))
    protocols = sorted({service.protocol for service in (*conditions.services, *conditions.source_services)})
    return [
        tuple(
            of_services(services, side)
            for side, all_ in sides
            if (services := tuple(service for service in all_ if service.protocol == protocol))
        )
        for protocol in protocols
    ] or [()]


_SIDES: Mapping[bool, tuple[_Side, _Side]] = {False: ("sport", "dport"), True: ("dport", "sport")}


def _all_but(conditions: Conditions, source: _Side, destination: _Side) -> Iterator[tuple[Match, ...]]:
    """A rule for each protocol of which ports are excepted, and one for the others."""
    excepted: dict[str, tuple[Service, ...]] = {}
    for service in conditions.excepted:
        excepted[service.protocol] = (*excepted.get(service.protocol, ()), service)
    if conditions.source_services:
        for protocol in sorted({service.protocol for service in conditions.source_services}):
            sent_from = tuple(service for service in conditions.source_services if service.protocol == protocol)
            out = excepted.get(protocol, ())
            yield (of_services(sent_from, source), *([of_services(out, destination, op="!=")] if out else []))
        return
    named = set(conditions.protocols)
    for protocol, out in sorted(excepted.items()):
        if not named or protocol in named:
            yield (of_services(out, destination, op="!="),)
    if not named:
        yield (one_of(L4PROTO, tuple(sorted(excepted)), op="!="),)
    elif others := named - excepted.keys():
        yield (one_of(L4PROTO, tuple(map(protocol_value, sorted(others)))),)


def of_conditions(conditions: Conditions, ports: tuple[Match, ...]) -> list[Statement]:
    """The matches of a rule; the family is implied by addresses, or matched by itself."""
    family = conditions.family
    statements: list[Statement] = []
    if conditions.ifnames:
        statements.append(one_of(IIFNAME, conditions.ifnames))
    if conditions.sources:
        statements.append(in_networks(saddr(family), conditions.sources))
    if conditions.destinations:
        statements.append(in_networks(daddr(family), conditions.destinations))
    statements += of_first_packet(family, conditions.dscps, conditions.mark)
    if conditions.protocols and not conditions.excepted:
        statements.append(one_of(L4PROTO, tuple(map(protocol_value, conditions.protocols))))
    statements += ports
    if not conditions.sources and not conditions.destinations and not conditions.dscps:
        # Last, because nft does not list a family that a protocol after it implies (icmp: ipv4).
        statements.append(of_family(family))
    return statements
