"""The whole table of a topology, before it is packed (nft/packing.py)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from nvi_operator.language.model.values import Family
from nvi_operator.nft.ast import Chain, NamedSet, Table
from nvi_operator.ruleset import guard, mark_hook, raw, srcnat
from nvi_operator.ruleset import netmap as networks
from nvi_operator.ruleset.dstnat import ForwardMap, dstnat_chains, forward_maps
from nvi_operator.ruleset.guard import guard_chains, guard_sets
from nvi_operator.ruleset.ipsec import ipsec_chains
from nvi_operator.ruleset.mark_hook import mark_chains, mark_map
from nvi_operator.ruleset.mss import mss_chains
from nvi_operator.ruleset.others import others_chains
from nvi_operator.ruleset.own import own_chains
from nvi_operator.ruleset.raw import raw_chains, uplink_maps
from nvi_operator.ruleset.srcnat import own_sources, srcnat_chain, static_maps
from nvi_operator.ruleset.tenants import tenant_chains, tenant_maps
from nvi_operator.topology.model import Topology

TABLE = "nvi"

Forwards = Mapping[Family, Sequence[ForwardMap]]


def table(topology: Topology) -> Table:
    """Pure and complete: equal topologies give equal tables."""
    forwards = {family: tuple(forward_maps(topology, family)) for family in topology.families}
    counters = srcnat.counters(topology) | {rule.counter for rule in topology.forward_rules}
    counters |= {rule.counter for rule in topology.redirects}
    return Table(
        TABLE,
        frozenset(counters)
        | raw.COUNTERS
        | mark_hook.counters(topology)
        | guard.COUNTERS
        | networks.counters(topology),
        frozenset(_sets(topology, forwards)),
        frozenset(_chains(topology, forwards)),
    )


def _chains(topology: Topology, forwards: Forwards) -> Iterator[Chain]:
    yield from raw_chains(topology)
    yield from tenant_chains(topology)
    yield from dstnat_chains(topology, forwards)
    yield from ipsec_chains(topology)
    yield from others_chains(topology)
    yield from own_chains(topology)
    yield srcnat_chain(topology)
    yield from own_sources(topology)
    yield from mss_chains(topology)
    yield from guard_chains(topology)
    yield from mark_chains(topology)


def _sets(topology: Topology, forwards: Forwards) -> Iterator[NamedSet]:
    yield from guard_sets(topology)
    yield from tenant_maps(topology)
    if topology.in_interface == "mark":
        yield mark_map(topology)
    for family in topology.families:
        yield from (map_.named for map_ in forwards[family])
        yield from static_maps(topology, family)
        yield from uplink_maps(topology, family)
