"""Twice NAT, resolved: which of its addresses are the gateway's own on this host, now.

The kernel looks in table `local` before any rule: a packet that is translated to one of the gateway's own addresses
reaches the gateway and not the far host with the same address.
"""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import ip_network

from nvi_operator.language.model.gateway import GatewaySpec
from nvi_operator.language.model.nat_entries import OneTwice
from nvi_operator.language.model.values import Address, Network
from nvi_operator.topology.facts import Facts
from nvi_operator.topology.notes import Note
from nvi_operator.topology.rules import TwiceEntry

_SHOWN = 4  # addresses in a note


def resolve_twice_nat(spec: GatewaySpec, facts: Facts, note: Note) -> tuple[TwiceEntry, ...]:
    """Entries by name and family. What cannot work becomes a note."""
    if not spec.twice_nat:
        return ()
    own = sorted({a.ip for link in facts.links.values() for a in link.addresses}, key=lambda a: (a.version, int(a)))
    return tuple(
        _entry(name, one, twice.opens == "both", own, note)
        for name, twice in sorted(spec.twice_nat.items())
        for one in twice.families
    )


def _entry(name: str, twice: OneTwice, far_opens: bool, own: Sequence[Address], note: Note) -> TwiceEntry:
    refused = [(_alias_of(address, twice), address) for address in _among(own, twice.becomes)]
    if refused:
        shown = ", ".join(f"{alias} ({address})" for alias, address in refused[:_SHOWN])
        more = f" and {len(refused) - _SHOWN} more" if refused[_SHOWN:] else ""
        note(
            f"twiceNat {name}: {shown}{more} stands for an address of this gateway itself: inside hosts that "
            "connect to it get 'unreachable'"
        )
    kept = _among(own, twice.to)
    if kept:
        shown = ", ".join(map(str, kept[:_SHOWN])) + (" ..." if kept[_SHOWN:] else "")
        note(
            f"twiceNat {name}: {shown} of {twice.to} is this gateway's own address: the gateway itself answers for it"
        )
    return TwiceEntry(
        name,
        twice.from_,
        twice.as_,
        twice.to,
        twice.becomes,
        twice.via,
        far_opens,
        tuple(ip_network(alias) for alias, _ in refused if alias not in kept),
        tuple(ip_network(address) for address in kept),
    )


def _among(addresses: Sequence[Address], network: Network) -> list[Address]:
    first, last = int(network.network_address), int(network.broadcast_address)
    return [a for a in addresses if a.version == network.version and first <= int(a) <= last]


def _alias_of(far: Address, twice: OneTwice) -> Address:
    """What the near side knows a far address as."""
    return twice.to.network_address + (int(far) - int(twice.becomes.network_address))
