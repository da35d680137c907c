"""The whole table of a topology."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from nvi_operator.nft.wire.elements import packed
from nvi_operator.ruleset import fields as f
from nvi_operator.ruleset import guard, stages
from nvi_operator.ruleset.dstnat import dstnat_chains, forward_maps
from nvi_operator.ruleset.guard import guard_chains, guard_sets
from nvi_operator.ruleset.ipsec import ipsec_chains
from nvi_operator.ruleset.srcnat import srcnat_chain, static_maps
from nvi_operator.ruleset.stages import mark_chains, mark_map, raw_chains, uplink_maps
from nvi_operator.ruleset.tenants import tenant_chains, tenant_maps
from nvi_operator.state.nft import Chain, Field, Hook, Match, NamedSet, Rule, SetBits, Table
from nvi_operator.topology.model import Family, Topology

TABLE = "nvi"

Forwards = Mapping[Family, Sequence[NamedSet]]

_ERRORS = {
    4: ("icmp type", ("destination-unreachable", "time-exceeded", "parameter-problem")),
    6: ("icmpv6 type", ("destination-unreachable", "packet-too-big", "time-exceeded", "parameter-problem")),
}


def table(topology: Topology) -> Table:
    """Pure and complete: equal topologies give equal tables."""
    forwards = {family: tuple(forward_maps(topology, family)) for family in topology.families}
    counters = {rule.counter for rule in topology.source_rules} | {r.counter for r in topology.forward_rules}
    return Table(
        TABLE,
        frozenset(counters) | stages.COUNTERS | guard.COUNTERS,
        frozenset(map(packed, _sets(topology, forwards))),
        frozenset(_chains(topology, forwards)),
    )


def _chains(topology: Topology, forwards: Forwards) -> Iterator[Chain]:
    yield from raw_chains(topology)
    yield from tenant_chains(topology)
    yield from dstnat_chains(topology, forwards)
    yield from ipsec_chains(topology)
    yield _errors_chain(topology)
    yield _answers_chain(topology)
    yield srcnat_chain(topology)
    yield from guard_chains(topology)
    yield from mark_chains(topology)


def _errors_chain(topology: Topology) -> Chain:
    """The gateway's own ICMP errors about a NATed flow are routed before un-NAT: send them the NAT way.

    Otherwise they leave by the default uplink with another's source, a PMTU black hole for inbound flows.
    """
    rules: list[Rule] = [
        (
            f.one_of(Field(_ERRORS[family][0]), _ERRORS[family][1]),
            Match(f.CT_STATE, "in", frozenset({"related"})),
            Match(f.CT_STATUS, "in", frozenset({"snat", "dnat"})),
            SetBits(f.META_MARK, topology.local_mask),
        )
        for family in topology.families
    ]
    return Chain("own_errors", Hook("route", "output", -150), tuple(rules))


def _answers_chain(topology: Topology) -> Chain:
    """The gateway's own answers that end a flow bear the stage bit: the proof, to the program at an uplink's egress,
    that this table has seen what they answer.

    Without the table the gateway itself gets what is for a published server, and answers with a reset.
    """
    leaves = Match(f.OIFGROUP, "==", topology.link_group)
    answers: list[Match] = [Match(Field("tcp flags"), "in", frozenset({"rst"}))]
    answers += [Match(Field(_ERRORS[family][0]), "==", "destination-unreachable") for family in topology.families]
    rules: list[Rule] = [(answer, leaves, SetBits(f.META_MARK, topology.stage_mask)) for answer in answers]
    return Chain("own_answers", Hook("filter", "output", 300), tuple(rules))


def _sets(topology: Topology, forwards: Forwards) -> Iterator[NamedSet]:
    yield from guard_sets(topology)
    yield from tenant_maps(topology)
    if topology.source == "mark":
        yield mark_map(topology)
    for family in topology.families:
        yield from forwards[family]
        yield from static_maps(topology, family)
        yield from uplink_maps(topology, family)
