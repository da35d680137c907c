"""Reads the facts: what the host is, apart from what is ours."""

from __future__ import annotations

import socket
from collections.abc import Collection, Iterator, Sequence
from ipaddress import ip_interface
from types import MappingProxyType
from typing import Any

from nvi_operator.kernel.bpf.syscall import may_load
from nvi_operator.kernel.errors import kernel_errors
from nvi_operator.kernel.main_routes import MainRoutes, read_main
from nvi_operator.kernel.module.survey import survey_module
from nvi_operator.kernel.rtnetlink import Family, Rtnetlink, listed
from nvi_operator.state.facts import Facts, InterfaceAddress, LinkFact

_ARPHRD_ETHER = 1
_IFF_UP, _IFF_LOWER_UP = 0x1, 0x10000
_SCOPE_UNIVERSE = 0
# Not (yet) good as a source: temporary (privacy), duplicate, deprecated, tentative.
_UNFIT = 0x01 | 0x08 | 0x20 | 0x40


def read_facts(ipr: Any, rtnetlink: Rtnetlink, cookie: int, wires: Collection[str]) -> Facts:
    """Facts of the network namespace that both live in; `wires` are the interfaces of uplinks. Raises KernelError."""
    with kernel_errors("links, addresses and routes: listing"):
        links = listed(ipr.get_links)
        addresses = listed(ipr.get_addr)
        numbers = [link["index"] for link in links if link.get("ifname") in wires]
        routes = read_main(rtnetlink, numbers)
    return Facts(
        hostname=socket.gethostname(),
        links=MappingProxyType({link.get("ifname"): _link(link, addresses, routes) for link in links}),
        netns_cookie=cookie,
        module=survey_module(),
        programs=may_load(),
    )


def _link(link: Any, addresses: Sequence[Any], routes: MainRoutes) -> LinkFact:
    index = link["index"]
    info = link.get("linkinfo")
    return LinkFact(
        ifname=link.get("ifname"),
        ifindex=index,
        mac=link.get("address") if link["ifi_type"] == _ARPHRD_ETHER else None,
        kind=info.get("kind") if info else None,
        up=bool(link["flags"] & _IFF_UP),
        carrier=bool(link["flags"] & _IFF_LOWER_UP),
        group=link.get("group") or 0,
        addresses=tuple(_interface(a) for a in addresses if a["index"] == index and _is_fit(a)),
        next_hops=tuple(_next_hops(index, routes)),
        altnames=tuple(_altnames(link)),
        routes=routes.wires.get(index, ()),
        crowded=index in routes.crowded,
    )


def _altnames(link: Any) -> Iterator[str]:
    for prop in link.get_attrs("IFLA_PROP_LIST"):
        yield from prop.get_attrs("IFLA_ALT_IFNAME")


def _is_fit(address: Any) -> bool:
    secondary_is_fine = address["family"] == socket.AF_INET  # flag 0x01 means "secondary" there
    unfit = _UNFIT & ~0x01 if secondary_is_fine else _UNFIT
    flags = address.get("flags") or address["flags"]
    return address["scope"] == _SCOPE_UNIVERSE and not flags & unfit


def _interface(address: Any) -> InterfaceAddress:
    """On a point-to-point link IFA_ADDRESS is the peer's; IFA_LOCAL is ours."""
    own = address.get("local") or address.get("address")
    return ip_interface(f"{own}/{address['prefixlen']}")


def _next_hops(index: int, routes: MainRoutes) -> list[tuple[Family, str]]:
    """The default router of each family through this interface; of several the best."""
    best: dict[Family, str] = {}
    for route in routes.defaults:
        if route.oif == index and route.gateway:
            best.setdefault(route.family, route.gateway)
    return sorted(best.items())
