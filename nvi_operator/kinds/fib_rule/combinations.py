"""A FIB rule has one interface, one source and one destination."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import product

from nvi_operator.language.model.values import Network
from nvi_operator.topology.rules import Conditions


def each_combination(conditions: Conditions) -> Iterator[tuple[str | None, str | None, str | None]]:
    def each(networks: Iterable[Network]) -> Iterable[str | None]:
        words = [str(network) if network.prefixlen else None for network in networks]
        return words if words and None not in words else [None]  # every address is no condition to the kernel

    yield from product(conditions.ifnames or [None], each(conditions.sources), each(conditions.destinations))
