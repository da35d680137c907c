"""Sets of networks, and maps of networks to data, that every packet is looked up in.

A few networks are one set of prefixes. Such a set is a tree, whose depth grows with it: with 10,000 addresses it
costs a packet 0.4 us. If there are many networks, the small ones are therefore written out as addresses, which a hash
finds in constant time; the large ones stay prefixes, and are few by nature.
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
    """Networks that do not overlap, with the data of each, as sets or maps in the order in which rules ask them."""
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
