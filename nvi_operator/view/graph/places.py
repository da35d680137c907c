"""Which inside interfaces and uplinks an entry of the spec is about."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import cached_property
from ipaddress import ip_network

from nvi_operator.language.model.gateway import GatewaySpec
from nvi_operator.language.model.values import Address, Network

_Owners = dict[tuple[int, int], dict[int, list[str]]]


class Places:
    """Interfaces and uplinks of a spec, found by name and by address."""

    def __init__(self, spec: GatewaySpec) -> None:
        self._spec = spec
        self.insides = tuple(sorted(spec.interfaces))
        self.uplinks = tuple(sorted(spec.uplinks))

    def insides_of(self, network: Network, tenant: str | None = None) -> frozenset[str]:
        """Interfaces with hosts of `network` behind them; with `tenant` only that tenant's."""
        found = _overlapping(self._networks, network)
        return frozenset(n for n in found if tenant in (None, self._spec.interfaces[n].tenant))

    def inside_of(self, address: Address, tenant: str | None = None) -> frozenset[str]:
        """The interface of a server: the first one, where no tenant tells."""
        return frozenset(sorted(self.insides_of(ip_network(address), tenant))[:1])

    def insides_of_tenant(self, tenant: str | None) -> frozenset[str]:
        return frozenset(n for n, each in self._spec.interfaces.items() if tenant in (None, each.tenant))

    def uplinks_of(self, network: Network) -> frozenset[str]:
        """Uplinks that own addresses of `network`, as far as the spec names them."""
        return frozenset(_overlapping(self._owned, network))

    def uplink_or_owner(self, place: str) -> frozenset[str]:
        """Of an uplink's name or a public address."""
        return frozenset({place}) if place in self._spec.uplinks else self.uplinks_of(ip_network(place))

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
    """By family and prefix length: there may be 100,000 addresses to look up."""
    index: _Owners = {}
    for name, network in owned:
        same = index.setdefault((network.version, network.prefixlen), {})
        same.setdefault(int(network.network_address) >> (network.max_prefixlen - network.prefixlen), []).append(name)
    return index


def _overlapping(index: _Owners, network: Network) -> Iterator[str]:
    first = int(network.network_address)
    for (version, length), same in index.items():
        shift = network.max_prefixlen - length
        if version != network.version:
            continue
        if length <= network.prefixlen:
            yield from same.get(first >> shift, ())
        else:
            last = int(network.broadcast_address) >> shift
            yield from (name for number, names in same.items() if first >> shift <= number <= last for name in names)
