"""The fast way to a topology: after an edit of a few forwards the rest of it is not resolved again."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import NamedTuple

from nvi_operator.language.fast.delta import Delta
from nvi_operator.language.model.nat_entries import Forward
from nvi_operator.topology.forwards import resolve_forwards
from nvi_operator.topology.model import Topology
from nvi_operator.topology.rules import ForwardEntry


class TopologyDelta(NamedTuple):
    """The topology after an edit; and the same gateway with the removed forwards alone, and with the added alone."""

    whole: Topology
    removed: Topology
    added: Topology


def topology_after(topology: Topology, delta: Delta) -> TopologyDelta | None:
    """What `resolve` would make of the spec after `delta`. None: only `resolve` can tell."""
    if delta.section != "forwards":
        return None
    removed, added = (_alone(topology, forwards) for forwards in (delta.removed, delta.added))
    if removed is None or added is None:
        return None
    if topology.ambiguous_publics or removed.ambiguous_publics or added.ambiguous_publics:
        return None  # a forward may lose its public port to another
    entries = list(topology.forwards)
    for name in delta.removed:
        del entries[bisect_left(entries, name, key=_name) : bisect_right(entries, name, key=_name)]
    for name, own in _by_name(added.forwards).items():
        place = bisect_left(entries, name, key=_name)
        entries[place:place] = own
    return TopologyDelta(replace(topology, forwards=tuple(entries)), removed, added)


def _alone(topology: Topology, forwards: Mapping[str, Forward]) -> Topology | None:
    tenants = {tenant.name: tenant for tenant in topology.tenants}
    found = resolve_forwards(forwards, topology.uplinks, topology.inside_interfaces, tenants)
    if found["forward_rules"] or found["servers"] or found["forwards_elsewhere"]:
        return None  # chains, not elements; a server's state is needed; there is a note
    return replace(topology, **found, redirects=(), statics=(), twice=(), source_rules=())


def _by_name(entries: Iterable[ForwardEntry]) -> Mapping[str, list[ForwardEntry]]:
    found: dict[str, list[ForwardEntry]] = {}
    for entry in entries:
        found.setdefault(entry.name, []).append(entry)
    return found


def _name(entry: ForwardEntry) -> str:
    return entry.name
