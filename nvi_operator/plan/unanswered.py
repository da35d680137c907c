"""Flows that opened when nothing of the spec took them, that no one answered, and that a forward or a rule takes now.

NAT is decided by a flow's first packet. One that came before its forward was there, or that no rule covered, stays
untranslated for as long as its sender goes on from the same port, as WireGuard, SIP and NTP do. Whoever got an answer
stays where it is: it talks to the gateway itself.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property

from nvi_operator.language.model.services import protocol_number
from nvi_operator.language.model.values import Address
from nvi_operator.topology.flows import TrackedFlow
from nvi_operator.topology.model import Topology
from nvi_operator.topology.rules import ForwardEntry, ForwardRule, SourceRule


class UnansweredFlows:
    """Which of them would be translated if they opened now. 1:1 and twice NAT are not followed."""

    def __init__(
        self,
        topology: Topology,
        is_asked: Callable[[ForwardRule, TrackedFlow], bool],
        rule_of: Callable[[TrackedFlow], SourceRule | None],
    ) -> None:
        """`is_asked`: does a forward apply to it; `rule_of`: the first rule that does, if it gives an address."""
        self._topology = topology
        self._is_asked = is_asked
        self._rule_of = rule_of

    def would_be_taken(self, flow: TrackedFlow) -> bool:
        if flow.answered or flow.source_translated or flow.destination_translated:
            return False
        return self._is_forwarded(flow) or self._is_covered(flow)

    def _is_forwarded(self, flow: TrackedFlow) -> bool:
        hairpin = self._is_inside(flow.source)
        return any(
            (entry.hairpin or not hairpin)
            and (entry.protocol is None or protocol_number(entry.protocol) == flow.protocol)
            and (entry.ports is None or flow.destination_port in entry.ports)
            for entry in self._entries.get(flow.destination, ())
        ) or any(
            (rule.hairpin or not hairpin)
            and not (rule.dscps or rule.mark)
            and rule.public == flow.destination
            and self._is_asked(rule, flow)
            for rule in self._topology.forward_rules
        )

    def _is_covered(self, flow: TrackedFlow) -> bool:
        to = flow.destination
        if not self._is_inside(flow.source) or to.is_multicast or str(to) == "255.255.255.255":
            return False
        rule = self._rule_of(flow)
        if rule is None:
            return False
        own = any(to in network for uplink in self._topology.uplinks for network in uplink.sources(flow.family))
        if not own and not self._is_inside(to):
            return True
        within_inside = self._topology.asked_first(rule)
        return within_inside is not None and any(to in network for network in within_inside.conditions.destinations)

    def _is_inside(self, address: Address) -> bool:
        return any(address in network for inside in self._topology.inside_interfaces for network in inside.networks)

    @cached_property
    def _entries(self) -> Mapping[Address, Sequence[ForwardEntry]]:
        entries = defaultdict(list)
        for entry in self._topology.forwards:
            entries[entry.public].append(entry)
        return entries
