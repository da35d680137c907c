"""The canonical form of values in sets and rules, decided here alone."""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import ip_address, ip_network, summarize_address_range
from typing import Any

from nvi_operator.language.model.services import PortRange
from nvi_operator.language.model.values import Address, AddressRange, Network
from nvi_operator.nft.ast import Interval, Value


def protocol_value(protocol: str) -> int | str:
    """A protocol by its name, or by its number where it has none here; as nft is told to list it."""
    return int(protocol) if protocol.isdecimal() else protocol


def network_value(network: Network) -> str:
    """A prefix; a single address is written without its length, as nft lists it."""
    if network.prefixlen == network.max_prefixlen:
        return str(network.network_address)
    return str(network)


def range_value(first: Address, last: Address) -> Value:
    """Addresses from `first` to `last`; nft lists a range that is exactly a prefix as that prefix."""
    if first == last:
        return str(first)
    networks: list[Any] = list(summarize_address_range(first, last))
    if len(networks) == 1:
        return network_value(networks[0])
    return Interval(str(first), str(last))


def address_range_value(addresses: AddressRange) -> Value:
    return range_value(addresses.first, addresses.last)


def ports_value(ports: PortRange) -> int | Interval:
    return ports.first if ports.first == ports.last else Interval(ports.first, ports.last)


def ends(value: Value) -> tuple[int | str, int | str]:
    """The first and last of a range or prefix; a single value is both."""
    if isinstance(value, Interval):
        return value.first, value.last
    if isinstance(value, str) and "/" in value:
        network = ip_network(value)
        return str(network[0]), str(network[-1])
    return value, value


def merged(values: Iterable[Value]) -> tuple[Value, ...]:
    """The members of an anonymous set as nft keeps them.

    Where one of them is an interval, nft merges what overlaps or touches; single values alone it keeps.
    """
    members = list(values)
    spans = [span for value in members if (span := _span(value)) is not None]
    if len(spans) < len(members) or all(first == last for first, last in spans):
        return tuple(members)
    joined: list[tuple[Any, Any]] = []
    for first, last in sorted(spans, key=lambda span: int(span[0])):
        if joined and int(first) <= int(joined[-1][1]) + 1:
            joined[-1] = (joined[-1][0], max(joined[-1][1], last))
        else:
            joined.append((first, last))
    return tuple(
        (first if first == last else Interval(first, last)) if isinstance(first, int) else range_value(first, last)
        for first, last in joined
    )


def _span(value: Value) -> tuple[Any, Any] | None:
    """First and last as numbers or addresses; None for values without an order (names)."""
    if isinstance(value, Interval):
        ends = _span(value.first), _span(value.last)
        return None if None in ends else (ends[0][0], ends[1][0])  # type: ignore[index]
    if isinstance(value, int):
        return value, value
    try:
        network = ip_network(value)
    except ValueError:
        return None
    return network[0], network[-1]


def canonical_text(text: str) -> Value:
    """A string of a listing: addresses in Python's spelling, everything else unchanged."""
    if "/" in text:
        try:
            return network_value(ip_network(text))
        except ValueError:
            return text
    if ":" in text or (text[:1].isdigit() and "." in text):
        try:
            return str(ip_address(text))
        except ValueError:
            return text
    return text
