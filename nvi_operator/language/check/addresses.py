"""The owners of addresses, found in logarithmic time: a spec may have 100,000 of them.

Shared by the check_* modules. All of it counts in integers, because comparing ipaddress objects costs ten times
as much.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from ipaddress import ip_network
from typing import Generic, NamedTuple, TypeVar

from nvi_operator.language.load.yaml_reader import Path
from nvi_operator.language.model.gateway import GatewaySpec
from nvi_operator.language.model.interfaces import UplinkSpec
from nvi_operator.language.model.values import FAMILIES, Address, Network

Problem = tuple[Path, str, str]  # where, what is wrong, what to do

T = TypeVar("T")


class AddressSpan(NamedTuple, Generic[T]):
    """Numbers from `first` to `last` (addresses of one family, or ports), and whose they are.

    `order` is the place in the spec: of two that overlap, the later one is the one to complain about.
    """

    family: int
    first: int
    last: int
    order: int
    owner: T


def span_of(network: Network, order: int, owner: T) -> AddressSpan[T]:
    first = int(network.network_address)
    # Not broadcast_address: it makes two objects, for each of what may be 100,000 networks.
    return AddressSpan(
        network.version, first, first + (1 << network.max_prefixlen - network.prefixlen) - 1, order, owner
    )


def overlapping(
    spans: Iterable[AddressSpan[T]], apart: Callable[[T, T], bool] | None = None
) -> Iterator[tuple[AddressSpan[T], AddressSpan[T]]]:
    """(later, earlier) for spans that overlap another, unless the two owners may (`apart`).

    Each span is compared with the widest one before it; where some may overlap, with all that reach it.
    """
    reaching: list[AddressSpan[T]] = []
    for span in sorted(spans, key=lambda s: s[:4]):
        reaching = [other for other in reaching if other.family == span.family and other.last >= span.first]
        other = next((o for o in reaching if apart is None or not apart(span.owner, o.owner)), None)
        if other is not None:
            yield (span, other) if span.order >= other.order else (other, span)
        if apart is not None or not reaching:
            reaching.append(span)
        elif span.last > reaching[0].last:
            reaching = [span]


class Cover:
    """Addresses that are in at least one of some networks."""

    def __init__(self, networks: Iterable[Network]) -> None:
        self._first: dict[int, list[int]] = {family: [] for family in FAMILIES}
        self._last: dict[int, list[int]] = {family: [] for family in FAMILIES}
        for span in sorted((span_of(n, 0, None) for n in networks), key=lambda s: s[:3]):
            first, last = self._first[span.family], self._last[span.family]
            if last and span.first <= last[-1] + 1:
                last[-1] = max(last[-1], span.last)
            else:
                first.append(span.first)
                last.append(span.last)

    def holds(self, first: Address, last: Address) -> bool:
        """Are all addresses from `first` to `last` in it?"""
        place = bisect_right(self._first[first.version], int(first)) - 1
        return place >= 0 and int(last) <= self._last[first.version][place]


class Behind(NamedTuple):
    """An interface behind which an address may live."""

    tenant: str | None
    ifname: str


class InsideNetworks:
    """Behind which interfaces addresses live. Tenants may have the same ones, so there may be several."""

    def __init__(self, spec: GatewaySpec) -> None:
        self.tenants = {interface.tenant for interface in spec.interfaces.values() if interface.tenant}
        self._by_prefix: dict[tuple[int, int], dict[int, list[Behind]]] = defaultdict(lambda: defaultdict(list))
        starts: dict[int, list[tuple[int, Behind]]] = {family: [] for family in FAMILIES}
        for ifname, interface in spec.interfaces.items():
            behind = Behind(interface.tenant, ifname)
            for network in interface.networks:
                shift = network.max_prefixlen - network.prefixlen
                self._by_prefix[network.version, shift][int(network.network_address) >> shift].append(behind)
                starts[network.version].append((int(network.network_address), behind))
        self._starts = {family: sorted(found, key=lambda pair: pair[0]) for family, found in starts.items()}
        self._cover = Cover(network for interface in spec.interfaces.values() for network in interface.networks)

    def hold(self, first: Address, last: Address) -> bool:
        """Do all addresses from `first` to `last` live behind inside interfaces?"""
        return self._cover.holds(first, last)

    def of_address(self, address: Address) -> set[Behind]:
        number, family = int(address), address.version
        return {
            behind
            for (version, shift), networks in self._by_prefix.items()
            if version == family
            for behind in networks.get(number >> shift, ())
        }

    def of_network(self, network: Network) -> set[Behind]:
        """The owners whose networks overlap `network`."""
        starts = self._starts[network.version]
        first = bisect_left(starts, int(network.network_address), key=lambda pair: pair[0])
        last = bisect_right(starts, int(network.broadcast_address), key=lambda pair: pair[0])
        return self.of_address(network.network_address) | {behind for _, behind in starts[first:last]}

    def tenants_of(self, networks: Iterable[Network]) -> list[str]:
        """The tenants who have any of these addresses."""
        if not self.tenants:
            return []
        return sorted({b.tenant for network in networks for b in self.of_network(network) if b.tenant})


class Homes:
    """Which addresses are whose: the uplinks' (on the wire or routed), the aliases between interfaces."""

    def __init__(self, spec: GatewaySpec) -> None:
        uplinks = spec.uplinks.items()
        self.own = {(a.version, int(a)): name for name, uplink in uplinks for a in explicit(uplink)}
        self.dynamic = [name for name, uplink in uplinks if uplink.addresses == "auto"]
        public = own_addresses(spec)
        public += [network for _, uplink in uplinks for network in uplink.routed or ()]
        aliases = [network for interface in spec.interfaces.values() for network in interface.known_as or ()]
        self._public = Cover(public)
        self._any = Cover([*public, *aliases])

    def public(self, address: Address) -> bool:
        """Is it an uplink's?"""
        return self._public.holds(address, address)

    def any(self, first: Address, last: Address) -> bool:
        """Are these an uplink's, or an interface's alias?"""
        return self._any.holds(first, last)

    def any_of(self, network: Network) -> bool:
        """The owner of any address of a network."""
        first = network.network_address
        return self.any(first, first if network.prefixlen == network.max_prefixlen else network[-1])

    def nowhere(self, *, or_else: str = "") -> str:
        """What to do about an address on no uplink.

        An uplink with `addresses: auto` may have it at this moment, but for how long is unknown: such an
        uplink is referred to by its name, and what it routes for certain stands in `routed`.
        """
        if self.dynamic:
            names = " or ".join(self.dynamic)
            return f"if it is the address of {names}, write that name instead; else add it to routed{or_else}"
        return f"add it to addresses or routed of an uplink{or_else}"


def own_addresses(spec: GatewaySpec) -> list[Network]:
    """The addresses on the uplinks' interfaces that the spec lists."""
    return [ip_network(address) for uplink in spec.uplinks.values() for address in explicit(uplink)]


def declared_networks(spec: GatewaySpec) -> list[Network]:
    """What lives behind interfaces."""
    return [network for interface in spec.interfaces.values() for network in interface.networks]


def explicit(uplink: UplinkSpec) -> tuple[Address, ...]:
    """The addresses that are written down."""
    return uplink.addresses if isinstance(uplink.addresses, tuple) else ()


def families_of(uplink: UplinkSpec) -> frozenset[int]:
    """The families in which an uplink has, or may come to have, an address that flows are translated to."""
    if uplink.addresses == "auto":
        return frozenset(FAMILIES)
    return frozenset(a.version for a in (*explicit(uplink), *(uplink.translate_to or ())))
