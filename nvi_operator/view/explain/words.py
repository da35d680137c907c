"""Each step of a walk, its end and what conntrack remembers, in words."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from ipaddress import ip_network
from typing import Any

from nvi_operator.dataclass import dataclass
from nvi_operator.explain.flow import ConntrackEntry, ConntrackTuple
from nvi_operator.explain.flow_cache import flow_cache
from nvi_operator.explain.icmp_errors import kind_of
from nvi_operator.explain.packet import ICMP_OF, WITH_PORTS, Packet, address
from nvi_operator.explain.passing import BY_HASH
from nvi_operator.explain.step import ElementOf, EntryOrigin, FieldChange, HostRoute, RuleAt, Step
from nvi_operator.explain.verdict import Delivered, Dropped, Forwarded, NotModelled, Refused
from nvi_operator.explain.walk import Walk
from nvi_operator.explain.words import end_words, packet_words
from nvi_operator.kinds import KINDS
from nvi_operator.kinds.route import Route
from nvi_operator.nft.ast import Count
from nvi_operator.nft.text import rule_text, value_text
from nvi_operator.pattern import pattern
from nvi_operator.state.fib_rule import FibRule
from nvi_operator.topology.interfaces import Uplink
from nvi_operator.topology.model import Topology
from nvi_operator.topology.numbers import table_name
from nvi_operator.view.counters import MEANINGS
from nvi_operator.view.entry_words import entry_word
from nvi_operator.view.explain.model import Explanation, WalkTree

_PORT = pattern(r"(?:\[([0-9a-f:]+)\]|\b(\d+\.\d+\.\d+\.\d+)):(\d+)\b")
_OF_NO_FLOW = "the packet belongs to no flow that is known, and opens none"
_MARKS = frozenset({"mark", "ct mark"})
_NOTES = {"new": "new flow"}
_DID = {"passed": "passes", "dropped": "dropped", "refused": "refused"}
_ERRORS = {"unreachable": "unreachable", "time-exceeded": "time exceeded", "too-big": "packet too big"}


@dataclass(frozen=True)
class StepWords:
    """`label`: what decided, such as a chain; `text`: what it did; `object`: the same as the kernel has it."""

    stage: int
    label: str
    text: str
    origin: str = ""
    object: str = ""


def steps_of(way: WalkTree) -> Iterator[StepWords]:
    for step in way.walk.steps:
        told = step_words(step)
        yield told if way.walk.entering.icmp_type is None else replace(told, text=_PORT.sub(_identifier, told.text))


def _identifier(found: re.Match[str]) -> str:
    """An ICMP echo has its identifier where others have a port, and an error has none."""
    address = found[1] or found[2]
    return address if found[3] == "0" else f"{address} id {found[3]}"


def step_words(step: Step) -> StepWords:
    label, text, thing = _subject(step)
    told = [text, *map(_change, step.changes), _NOTES.get(step.note, step.note), _DID.get(step.did, "")]
    words = "; ".join(filter(None, told)) or step.did
    return StepWords(step.stage, label, words, origin_words(step.origin), thing)


def origin_words(origin: EntryOrigin | None) -> str:
    """`forward web (services.yaml:8)`"""
    if origin is None:
        return ""
    name = " ".join(filter(None, (entry_word(origin.section), origin.name)))
    return f"{name} ({origin.place})" if origin.place else name


def _subject(step: Step) -> tuple[str, str, str]:
    """What decided, what there is to say of it, and the object itself."""
    match step.subject:
        case None:
            return ("conntrack" if step.did in ("tracked", "translated") else step.hook), "", ""
        case RuleAt(chain, _, rule):
            return chain, "", rule_text(rule)
        case ElementOf(name, (key, data), asked):
            values = " . ".join(value_text(part) for part in key)
            becomes = " . ".join(value_text(part) for part in data) if isinstance(data, tuple) else str(data or "")
            element = f"{values} : {becomes}" if becomes else values
            return (asked.chain if asked else name), "", f"element {{ {element} }} of {name}"
        case FibRule() as rule:
            return "ip rule", str(rule), ""
        case Route() as route:
            return "ip route", _route(route), KINDS["route"].describe(route)
        case HostRoute() as route:
            return "ip route", _host_route(route), ""
    return _object(step)


def _object(step: Step) -> tuple[str, str, str]:
    """The words for other owned kinds: the device, programs and guards."""
    for kind in KINDS.values():
        if isinstance(step.subject, kind.type):
            subject: Any = step.subject
            label = subject.ifname if step.hook == "device" else kind.noun or kind.name
            return label, "", kind.describe(subject)
    return step.hook, "", str(step.subject)


def _route(route: Route) -> str:
    way = f" via {route.via}" if route.via else ""
    dev = f" dev {route.dev}" if route.dev else " unreachable"
    return f"{_destination(route.destination)}{way}{dev} table {table_name(route.table)}"


def _host_route(route: HostRoute) -> str:
    way = f" via {route.via}" if route.via else ""
    dev = f" dev {route.dev}" if route.dev else " unreachable"
    return f"{_destination(str(route.destination))}{way}{dev} table {table_name(route.table)}"


def _destination(text: str) -> str:
    network = ip_network(text)
    if not network.prefixlen:
        return "default"
    return str(network.network_address) if network.prefixlen == network.max_prefixlen else text


def _change(change: FieldChange) -> str:
    before, after = (
        f"{value:#x}" if change.field in _MARKS and isinstance(value, int) else value
        for value in (change.before, change.after)
    )
    return f"{change.field} {after}" if before is None else f"{change.field} {before} becomes {after}"


# --------------------------------------------------------------------------- packets and ends


def heading(way: WalkTree) -> str:
    """`tcp 192.168.1.10:40000 to 192.0.2.80:443, in by lan0`"""
    packet = way.walk.entering
    by = f", in by {packet.in_interface}" if packet.in_interface else ", sent by the gateway itself"
    if way.kind == "error":
        ends = f"{end_words(packet.source, None)} to {packet.destination}"
        return f"ICMP error ({_ERRORS[kind_of(packet)]}): {ends}{by}"
    if way.kind == "answer":
        return f"answer: {packet_words(_without_flags(packet))}{by}"
    return f"{packet_words(packet)}{by}"


def _without_flags(packet: Packet) -> Packet:
    """An answer has those that answers have."""
    return Packet(packet.in_interface, packet.protocol, packet.source, packet.destination, **_ports(packet))


def _ports(packet: Packet) -> dict[str, Any]:
    return {
        "source_port": packet.source_port,
        "destination_port": packet.destination_port,
        "icmp_type": packet.icmp_type,
    }


def verdict_words(walk: Walk, uplink: Uplink | None) -> str:
    match walk.verdict:
        case Forwarded(interface, next_hop):
            hop = f"the next hop {next_hop}" if next_hop else f"{walk.packet.destination}, which is on its wire"
            return f"leaves by {interface}{f' (uplink {uplink.name})' if uplink else ''} to {hop}"
        case Delivered():
            return "the gateway itself takes it"
        case Dropped(where, counter):
            return f"dropped: {where}" + (f", counter {counter}" if counter else "")
        case Refused(error, where, mtu):
            told = f", {mtu} bytes fit" if mtu else ""
            return f"refused: {where}: the sender gets an ICMP error, {_ERRORS[error]}{told}"
        case NotModelled(what, detail):
            return f"not modelled: {what.value}" + (f": {detail}" if detail else "")


def ending_words(explanation: Explanation, way: WalkTree) -> Iterator[tuple[str, str]]:
    """(label, text) of what holds at the end: the packet as it leaves, what is remembered, the uplink's state."""
    walk, topology = way.walk, explanation.topology
    verdict, packet = walk.verdict, walk.packet
    uplink = uplink_of(topology, walk)
    if isinstance(verdict, Forwarded | Delivered):
        yield "as", f"{packet_words(_plain(packet))}, TTL {packet.ttl}"
    by_chance = [each for each in walk.chosen if not each.endswith(BY_HASH)]
    if by_chance and way.kind == "packet" and len(explanation.ways) == 1:
        yield "chosen", f"{', '.join(by_chance)}: the kernel takes any of them"
    if isinstance(verdict, Dropped) and verdict.counter in MEANINGS:
        yield "because", MEANINGS[verdict.counter].removeprefix("dropped: ")
    if walk.entry is not None and way.kind == "packet" and isinstance(verdict, Forwarded | Delivered):
        yield "conntrack", entry_words(walk.entry)
    if uplink is not None:
        yield "uplink", _uplink_words(explanation, uplink, packet)
    if isinstance(verdict, Forwarded):
        yield "MTU", _mtu_words(verdict, packet)
        if way.kind == "packet":
            yield "flow cache", _cache_words(explanation, walk)
    if (why := _untranslated(topology, walk)) and way.kind == "packet":
        yield "because", why
    if way.kind == "packet" and (wire := _own_wire(topology, walk)):
        yield "note", wire
    if way.kind == "packet" and isinstance(verdict, Forwarded) and _is_counted(walk, "unanswered"):
        yield "note", MEANINGS["unanswered"]
    for doubt in way.others:
        yield "not certain", doubt


def _untranslated(topology: Topology, walk: Walk) -> str:
    """Why a packet that comes in goes nowhere, or to the gateway itself: the spec says nothing of it."""
    came, left, verdict = walk.entering, walk.packet, walk.verdict
    if came.in_interface is None or (came.source, came.destination) != (left.source, left.destination):
        return ""
    refused = isinstance(verdict, Refused) and verdict.error == "unreachable"
    inside = next((i for i in topology.inside_interfaces if i.interface.ifname == came.in_interface), None)
    if refused and inside is not None:
        if not any(came.source in network for network in inside.networks):
            networks = ", ".join(map(str, inside.of_family(came.family))) or f"none of IPv{came.family}"
            return f"nothing translates {came.source}: it is in no network of {came.in_interface} ({networks})"
        if walk.tracked is None:
            return f"nothing translates {came.source}: {_OF_NO_FLOW}"
        return f"nothing translates {came.source}: no rule of sourceNat is about the packet"
    if (refused or isinstance(verdict, Delivered)) and inside is None and topology.uplinks:
        place = end_words(came.destination, came.destination_port)
        if walk.tracked is None:
            return f"nothing translates {place}: {_OF_NO_FLOW}"
        return f"no forward and no 1:1 NAT takes what comes to {place}"
    return ""


def _is_counted(walk: Walk, counter: str) -> bool:
    return any(Count(counter) in step.subject.rule for step in walk.steps if isinstance(step.subject, RuleAt))


def _own_wire(topology: Topology, walk: Walk) -> str:
    """A packet between two hosts of one network is seldom sent to the gateway."""
    came = walk.entering
    inside = next((i for i in topology.inside_interfaces if i.interface.ifname == came.in_interface), None)
    if inside is None or not isinstance(walk.verdict, Forwarded) or walk.verdict.interface != came.in_interface:
        return ""
    network = next((n for n in inside.networks if came.source in n and came.destination in n), None)
    return f"hosts of {network} that are on one wire reach each other without the gateway" if network else ""


def _plain(packet: Packet) -> Packet:
    """The packet as it is on the wire, without what is of this host alone."""
    return Packet(None, packet.protocol, packet.source, packet.destination, **_ports(packet), dscp=packet.dscp)


def entry_words(entry: ConntrackEntry) -> str:
    """`answers 192.0.2.80:443 to 203.0.113.2:40000; snat`"""
    zone = f", zone {entry.zone}" if entry.zone else ""
    mark = f", mark {entry.mark:#x}" if entry.mark else ""
    status = f" ({', '.join(sorted(entry.status & {'snat', 'dnat'}))})" if entry.status & {"snat", "dnat"} else ""
    return f"answers come from {tuple_words(entry, entry.reply)}{status}{zone}{mark}"


def tuple_words(entry: ConntrackEntry, side: ConntrackTuple) -> str:
    ports = entry.protocol in WITH_PORTS
    source = end_words(address(entry.family, side.source), side.source_port if ports else None)
    to = end_words(address(entry.family, side.destination), side.destination_port if ports else None)
    echo = f", id {side.source_port}" if entry.protocol == ICMP_OF[entry.family] else ""
    return f"{source} to {to}{echo}"


def uplink_of(topology: Topology, walk: Walk) -> Uplink | None:
    """The uplink by which a packet leaves: of several on one interface, the one of its source."""
    if not isinstance(walk.verdict, Forwarded):
        return None
    there = [uplink for uplink in topology.uplinks if uplink.interface.ifname == walk.verdict.interface]
    packet = walk.packet
    owner = (u for u in there if any(packet.source in network for network in u.sources(packet.family)))
    return next(owner, there[0] if there else None)


def _uplink_words(explanation: Explanation, uplink: Uplink, packet: Packet) -> str:
    if explanation.is_assumed:
        return f"{uplink.name}: assumed to work"
    if not uplink.is_linked(packet.family):
        return f"{uplink.name}: down: no carrier, address or router"
    if uplink.health.state == "down":
        return f"{uplink.name}: down: {uplink.health.reason}"
    return f"{uplink.name}: up" + (", by its probes" if uplink.health.state == "up" else "")


def _mtu_words(verdict: Forwarded, packet: Packet) -> str:
    mtu = verdict.mtu
    if mtu is None:
        return f"that of {verdict.interface} is not known"
    if packet.length is None:
        return f"{mtu} bytes fit"
    return f"{packet.length} of {mtu} bytes" + (", in fragments" if packet.length > mtu else "")


def _cache_words(explanation: Explanation, walk: Walk) -> str:
    cached = flow_cache(explanation.machine, walk)
    return "takes the flow once it is established" if cached.taken else f"does not take the flow: {cached.why}"
