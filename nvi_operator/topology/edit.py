"""A topology after an edit of a few forwards: the rest of it is not worked out again."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import NamedTuple

from nvi_operator.language.model.nat_entries import Forward
from nvi_operator.topology.forwards import resolve_forwards
from nvi_operator.topology.model import ForwardEntry, Topology


class EditedTopology(NamedTuple):
    """The whole, and the same gateway with nothing but what went, and with nothing but what came."""

    whole: Topology
    less: Topology
    more: Topology


def edit_topology(
    topology: Topology, less: Mapping[str, Forward], more: Mapping[str, Forward]
) -> EditedTopology | None:
    """`less` are forwards that are no more what they were, `more` what they are now. None if it is not as simple."""
    gone, come = (_alone(topology, forwards) for forwards in (less, more))
    if gone is None or come is None or topology.ambiguous_publics or gone.ambiguous_publics or come.ambiguous_publics:
        return None  # of several forwards one may have taken what another wants
    entries = list(topology.forwards)
    for name in less:
        del entries[bisect_left(entries, name, key=_name) : bisect_right(entries, name, key=_name)]
    for name, own in _by_name(come.forwards).items():
        place = bisect_left(entries, name, key=_name)
        entries[place:place] = own
    return EditedTopology(replace(topology, forwards=tuple(entries)), gone, come)


def _alone(topology: Topology, forwards: Mapping[str, Forward]) -> Topology | None:
    tenants = {tenant.name: tenant for tenant in topology.tenants}
    found = resolve_forwards(forwards, topology.uplinks, topology.inside_interfaces, tenants)
    if found["forward_rules"]:
        return None  # chains, not elements
    return replace(topology, **found, statics=(), twice=(), source_rules=())


def _by_name(entries: Iterable[ForwardEntry]) -> Mapping[str, list[ForwardEntry]]:
    found: dict[str, list[ForwardEntry]] = {}
    for entry in entries:
        found.setdefault(entry.name, []).append(entry)
    return found


def _name(entry: ForwardEntry) -> str:
    return entry.name
