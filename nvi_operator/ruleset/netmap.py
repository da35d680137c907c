"""1:1 and twice NAT of addresses and prefixes, the same for sources and destinations."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Literal

from nvi_operator.language.model.values import Family, Network
from nvi_operator.nft.ast import Element, Field, Lookup, Masked, Match, NamedSet, Nat, Rule, Statement
from nvi_operator.nft.values import network_value
from nvi_operator.ruleset import fields as f
from nvi_operator.topology.interfaces import Inside
from nvi_operator.topology.model import Topology
from nvi_operator.topology.numbers import TARGET_MASK
from nvi_operator.topology.rules import StaticEntry

NatKind = Literal["snat", "dnat"]


def subject(kind: NatKind, family: Family) -> Field:
    """The address that is translated."""
    return f.saddr(family) if kind == "snat" else f.daddr(family)


def network_nat(kind: NatKind, family: Family, given: Network, becomes: Network) -> Nat:
    """One network to another of its size; host parts stay."""
    if _is_address(given):
        return Nat(kind, family, network_value(becomes))
    return Nat(kind, family, Lookup(subject(kind, family), frozenset({_element(given, becomes)})), netmap=True)


def network_maps(kind: NatKind, family: Family, pairs: Iterable[tuple[Network, Network]]) -> Iterator[NamedSet]:
    """Maps of networks to what they become: addresses in a hash, prefixes in intervals; none that is empty."""
    type_ = f.ADDRESS_TYPE[family]
    single: set[Element] = set()
    prefixes: set[Element] = set()
    for given, becomes in pairs:
        if given.version == family:
            (single if _is_address(given) else prefixes).add(_element(given, becomes))
    if single:
        yield NamedSet(f"{kind}_static_{family}", (type_,), frozenset(single), (type_,))
    if prefixes:
        name = f"{kind}_prefix_{family}"
        yield NamedSet(name, (type_,), frozenset(prefixes), (type_,), interval=True, prefix_values=True)


def twice_rules(kind: NatKind, topology: Topology, family: Family) -> Iterator[Rule]:
    """One half of twice NAT, for flows from either side.

    The destination is translated before the source: conntrack has the original one.
    """
    asked = f.daddr(family) if kind == "dnat" else f.original_daddr(family)
    for entry in topology.twice:
        if entry.real.version == family:
            from_inside = f.not_from_uplinks(topology)
            from_far = (Match(f.IIFNAME, "==", topology.uplink(entry.uplink).interface.ifname),)
            for where, source, known_as, alias, behind_it in (
                (from_inside, entry.real, entry.mapped, entry.alias, entry.far),
                (from_far, entry.far, entry.alias, entry.mapped, entry.real),
            ):
                matches = (*where, f.in_networks(f.saddr(family), (source,)), f.in_networks(asked, (alias,)))
                if where is from_far and not entry.far_opens:
                    if kind == "dnat":  # the first packet of a flow; answers never come by here
                        yield (*matches, *f.drop("not_opened"))
                    continue
                kept = entry.refused + entry.own if kind == "dnat" and where is from_inside else ()
                except_kept = (f.in_networks(asked, kept, op="!="),) if kept else ()
                pair = (alias, behind_it) if kind == "dnat" else (source, known_as)
                yield (*matches, *except_kept, network_nat(kind, family, *pair))


def counters(topology: Topology) -> frozenset[str]:
    """`not_opened`: packets of the far side that would open a flow, where only the near side may."""
    return frozenset() if all(entry.far_opens for entry in topology.twice) else frozenset({"not_opened"})


def limited_rules(kind: NatKind, topology: Topology, family: Family) -> Iterator[Rule]:
    """1:1 NAT for packets to and from some networks only."""
    for entry in limited_entries(topology, family):
        if kind == "dnat":
            yield (*is_asked_for(entry, family), network_nat(kind, family, entry.mapped, entry.real))
            continue
        source = (*_from_inside(topology, entry.tenant), f.in_networks(f.saddr(family), (entry.real,)))
        far = (f.in_networks(f.daddr(family), entry.far),) if entry.far else ()
        nat = network_nat(kind, family, entry.real, entry.mapped)
        for there in [_behind(topology, asker, family) for asker in entry.askers] or [()]:
            yield (*source, *there, *far, nat)


def limited_entries(topology: Topology, family: Family) -> list[StaticEntry]:
    """In the order in which they are asked: those that depend on the in-interface come first."""
    limited = [entry for entry in topology.statics if entry.limited and entry.real.version == family]
    return sorted(limited, key=lambda entry: not entry.askers)


def is_asked_for(entry: StaticEntry, family: Family) -> Iterator[Match]:
    """Is a packet for the host of an entry that is limited to some networks or interfaces?"""
    if entry.askers:
        yield f.one_of(f.IIFNAME, tuple(asker.interface.ifname for asker in entry.askers))
    yield f.in_networks(f.daddr(family), (entry.mapped,))
    if entry.far:
        yield f.in_networks(f.saddr(family), entry.far)


def _behind(topology: Topology, inside: Inside, family: Family) -> tuple[Match, ...]:
    """Is a packet's destination behind this interface? With equal networks the target tenant decides."""
    networks = f.in_networks(f.daddr(family), inside.of_family(family))
    if not topology.tenants:
        return (networks,)
    return (Match(Masked(f.CT_MARK, TARGET_MASK), "==", inside.tenant), networks)


def _from_inside(topology: Topology, tenant: int) -> tuple[Statement, ...]:
    if not tenant:
        return f.not_from_uplinks(topology)
    return (f.one_of(f.IIFNAME, tuple(i.interface.ifname for i in topology.inside_interfaces if i.tenant == tenant)),)


def _is_address(network: Network) -> bool:
    return network.prefixlen == network.max_prefixlen


def _element(given: Network, becomes: Network) -> Element:
    return (network_value(given),), (network_value(becomes),)
