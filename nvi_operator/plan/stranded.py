"""Which flows a plan strands: their translation leads nowhere now, and a new flow would have another one.

By what they are, and not by what was done: a flow is stranded if

- its translated source is an address that no uplink has any more, or of one that does not work, and the rule that
  applies to it gives another one, of an uplink that works. Where no other works nothing is stranded: a new flow would
  fare no better. With `failback: move`, also if its uplink works, and one that is preferred works again;
- a forward sent it to a server, and is gone, or leads to another one;
- a forward sent it to a server that is down by its probes, while another one takes the forward's new flows;
- nothing took it when it opened, no one answered it, and a forward or a rule takes it now (`unanswered.py`).

The rules are followed as far as conntrack tells what a packet was. Flows of 1:1 and twice NAT are left alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import cached_property
from ipaddress import ip_address, ip_network

from nvi_operator.language.model.gateway import GatewaySpec
from nvi_operator.language.model.services import Service, parse_protocol, protocol_number
from nvi_operator.language.model.values import Address, AddressRange, Family, Network, within
from nvi_operator.nft.ast import Table
from nvi_operator.plan.change import Plan
from nvi_operator.plan.pieces import FORWARDS, TablePiece, table_pieces
from nvi_operator.plan.unanswered import UnansweredFlows
from nvi_operator.state.fib_rule import FibRule
from nvi_operator.state.host import HostState
from nvi_operator.topology.faults import uplink_state
from nvi_operator.topology.flows import FlowQuestion, TrackedFlow
from nvi_operator.topology.interfaces import Uplink
from nvi_operator.topology.model import Topology
from nvi_operator.topology.prefixes import fewest
from nvi_operator.topology.rules import (
    Conditions,
    ForwardEntry,
    ForwardRule,
    SourceAction,
    SourceRule,
    Spread,
    ToRange,
)
from nvi_operator.topology.ways import Tier, shares

# Maps; those of ranges of ports, and rules, are not followed.
_FORWARDS = ("dnat_port_", "dnat_protocol_", "dnat_all_")


class StrandedFlows:
    """The flows that one plan strands: `questions` for the kernel, and `is_stranded` for what it answers."""

    def __init__(self, spec: GatewaySpec, plan: Plan, lost: Iterable[Network]) -> None:
        """`lost` are addresses that were lost by earlier plans, when nothing better was there for their flows."""
        self._lost = frozenset(lost)
        self._spec = spec
        self._plan = plan
        self._topology = plan.topology
        self._removed: dict[tuple[object, ...], str] = {}  # of a forward: where it led, by what it was asked by

    def questions(self) -> Iterator[FlowQuestion]:
        """About few flows each; none where the plan changes nothing that flows depend on."""
        topology = self._topology
        if topology is None or not self._plan:
            return
        for family in topology.families:
            yield from self._lost_addresses(topology, family)
            yield from self._uplinks(topology, family)
        yield from self._prefixes(topology)
        yield from self._forwards()
        if self._is_changed:
            yield from self._servers(topology)
        if self._takes_more:
            for family in topology.families:
                yield FlowQuestion(family, "unanswered, and a forward or a rule takes them now", unanswered=True)

    def is_stranded(self, question: FlowQuestion, flow: TrackedFlow) -> bool:
        assert self._topology is not None
        if question.unanswered:
            return self._unanswered.would_be_taken(flow)
        if question.server is not None:
            return flow.destination_translated and self._has_lost_its_server(self._topology, flow)
        if question.published is not None:
            return flow.destination_translated and self._has_lost_its_forward(flow)
        return flow.source_translated and self._would_get_another(self._topology, flow)

    # ---------------------------------------------------------------- translated sources

    def _lost_addresses(self, topology: Topology, family: Family) -> Iterator[FlowQuestion]:
        priority = topology.priorities.sources
        before, after = (_sources(state, family, priority) for state in (self._plan.before, self._plan.after))
        earlier = {network for network in self._lost if network.version == family}
        for network in sorted((before | earlier) - after, key=str):
            if not any(within(network, other) for other in after):
                shown = network.network_address if network.prefixlen == network.max_prefixlen else network
                yield FlowQuestion(family, f"{shown} is no longer an uplink's", translated=network, lost=True)

    def _uplinks(self, topology: Topology, family: Family) -> Iterator[FlowQuestion]:
        moves = self._spec.failback == "move"
        for uplink in topology.uplinks if self._is_changed else ():
            if not uplink.is_usable(family):
                why = f"uplink {uplink.name}: {uplink_state(uplink)}"
            elif moves and any(self._is_behind(topology, uplink, rule.as_.tiers) for rule in self._spec.source_nat):
                why = f"uplink {uplink.name}: a preferred one works again"
            else:
                continue
            for network in self._given_of(uplink, family):
                yield FlowQuestion(family, why, translated=network)

    def _given_of(self, uplink: Uplink, family: Family) -> tuple[Network, ...]:
        """What rules give of an uplink: its address, and what is in pools."""
        pools = [r for rule in self._spec.source_nat for r in rule.as_.pool or () if r.family == family]
        given = [
            network
            for network in uplink.sources(family)
            if any(int(r.first) <= int(network[-1]) and int(network[0]) <= int(r.last) for r in pools)
        ]
        own = uplink.primary(family)
        return fewest([*given, *([ip_network(own)] if own else [])], family)

    def _prefixes(self, topology: Topology) -> Iterator[FlowQuestion]:
        """The prefixes of prefix NAT that are not given now, where that has changed."""
        changed = (
            named
            for change in self._plan.steps
            if isinstance(change.before, Table) and isinstance(change.after, Table)
            for named in change.before.sets ^ change.after.sets
        )
        if not any(named.name.startswith("snat_prefix_") for named in changed):
            return
        for entry in topology.statics:
            uplink = None if entry.outgoing else _uplink_of(topology, entry.mapped)
            if uplink is None:
                continue
            if not uplink.is_usable(entry.mapped.version):
                why = f"uplink {uplink.name}: {uplink_state(uplink)}"
            elif self._spec.failback == "move":
                why = f"uplink {uplink.name}: a preferred one works again"
            else:
                continue
            yield FlowQuestion(entry.mapped.version, why, translated=entry.mapped)

    @property
    def _is_changed(self) -> bool:
        """Does the plan touch more than elements of maps? An edit of forwards moves no source."""
        tables = [change for change in self._plan.steps if change.ref.kind == "nft-table"]
        return len(tables) < len(self._plan.steps) or any(
            not isinstance(c.before, Table) or not isinstance(c.after, Table) or c.before.chains != c.after.chains
            for c in tables
        )

    @property
    def _takes_more(self) -> bool:
        """Does the plan add to what is translated, or change how?"""
        return any(piece.added and piece.where.startswith(FORWARDS) for piece in self._pieces) or any(
            isinstance(change.after, Table)
            and not (isinstance(change.before, Table) and change.before.chains == change.after.chains)
            for change in self._plan.steps
        )

    @cached_property
    def _pieces(self) -> list[TablePiece]:
        """What differs in the table, where there was one before."""
        return [
            piece
            for change in self._plan.steps
            if isinstance(change.before, Table) and isinstance(change.after, Table | None)
            for piece in table_pieces(change.before, change.after)
        ]

    @cached_property
    def _unanswered(self) -> UnansweredFlows:
        assert self._topology is not None
        return UnansweredFlows(self._topology, _is_asked, self._rule_of)

    def _rule_of(self, flow: TrackedFlow) -> SourceRule | None:
        """The first rule that applies, if it gives an address; nothing tells what a flow's first packet was like."""
        assert self._topology is not None
        rules = self._topology.source_rules
        rule = next((rule for rule in rules if _matches(self._topology, rule.conditions, flow)), None)
        return rule if rule and _given(rule.action) and not rule.conditions.by_first_packet else None

    @staticmethod
    def _is_behind(topology: Topology, uplink: Uplink, tiers: Iterable[Tier]) -> bool:
        uplinks = {each.name: each for each in topology.uplinks}
        groups = [[u.name for u, _ in group] for group in shares(tiers, uplinks)]
        return any(uplink.name in group for group in groups[1:])

    def _would_get_another(self, topology: Topology, flow: TrackedFlow) -> bool:
        if _is_one_to_one(topology, flow):
            return _would_get_another_prefix(topology, flow)
        for rule in topology.source_rules:
            if _matches(topology, rule.conditions, flow):
                if rule.conditions.by_first_packet:
                    return False  # nothing tells now what its first packet was like
                given, to = _given(rule.action), int(flow.answers_to)
                return (
                    bool(given)
                    and not any(int(r.first) <= to <= int(r.last) for r in given)
                    and all(_works(topology, r.first) for r in given)
                )
        return False

    # ---------------------------------------------------------------- forwards

    def _forwards(self) -> Iterator[FlowQuestion]:
        """A question for each public address of which forwards are gone or moved."""
        added: dict[tuple[object, ...], str] = {}
        for piece in self._pieces:
            if piece.element is not None and piece.where.startswith(_FORWARDS):
                key, data = piece.element
                server = str(data[0]) if isinstance(data, tuple) and data else ""
                (added if piece.added else self._removed)[tuple(map(str, key))] = server
        self._removed = {key: server for key, server in self._removed.items() if added.get(key) != server}
        for public in sorted({str(key[0]) for key in self._removed}):
            address = ip_address(public)
            yield FlowQuestion(address.version, f"forwards of {public} are removed or moved", published=address)

    def _has_lost_its_forward(self, flow: TrackedFlow) -> bool:
        public, protocol = str(flow.destination), parse_protocol(flow.protocol)
        asked = (public, protocol, str(flow.destination_port)), (public, protocol), (public,)
        server = next((self._removed[key] for key in asked if key in self._removed), None)
        return server == str(flow.answers_from)

    # ---------------------------------------------------------------- servers

    @staticmethod
    def _servers(topology: Topology) -> Iterator[FlowQuestion]:
        """A question for each address that some forward no longer leads to."""
        down = {server.target.address: server for server in topology.servers if not server.takes_flows}
        for address, server in down.items():
            why = f"server {server.target} is down: {server.health.reason}"
            yield FlowQuestion(address.version, why, server=address)

    def _has_lost_its_server(self, topology: Topology, flow: TrackedFlow) -> bool:
        """Would the forward that it belongs to choose another one?"""
        for rule in sorted(topology.forward_rules, key=lambda rule: rule.is_of_everything):
            if rule.public == flow.destination and _is_asked(rule, flow):
                if rule.is_of_everything and any(_leads(entry, flow) for entry in self._beside):
                    return False
                return any(
                    not weight
                    and address == flow.answers_from
                    and flow.answers_port == (flow.destination_port if port is None else port)
                    for address, port, weight in rule.choices
                )
        return False

    @cached_property
    def _beside(self) -> list[ForwardEntry]:
        """The entries that are asked before rules for everything sent to their address."""
        assert self._topology is not None
        publics = {rule.public for rule in self._topology.forward_rules if rule.is_of_everything}
        return [entry for entry in self._topology.forwards if entry.protocol and entry.public in publics]


def _sources(state: HostState, family: Family, priority: int) -> set[Network]:
    return {
        ip_network(rule.source)
        for rule in state.of_kind("fib-rule")
        if isinstance(rule, FibRule) and rule.family == family and rule.priority == priority and rule.source
    }


def _works(topology: Topology, address: Address) -> bool:
    """Is it an address of an uplink that works?"""
    family: Family = address.version
    return any(u.is_usable(family) and any(address in n for n in u.sources(family)) for u in topology.uplinks)


def _uplink_of(topology: Topology, network: Network) -> Uplink | None:
    family: Family = network.version
    return next((u for u in topology.uplinks if any(within(network, n) for n in u.sources(family))), None)


def _given(action: SourceAction) -> list[AddressRange]:
    """The addresses that a rule gives; none where it gives no public one."""
    match action:
        case ToRange(addresses, _, _):
            return [addresses]
        case Spread(choices, _, _):
            return [AddressRange(choice.address, choice.address) for choice in choices]
        case _:
            return []


def _is_one_to_one(topology: Topology, flow: TrackedFlow) -> bool:
    reals = [*(entry.real for entry in topology.statics), *(entry.real for entry in topology.twice)]
    return any(flow.source in network for network in reals)


def _would_get_another_prefix(topology: Topology, flow: TrackedFlow) -> bool:
    """Does another uplink's prefix, that works, take the place of the one that prefix NAT gave?"""
    mapped = [entry.mapped for entry in topology.statics if entry.outgoing and flow.source in entry.real]
    return bool(mapped) and not any(flow.answers_to in n for n in mapped) and _works(topology, mapped[0][0])


def _matches(topology: Topology, conditions: Conditions, flow: TrackedFlow) -> bool:
    """The rule looks at the destination after its translation."""
    if conditions.family != flow.family:
        return False
    for networks, address in ((conditions.sources, flow.source), (conditions.destinations, flow.answers_from)):
        if networks and not any(address in network for network in networks):
            return False
    if conditions.ifnames and not any(
        inside.interface.ifname in conditions.ifnames and any(flow.source in n for n in inside.of_family(flow.family))
        for inside in topology.inside_interfaces
    ):
        return False
    if conditions.protocols and flow.protocol not in map(protocol_number, conditions.protocols):
        return False
    if any(_serves(service, flow.protocol, flow.destination_port) for service in conditions.excepted):
        return False
    return all(
        not services or any(_serves(service, flow.protocol, port) for service in services)
        for services, port in (
            (conditions.services, flow.destination_port),
            (conditions.source_services, flow.source_port),
        )
    )


def _is_asked(rule: ForwardRule, flow: TrackedFlow) -> bool:
    """Does the rule apply to the flow's first packet?"""
    if rule.clients and not any(flow.source in network for network in rule.clients):
        return False
    if rule.service and not _serves(rule.service, flow.protocol, flow.destination_port):
        return False
    if rule.protocol and flow.protocol != protocol_number(rule.protocol):
        return False
    sent_from = rule.source_services
    return not sent_from or any(_serves(service, flow.protocol, flow.source_port) for service in sent_from)


def _leads(entry: ForwardEntry, flow: TrackedFlow) -> bool:
    ports = entry.ports
    return (
        entry.public == flow.destination
        and entry.protocol is not None
        and protocol_number(entry.protocol) == flow.protocol
        and (ports is None or flow.destination_port in ports)
    )


def _serves(service: Service, protocol: int, port: int) -> bool:
    return protocol_number(service.protocol) == protocol and port in service.ports
