"""1:1 NAT, piece by piece: prefixes without what is excepted from them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from ipaddress import IPv6Address, ip_network
from typing import Any

from nvi_operator.language.model.nat_entries import Static
from nvi_operator.language.model.values import Network, within

Pair = tuple[Network, Network]


def pieces(static: Static, own: Iterable[Network], declared: Iterable[Network] = ()) -> Iterator[Pair]:
    """(real, known as) without the exceptions, in the fewest prefixes.

    Nor does a prefix take the gateway's `own` addresses with it; an entry of one address may be meant to. `declared`
    are the inside networks, for which `nptv6` is worked out one by one.
    """
    exceptions = static.except_ or ()
    for real, mapped in _wholes(static, declared):
        if mapped.prefixlen == mapped.max_prefixlen:
            yield real, mapped
            continue
        if any(within(real, item) or within(mapped, item) for item in exceptions):
            continue
        out = [_in(real, item, mapped) for item in (*exceptions, *own) if within(item, mapped)]
        out += [item for item in exceptions if within(item, real)]
        if not out:
            yield real, mapped
            continue
        for piece in _without(real, out):
            yield piece, _in(mapped, piece, real)


def _wholes(static: Static, declared: Iterable[Network]) -> Iterator[Pair]:
    for real, mapped in static.pairs:
        if static.nptv6 and real.version == 6:
            yield from neutral(real, mapped, declared)
        else:
            yield real, mapped


# --------------------------------------------------------------------------- RFC 6296


def neutral(real: Network, mapped: Network, declared: Iterable[Network]) -> Iterator[Pair]:
    """The subnets (/64) of the declared networks in `real`, and what RFC 6296 makes of them: as xt_NPT does.

    The subnet number of all ones has no translation there.
    """
    numbers = sorted({number for network in declared for number in _subnets(real, network)})
    change = _sum(int(real.network_address)) - _sum(int(mapped.network_address))
    for number in numbers:
        word = number & 0xFFFF
        if word == 0xFFFF:
            continue
        adjusted = (word + change) % 0xFFFF  # one's complement, in which 0xFFFF is written 0
        host_part = (number << 64) - int(real.network_address) - (word << 64)
        there = int(mapped.network_address) + host_part + (adjusted << 64)
        yield ip_network(f"{IPv6Address(number << 64)}/64"), ip_network(f"{IPv6Address(there)}/64")


def subnets_in(real: Network, declared: Iterable[Network]) -> int:
    """How many they are at most."""
    return sum(1 << max(0, 64 - network.prefixlen) for network in declared if within(network, real))


def _subnets(real: Network, network: Network) -> range:
    if not within(network, real):
        return range(0)
    first = int(network.network_address) >> 64
    return range(first, first + (1 << max(0, 64 - network.prefixlen)))


def _sum(prefix: int) -> int:
    """The one's complement sum of the words before the subnet number."""
    return sum(prefix >> shift & 0xFFFF for shift in (112, 96, 80))


def _without(whole: Network, out: Iterable[Network]) -> list[Network]:
    left = [whole]
    for item in out:
        rest: list[Network] = []
        for piece in left:
            if within(piece, item):
                continue
            excluding: Any = piece  # two classes with one interface, which mypy tells apart
            rest += excluding.address_exclude(item) if within(item, piece) else [piece]
        left = rest
    return sorted(left, key=lambda piece: int(piece.network_address))


def _in(network: Network, part: Network, of: Network) -> Network:
    """The part of `network` that is where `part` is in `of`, which is as large."""
    offset = int(part.network_address) - int(of.network_address)
    return ip_network(f"{network.network_address + offset}/{part.prefixlen}")
