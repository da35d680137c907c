"""Reads the facts: what the host is, apart from what is ours."""

from __future__ import annotations

import socket
from collections.abc import Sequence
from ipaddress import ip_interface
from types import MappingProxyType
from typing import Any, Literal

from nvi_operator.kernel.errors import kernel_errors
from nvi_operator.kernel.module.survey import survey_module
from nvi_operator.state.facts import Facts, InterfaceAddress, LinkFact

_ARPHRD_ETHER = 1
_IFF_UP = 1
_SCOPE_UNIVERSE = 0
_MAIN = 254
# Not (yet) good as a source: temporary (privacy), duplicate, deprecated, tentative.
_UNFIT = 0x01 | 0x08 | 0x20 | 0x40


def read_facts(ipr: Any, cookie: int) -> Facts:
    """Facts of the network namespace that `ipr` lives in. Raises KernelError."""
    with kernel_errors("links and addresses: listing"):
        links = list(ipr.get_links())
        addresses = list(ipr.get_addr())
        routes = [r for family in (2, 10) for r in ipr.get_routes(family=family, table=_MAIN)]
    return Facts(
        hostname=socket.gethostname(),
        links=MappingProxyType({link.get("ifname"): _link(link, addresses, routes) for link in links}),
        netns_cookie=cookie,
        module=survey_module(),
    )


def _link(link: Any, addresses: Sequence[Any], routes: Sequence[Any]) -> LinkFact:
    index = link["index"]
    info = link.get("linkinfo")
    return LinkFact(
        ifname=link.get("ifname"),
        ifindex=index,
        mac=link.get("address") if link["ifi_type"] == _ARPHRD_ETHER else None,
        kind=info.get("kind") if info else None,
        mtu=link.get("mtu"),
        up=bool(link["flags"] & _IFF_UP),
        group=link.get("group") or 0,
        addresses=tuple(_interface(a) for a in addresses if a["index"] == index and _is_fit(a)),
        next_hops=tuple(_next_hops(index, routes)),
    )


def _is_fit(address: Any) -> bool:
    secondary_is_fine = address["family"] == socket.AF_INET  # flag 0x01 means "secondary" there
    unfit = _UNFIT & ~0x01 if secondary_is_fine else _UNFIT
    flags = address.get("flags") or address["flags"]
    return address["scope"] == _SCOPE_UNIVERSE and not flags & unfit


def _interface(address: Any) -> InterfaceAddress:
    """On a point-to-point link IFA_ADDRESS is the peer's; IFA_LOCAL is ours."""
    own = address.get("local") or address.get("address")
    return ip_interface(f"{own}/{address['prefixlen']}")


def _next_hops(index: int, routes: Sequence[Any]) -> list[tuple[Literal[4, 6], str]]:
    """The default router of each family through this interface; of several that of the best metric."""
    best: dict[Literal[4, 6], tuple[int, str]] = {}
    for route in routes:
        gateway = route.get("gateway")
        if route["dst_len"] == 0 and route.get("oif") == index and gateway:
            family: Literal[4, 6] = 4 if route["family"] == socket.AF_INET else 6
            candidate = (route.get("priority") or 0, gateway)
            best[family] = min(best.get(family, candidate), candidate)
    return [(family, gateway) for family, (_, gateway) in sorted(best.items())]
