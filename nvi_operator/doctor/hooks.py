"""The gateway's packets, as a foreign base chain of a given hook and priority sees them. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from nvi_operator.doctor.footprint import Footprint
from nvi_operator.doctor.packet import PartialPacket
from nvi_operator.doctor.ruleset import ListedChain
from nvi_operator.language.model.values import Family
from nvi_operator.topology.numbers import CONNTRACK, RAW

_FAMILIES: dict[str, tuple[Family, ...]] = {"ip": (4,), "ip6": (6,), "inet": (4, 6)}


def families(chain: ListedChain) -> tuple[Family, ...]:
    return _FAMILIES[chain.family]


def received(chain: ListedChain, need: Footprint, *, unknown: bool = False) -> Iterator[PartialPacket]:
    """Packets as a prerouting chain sees them: without conntrack's state in chains before conntrack."""
    for family in families(chain):
        for packet in need.received(family, unknown=unknown):
            early = chain.priority <= (CONNTRACK if packet.stage == 1 else RAW)
            yield replace(packet, ct_state=None) if early else packet


def seen_by(chain: ListedChain, need: Footprint, *, unknown: bool = False) -> Iterator[PartialPacket]:
    """Packets as a chain before routing, in forwarding or behind it sees them."""
    return (received if chain.hook == "prerouting" else forwarded)(chain, need, unknown=unknown)


def forwarded(chain: ListedChain, need: Footprint, *, unknown: bool = False) -> Iterator[PartialPacket]:
    for family in families(chain):
        yield from need.forwarded(family, unknown=unknown)
