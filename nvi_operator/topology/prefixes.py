"""Sets of prefixes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from ipaddress import collapse_addresses
from typing import Any

from nvi_operator.language.model.values import Family, Network

ANY: Mapping[Family, str] = {4: "0.0.0.0/0", 6: "::/0"}


def fewest(networks: Iterable[Network], family: Family) -> tuple[Network, ...]:
    """The fewest prefixes of one family that cover exactly these."""
    return _collapsed(tuple(network for network in networks if network.version == family))


@lru_cache(maxsize=1024)
def _collapsed(networks: tuple[Any, ...]) -> tuple[Any, ...]:
    """Remembered, because a topology is asked for the same ones a hundred times while a table is made of it."""
    return tuple(collapse_addresses(networks))


class Prefixes:
    """Tells which networks lie within one of these prefixes. The number of prefixes does not matter for its time."""

    def __init__(self, networks: Iterable[Network]) -> None:
        self._networks = frozenset(networks)
        self._lengths = {(network.version, network.prefixlen) for network in self._networks}

    def __iter__(self) -> Iterator[Network]:
        return iter(self._networks)

    def cover(self, network: Network) -> bool:
        return any(
            network.supernet(new_prefix=length) in self._networks
            for version, length in self._lengths
            if version == network.version and length <= network.prefixlen
        )


def apart(networks: tuple[Network, ...], others: Iterable[Network]) -> tuple[Network, ...]:
    """The networks of one family that share no address with others."""
    return _apart(networks, frozenset(others))


@lru_cache(maxsize=64)
def _apart(networks: tuple[Network, ...], others: frozenset[Network]) -> tuple[Network, ...]:
    """Remembered for the same reason. By lengths of prefixes, because there may be 10,000 of both."""
    lengths = {(network.version, network.prefixlen) for network in networks}
    around = {
        other.supernet(new_prefix=length)
        for other in others
        for version, length in lengths
        if version == other.version and length <= other.prefixlen
    }
    beside = Prefixes(others)
    return tuple(network for network in networks if network not in around and not beside.cover(network))
