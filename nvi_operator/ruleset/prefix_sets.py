"""Sets of networks that somebody owns, and maps of them to their owner, which every packet is looked up in.

A few networks are one set of prefixes, as one would write it. Such a set is a tree, whose way down grows with it: of
10,000 addresses it costs a packet 0.4 us. Of many networks the small ones are therefore written out in addresses,
any of which a hash finds at the price of the first; the large ones, which stay prefixes, are few by nature.
"""

from __future__ import annotations

from collections.abc import Iterable

from nvi_operator.language.model.values import Family, Network
from nvi_operator.nft.ast import Data, Element, NamedSet
from nvi_operator.nft.values import network_value
from nvi_operator.ruleset import fields as f

FEW = 32
SMALL = 256  # addresses


def prefix_sets(
    name: str, family: Family, owned: Iterable[tuple[Network, Data]], values: tuple[str, ...] = ()
) -> tuple[NamedSet, ...]:
    """Networks that do not overlap, and what each is mapped to: as sets, in the order to ask them in."""
    all_ = list(owned)
    key = (f.ADDRESS_TYPE[family],)
    small = [pair for pair in all_ if pair[0].num_addresses <= SMALL] if len(all_) > FEW else []
    if not small:
        return (NamedSet(name, key, _prefixes(all_), values, interval=True),)
    hosts: frozenset[Element] = frozenset(((str(address),), data) for network, data in small for address in network)
    made = NamedSet(f"{name}_hosts", key, hosts, values)
    large = [pair for pair in all_ if pair[0].num_addresses > SMALL]
    return (made, NamedSet(name, key, _prefixes(large), values, interval=True)) if large else (made,)


def _prefixes(owned: Iterable[tuple[Network, Data]]) -> frozenset[Element]:
    return frozenset(((network_value(network),), data) for network, data in owned)
