"""Which inside interfaces and uplinks an entry of the spec is about."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import cached_property
from ipaddress import ip_network

from nvi_operator.language.model.gateway import GatewaySpec
from nvi_operator.language.model.values import Address, Network, parse_address

_Span = tuple[int, int, int, int]  # family, bits of an address, first and last
_Owners = dict[tuple[int, int], dict[int, list[str]]]


class InterfaceIndex:
    """Interfaces and uplinks of a spec, found by name and by address."""

    def __init__(self, spec: GatewaySpec) -> None:
        self._spec = spec
        self.inside = tuple(sorted(spec.interfaces))
        self.uplinks = tuple(sorted(spec.uplinks))

    def interfaces_of(self, network: Network, tenant: str | None = None) -> frozenset[str]:
        """Interfaces with hosts of `network` behind them; with `tenant` only that tenant's."""
        return self._inside(_span(network), tenant)

    def interface_of(self, address: Address, tenant: str | None) -> frozenset[str]:
        """The interface of a server: the first one, where no tenant tells."""
        found = self._inside(_alone(address), tenant)
        return found if len(found) < 2 else frozenset(sorted(found)[:1])

    def _inside(self, span: _Span, tenant: str | None) -> frozenset[str]:
        found = _overlapping(self._networks, span)
        return frozenset(n for n in found if tenant in (None, self._spec.interfaces[n].tenant))

    def interfaces_of_tenant(self, tenant: str | None) -> frozenset[str]:
        return frozenset(n for n, each in self._spec.interfaces.items() if tenant in (None, each.tenant))

    def uplinks_of(self, network: Network) -> frozenset[str]:
        """Uplinks that own addresses of `network`, as far as the spec names them."""
        return frozenset(_overlapping(self._owned, _span(network)))

    def uplink_or_owner(self, place: str) -> frozenset[str]:
        """The uplink of that name, or the one that has a public address."""
        if place in self._spec.uplinks:
            return frozenset({place})
        return frozenset(_overlapping(self._owned, _alone(parse_address(place))))

    @cached_property
    def default(self) -> frozenset[str]:
        """The preferred default uplinks; of one uplink, that one."""
        if self._spec.default_uplink:
            return frozenset(self._spec.default_uplink.first[:1])
        named = frozenset(name for name, uplink in self._spec.uplinks.items() if uplink.default)
        return named or frozenset(self.uplinks if len(self.uplinks) == 1 else ())

    @cached_property
    def _networks(self) -> _Owners:
        return _index((name, n) for name, each in self._spec.interfaces.items() for n in each.networks)

    @cached_property
    def _owned(self) -> _Owners:
        return _index((name, network) for name in self._spec.uplinks for network in self.sources(name))

    def sources(self, name: str) -> Iterator[Network]:
        """What the spec says that leaves by this uplink, and no lease does."""
        uplink = self._spec.uplinks[name]
        if uplink.addresses != "auto":
            yield from map(ip_network, uplink.addresses)
        yield from uplink.routed or ()
        if uplink.delegated is not None and uplink.delegated != "auto":
            yield uplink.delegated


def _index(owned: Iterable[tuple[str, Network]]) -> _Owners:
    """Prefixes by family and length: there may be 100,000 addresses to look up."""
    index: _Owners = {}
    for name, network in owned:
        same = index.setdefault((network.version, network.prefixlen), {})
        same.setdefault(int(network.network_address) >> (network.max_prefixlen - network.prefixlen), []).append(name)
    return index


def _span(network: Network) -> _Span:
    return network.version, network.max_prefixlen, int(network.network_address), int(network.broadcast_address)


def _alone(address: Address) -> _Span:
    return address.version, address.max_prefixlen, int(address), int(address)


def _overlapping(index: _Owners, span: _Span) -> Iterator[str]:
    version, bits, first, last = span
    for (of_version, length), same in index.items():
        if of_version != version:
            continue
        low, high = first >> (bits - length), last >> (bits - length)
        if low == high:
            yield from same.get(low, ())
        else:
            yield from (name for number, names in same.items() if low <= number <= high for name in names)
