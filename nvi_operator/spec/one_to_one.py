"""1:1 NAT, piece by piece: prefixes without what is excepted from them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from ipaddress import ip_network
from typing import Any

from nvi_operator.spec.bulk import Static
from nvi_operator.spec.values import Network, within

Pair = tuple[Network, Network]


def pieces(static: Static, own: Iterable[Network] = ()) -> Iterator[Pair]:
    """(real, known as) without the exceptions, in the fewest prefixes.

    Nor does a prefix take the gateway's `own` addresses with it; an entry of one address may be meant to.
    """
    exceptions = static.except_ or ()
    for real, mapped in static.pairs:
        if mapped.num_addresses == 1:
            yield real, mapped
            continue
        out = [_in(real, item, mapped) for item in (*exceptions, *own) if within(item, mapped)]
        out += [item for item in exceptions if within(item, real)]
        if not out:
            yield real, mapped
            continue
        for piece in _without(real, out):
            yield piece, _in(mapped, piece, real)


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
