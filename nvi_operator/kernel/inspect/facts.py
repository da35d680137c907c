"""Reads the facts: what the host is, apart from owned objects."""

from __future__ import annotations

import socket
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType

from nvi_operator.kernel.bpf import tcx
from nvi_operator.kernel.bpf.syscall import may_load
from nvi_operator.kernel.drivers.sysctl import read
from nvi_operator.kernel.errors import kernel_errors
from nvi_operator.kernel.inspect.foreign_rules import read_foreign_rules
from nvi_operator.kernel.inspect.leases import leased_prefixes
from nvi_operator.kernel.inspect.main_routes import MainRoutes, read_main
from nvi_operator.kernel.kmod.survey import survey_module
from nvi_operator.kernel.netlink.interfaces import ListedAddress, ListedLink, list_addresses, list_links
from nvi_operator.kernel.netlink.rtnetlink import Rtnetlink
from nvi_operator.kinds.sysctl import LIBERAL
from nvi_operator.language.model.values import Family
from nvi_operator.topology.facts import Facts, InterfaceAddress, LinkFact
from nvi_operator.topology.flow_cache import TIMEOUTS

_CARRIERS = ("ifb", "nvi")  # of which one may be the device


def read_facts(
    rtnetlink: Rtnetlink, cookie: int, wires: Collection[str], protocol: int, saved: Mapping[str, str]
) -> Facts:
    """Facts of the network namespace that `rtnetlink` lives in. Raises KernelError.

    `wires` are the interfaces of uplinks, `protocol` is that of owned rules, `saved` are settings as they
    were before the gateway.
    """
    with kernel_errors("links, addresses and routes: listing"):
        links = list_links(rtnetlink)
        addresses = list_addresses(rtnetlink)
        routes = read_main(rtnetlink, [link.index for link in links if link.ifname in wires])
    names = {link.index: link.ifname for link in links}
    return Facts(
        hostname=socket.gethostname(),
        links=MappingProxyType({link.ifname: _link(link, addresses, routes, names) for link in links}),
        netns_cookie=cookie,
        module=survey_module(),
        reverse_path=MappingProxyType(_reverse_path(names.values(), saved)),
        liberal=LIBERAL in saved,
        programs=may_load(),
        refuses=routes.refuses,
        unreachable=routes.unreachable,
        leased_prefixes=MappingProxyType(leased_prefixes(sorted(wires))),
        default_interfaces=MappingProxyType(_default_interfaces(routes, names)),
        rules=read_foreign_rules(rtnetlink, protocol, names),
    )


def read_timeouts() -> Mapping[str, int]:
    """Conntrack's timeouts, in seconds; empty while the namespace has no conntrack."""
    values = {name: read(f"net/netfilter/{name}") for name in TIMEOUTS}
    return MappingProxyType({name: int(value) for name, value in values.items() if value and value.isdecimal()})


def _default_interfaces(routes: MainRoutes, names: Mapping[int, str]) -> dict[Family, str]:
    best: dict[Family, str] = {}
    for route in routes.defaults:  # the best first
        if route.oif in names:
            best.setdefault(route.family, names[route.oif])
    return best


def _reverse_path(ifnames: Iterable[str], saved: Mapping[str, str]) -> dict[str, int]:
    def before_us(name: str) -> int:
        path = f"net/ipv4/conf/{name}/rp_filter"
        value = saved.get(path) or read(path) or ""
        return int(value) if value.isdecimal() else 0

    everywhere = before_us("all")
    if not everywhere:
        return {}
    found = {name: before_us(name) for name in ("default", *ifnames)}
    return {"all": everywhere, **{name: value for name, value in found.items() if value < everywhere}}


def _link(
    link: ListedLink, addresses: Sequence[ListedAddress], routes: MainRoutes, names: Mapping[int, str]
) -> LinkFact:
    own = [address for address in addresses if address.index == link.index]
    defaults = [route for route in routes.defaults if route.oif == link.index]
    best = {route.family: route for route in reversed(defaults)}
    return LinkFact(
        ifname=link.ifname,
        ifindex=link.index,
        mac=link.mac,
        kind=link.kind or None,
        up=link.up,
        carrier=link.carrier,
        group=link.group,
        mtu=link.mtu or None,
        mtu6=link.mtu6,
        accepts_ra=link.accept_ra != 0,
        addresses=tuple(each.interface for each in own if each.universal and each.usable),
        narrow=tuple(_narrow(own)),
        altnames=link.altnames,
        fading=frozenset(each.interface.ip for each in own if each.fading),
        next_hops=tuple(dict.fromkeys((r.family, r.gateway) for r in defaults if r.gateway)),
        direct=frozenset(family for family, route in best.items() if route.gateway is None),
        route_mtus=tuple((family, route.mtu) for family, route in sorted(best.items()) if route.mtu),
        routes=routes.wires.get(link.index, ()),
        crowded=link.index in routes.crowded,
        tcx_egress=tcx.named(link.index, "egress") if link.kind in _CARRIERS else (),
        master=names.get(link.master) if link.master is not None else None,
    )


def _narrow(addresses: Iterable[ListedAddress]) -> Iterator[InterfaceAddress]:
    for each in addresses:
        found = each.interface
        link_local = found.version == 6 and found.is_link_local
        if not each.universal and each.usable and not found.is_loopback and not link_local:
            yield found
