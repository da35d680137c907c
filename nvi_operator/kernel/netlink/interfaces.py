"""Links and their addresses, as rtnetlink lists them. pyroute2 changes them (`kernel/handles.py`).

Source: include/uapi/linux/if_link.h, if_addr.h.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Mapping
from dataclasses import field
from ipaddress import ip_address, ip_interface

from nvi_operator.dataclass import dataclass
from nvi_operator.errors import KernelError
from nvi_operator.kernel.netlink.rtnetlink import Rtnetlink, number, shown_number, text
from nvi_operator.kernel.netlink.socket import CREATE, EXCLUSIVE
from nvi_operator.nft.wire.attributes import attribute, attributes
from nvi_operator.topology.facts import InterfaceAddress

_NEW_LINK, _GET_LINK, _GET_ADDRESS = 16, 18, 22
_LINK = struct.Struct("=BxHiII")  # struct ifinfomsg: family, type, index, flags, change
_MAC, _NAME, _MTU, _MASTER, _INFO, _ALIAS, _GROUP = 1, 3, 4, 10, 18, 20, 27  # IFLA_*
_AF_SPEC, _EXT_MASK, _PROPERTIES, _ALTNAME = 26, 29, 52, 53
_INET6_CONF = 2  # IFLA_INET6_*: an array of 32-bit numbers
_MTU6_AT, _ACCEPT_RA_AT = 2 * 4, 3 * 4  # DEVCONF_*
_INFO_KIND, _INFO_DATA = 1, 2
_SKIP_STATS = 8  # RTEXT_FILTER_SKIP_STATS: they are most of a message
_ETHERNET = 1  # ARPHRD_ETHER
_UP, _LOWER_UP = 0x1, 0x10000  # IFF_*

_ADDRESS = struct.Struct("=BBBBI")  # struct ifaddrmsg: family, prefix length, flags, scope, index
_PEER, _OWN, _FLAGS = 1, 2, 8  # IFA_ADDRESS, IFA_LOCAL, IFA_FLAGS
_DEPRECATED, _TEMPORARY, _DUPLICATE, _TENTATIVE = 0x20, 0x01, 0x08, 0x40  # IFA_F_*


@dataclass(frozen=True)
class ListedLink:
    """`kind` is "" for hardware. `data`: attributes of the kind, by number. `mac` is that of Ethernet."""

    index: int
    ifname: str
    kind: str
    data: Mapping[int, bytes] = field(repr=False)
    mac: str | None
    up: bool
    carrier: bool
    mtu: int
    mtu6: int | None  # None: it has no IPv6
    accept_ra: int | None  # the same
    group: int
    alias: str
    master: int | None
    altnames: tuple[str, ...]


@dataclass(frozen=True)
class ListedAddress:
    """`usable`: it is neither a duplicate nor still tentative. `fading`: flows that have it keep it; new ones get
    another (RFC 6724). `universal`: its scope is the universe.
    """

    index: int
    interface: InterfaceAddress
    universal: bool
    usable: bool
    fading: bool


def list_links(rtnetlink: Rtnetlink) -> list[ListedLink]:
    """All links of the network namespace. Raises OSError."""
    asked = _LINK.pack(socket.AF_UNSPEC, 0, 0, 0, 0) + number(_EXT_MASK, _SKIP_STATS)
    return [_link(body) for body in rtnetlink.dump(_GET_LINK, asked, lambda _: True)]


def list_addresses(rtnetlink: Rtnetlink) -> list[ListedAddress]:
    """The addresses, those of IPv4 first. Raises OSError."""
    asked = _ADDRESS.pack(socket.AF_UNSPEC, 0, 0, 0, 0)
    families = (socket.AF_INET, socket.AF_INET6)
    return [_address(body) for body in rtnetlink.dump(_GET_ADDRESS, asked, lambda body: body[0] in families)]


def add_link(rtnetlink: Rtnetlink, ifname: str, kind: str) -> None:
    """Add a link of a kind, with the defaults of that kind. Raises OSError."""
    info = attribute(_INFO, attribute(_INFO_KIND, kind.encode()))
    body = _LINK.pack(socket.AF_UNSPEC, 0, 0, 0, 0) + text(_NAME, ifname) + info
    rtnetlink.request(_NEW_LINK, CREATE | EXCLUSIVE, body)


def ifindex_of(ifname: str) -> int | None:
    """None where there is no such link."""
    try:
        return socket.if_nametoindex(ifname)
    except OSError:
        return None


def ifindex_for(what: str, ifname: str) -> int:
    """For a change, named by `what`. Raises a transient KernelError where the link has gone since it was planned."""
    ifindex = ifindex_of(ifname)
    if ifindex is None:
        raise KernelError(f"{what}: no interface {ifname}", transient=True)
    return ifindex


def ifname_of(ifindex: int) -> str | None:
    """None where there is no such link."""
    try:
        return socket.if_indextoname(ifindex)
    except OSError:
        return None


def _link(body: bytes) -> ListedLink:
    _, type_, index, flags, _ = _LINK.unpack_from(body)
    attrs = dict(attributes(body[_LINK.size :]))
    info = dict(attributes(attrs.get(_INFO, b"")))
    return ListedLink(
        index,
        _text(attrs.get(_NAME)),
        _text(info.get(_INFO_KIND)),
        dict(attributes(info.get(_INFO_DATA, b""))),
        attrs[_MAC].hex(":") if type_ == _ETHERNET and _MAC in attrs else None,
        bool(flags & _UP),
        bool(flags & _LOWER_UP),
        shown_number(attrs.get(_MTU)) or 0,
        _inet6(attrs, _MTU6_AT),
        _inet6(attrs, _ACCEPT_RA_AT),
        shown_number(attrs.get(_GROUP)) or 0,
        _text(attrs.get(_ALIAS)),
        shown_number(attrs.get(_MASTER)),
        tuple(_text(name) for kind, name in attributes(attrs.get(_PROPERTIES, b"")) if kind == _ALTNAME),
    )


def _inet6(attrs: Mapping[int, bytes], at: int) -> int | None:
    """What `net/ipv6/conf/IF/mtu` says, which a router may advertise to be less than the link's (RFC 4861, section
    4.6.4), or another setting there.

    The kernel has none for an interface without IPv6: one of an MTU below 1280, or with `ipv6.disable=1`.
    """
    inet6 = dict(attributes(attrs.get(_AF_SPEC, b""))).get(socket.AF_INET6, b"")
    settings = dict(attributes(inet6)).get(_INET6_CONF, b"")
    return shown_number(settings[at : at + 4] or None)


def _address(body: bytes) -> ListedAddress:
    family, length, few_flags, scope, index = _ADDRESS.unpack_from(body)
    attrs = dict(attributes(body[_ADDRESS.size :]))
    flags = shown_number(attrs.get(_FLAGS)) or few_flags
    # On a point-to-point link IFA_ADDRESS is the peer's; IFA_LOCAL is the host's.
    own = ip_address(attrs.get(_OWN) or attrs[_PEER])
    # Of IPv4 the bit of a temporary address says that it is a secondary one.
    fading = _DEPRECATED | (_TEMPORARY if family == socket.AF_INET6 else 0)
    return ListedAddress(
        index,
        ip_interface((own, length)),
        universal=scope == 0,
        usable=not flags & (_DUPLICATE | _TENTATIVE),
        fading=bool(flags & fading),
    )


def _text(payload: bytes | None) -> str:
    return (payload or b"").rstrip(b"\0").decode(errors="replace")
