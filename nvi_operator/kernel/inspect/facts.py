"""Reads the facts: what the host is, apart from owned objects."""

from __future__ import annotations

import socket
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from ipaddress import ip_interface
from types import MappingProxyType
from typing import Any

from nvi_operator.kernel.bpf.syscall import TCX_EGRESS, may_load, programs_at
from nvi_operator.kernel.drivers.sysctl import read
from nvi_operator.kernel.errors import kernel_errors
from nvi_operator.kernel.inspect.foreign_rules import read_foreign_rules
from nvi_operator.kernel.inspect.main_routes import MainRoutes, read_main
from nvi_operator.kernel.kmod.survey import survey_module
from nvi_operator.kernel.netlink.rtnetlink import Rtnetlink, listed
from nvi_operator.language.model.values import Family
from nvi_operator.topology.facts import Facts, InterfaceAddress, LinkFact
from nvi_operator.topology.flow_cache import TIMEOUTS

_ARPHRD_ETHER = 1
_IFF_UP, _IFF_LOWER_UP = 0x1, 0x10000
_SCOPE_UNIVERSE = 0
_CARRIERS = ("ifb", "nvi")  # of which one may be our device
# IFA_F_*: an address that is a duplicate or still tentative is none yet.
_UNFIT = 0x08 | 0x40
_DEPRECATED, _TEMPORARY = 0x20, 0x01  # the latter of IPv6; of IPv4 the same bit says that it is a secondary one


def read_facts(
    ipr: Any, rtnetlink: Rtnetlink, cookie: int, wires: Collection[str], protocol: int, saved: Mapping[str, str]
) -> Facts:
    """Facts of the network namespace that both live in. Raises KernelError.

    `wires` are the interfaces of uplinks, `protocol` is that of our rules, `saved` are settings as they
    were before us.
    """
    with kernel_errors("links, addresses and routes: listing"):
        links = listed(ipr.get_links)
        addresses = listed(ipr.get_addr)
        numbers = [link["index"] for link in links if link.get("ifname") in wires]
        routes = read_main(rtnetlink, numbers)
    names = {link["index"]: link.get("ifname") for link in links}
    return Facts(
        hostname=socket.gethostname(),
        links=MappingProxyType({link.get("ifname"): _link(link, addresses, routes, names) for link in links}),
        netns_cookie=cookie,
        module=survey_module(),
        reverse_path=MappingProxyType(_reverse_path(names.values(), saved)),
        programs=may_load(),
        refuses=routes.refuses,
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


def _link(link: Any, addresses: Sequence[Any], routes: MainRoutes, names: Mapping[int, str]) -> LinkFact:
    index = link["index"]
    info = link.get("linkinfo")
    defaults = [route for route in routes.defaults if route.oif == index]
    best = {route.family: route.gateway for route in reversed(defaults)}
    return LinkFact(
        ifname=link.get("ifname"),
        ifindex=index,
        mac=link.get("address") if link["ifi_type"] == _ARPHRD_ETHER else None,
        kind=info.get("kind") if info else None,
        up=bool(link["flags"] & _IFF_UP),
        carrier=bool(link["flags"] & _IFF_LOWER_UP),
        group=link.get("group") or 0,
        addresses=tuple(_interface(a) for a in addresses if a["index"] == index and _is_fit(a)),
        narrow=tuple(_narrow(index, addresses)),
        altnames=tuple(_altnames(link)),
        fading=frozenset(_interface(a).ip for a in addresses if a["index"] == index and _is_fading(a)),
        next_hops=tuple(dict.fromkeys((r.family, r.gateway) for r in defaults if r.gateway)),
        direct=frozenset(family for family, gateway in best.items() if gateway is None),
        routes=routes.wires.get(index, ()),
        crowded=index in routes.crowded,
        tcx_egress=programs_at(index, TCX_EGRESS) if info and info.get("kind") in _CARRIERS else (),
        master=names.get(link.get("master")),
    )


def _altnames(link: Any) -> Iterator[str]:
    for prop in link.get_attrs("IFLA_PROP_LIST"):
        yield from prop.get_attrs("IFLA_ALT_IFNAME")


def _is_fit(address: Any) -> bool:
    return bool(address["scope"] == _SCOPE_UNIVERSE and not _flags(address) & _UNFIT)


def _narrow(index: int, addresses: Iterable[Any]) -> Iterator[InterfaceAddress]:
    for each in addresses:
        if each["index"] == index and each["scope"] != _SCOPE_UNIVERSE and not _flags(each) & _UNFIT:
            found = _interface(each)
            if not found.is_loopback and not (found.version == 6 and found.is_link_local):
                yield found


def _is_fading(address: Any) -> bool:
    """Flows that have it keep it; new ones get another (RFC 6724)."""
    temporary = _TEMPORARY if address["family"] == socket.AF_INET6 else 0
    return bool(_flags(address) & (_DEPRECATED | temporary))


def _flags(address: Any) -> int:
    return int(address.get("flags") or address["flags"])


def _interface(address: Any) -> InterfaceAddress:
    """On a point-to-point link IFA_ADDRESS is the peer's; IFA_LOCAL is the host's."""
    own = address.get("local") or address.get("address")
    return ip_interface(f"{own}/{address['prefixlen']}")
