"""Proxy entries of the neighbour tables, of the operator's protocol number. Source: net/core/neighbour.c."""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterator
from ipaddress import ip_address

from nvi_operator.errors import ConflictError
from nvi_operator.kernel.announcement import announce
from nvi_operator.kernel.drivers.rtnetlink import RtnetlinkDriver
from nvi_operator.kernel.errors import kernel_errors
from nvi_operator.kernel.netlink.interfaces import ifindex_for
from nvi_operator.kernel.netlink.rtnetlink import AF, Rtnetlink
from nvi_operator.kernel.netlink.socket import CREATE
from nvi_operator.kinds.proxy_neighbour import PROXY_NEIGHBOUR, ProxyNeighbour
from nvi_operator.nft.wire.attributes import attribute, attributes
from nvi_operator.plan.change import Action, Change
from nvi_operator.state.host import HostState

_NEW, _DELETE, _GET = 28, 29, 30  # RTM_*NEIGH
_HEADER = struct.Struct("=B3xiHBB")  # struct ndmsg: family, ifindex, state, flags, type
_DST, _PROTOCOL = 1, 12  # NDA_*
_PROXY = 1 << 3  # NTF_PROXY

_Entry = tuple[int, bytes, int]  # the interface's number, address, protocol


class ProxyNeighbourDriver(RtnetlinkDriver):
    kind = PROXY_NEIGHBOUR.name

    def observe(self, desired: HostState) -> Iterator[ProxyNeighbour]:
        names = dict(socket.if_nameindex())
        for ifindex, address, protocol in _list(self._rtnetlink):
            if protocol == self._protocol and ifindex in names:
                yield ProxyNeighbour(names[ifindex], str(ip_address(address)))

    def check(self, change: Change) -> None:
        """ConflictError if another process has such an entry: to create it would take it over."""
        if change.action is Action.CREATE and isinstance(change.after, ProxyNeighbour):
            ifindex, address = _place(change.after)
            for other in _list(self._rtnetlink):
                if other[:2] == (ifindex, address) and other[2] != self._protocol:
                    raise ConflictError(
                        f"announced address {change.ref.key}: create: a proxy entry of another tool is there already",
                        hint=f"ip neigh del proxy {change.after.address} dev {change.after.ifname}",
                    )

    def apply(self, change: Change) -> None:
        """Who gets the packets of a new entry is told on the wire as well."""
        entry = change.after or change.before
        assert isinstance(entry, ProxyNeighbour)
        with kernel_errors(f"announced address {change.ref.key}: {change.action.value}"):
            ifindex, address = _place(entry)
            family = AF[ip_address(entry.address).version]
            body = _HEADER.pack(family, ifindex, 0, _PROXY, 0) + attribute(_DST, address)
            if change.after is None:
                self._rtnetlink.request(_DELETE, 0, body)
                return
            self._rtnetlink.request(_NEW, CREATE, body + attribute(_PROTOCOL, bytes([self._protocol])))
        announce(entry.ifname, ip_address(entry.address))

    def watch(self, found: HostState) -> ProxyWatch | None:
        """The kernel reports these entries to no one."""
        return ProxyWatch() if any(True for _ in found.of_kind(self.kind)) else None


class ProxyWatch:
    """All proxy entries, compared as a whole: there are few."""

    def __init__(self) -> None:
        self._rtnetlink = Rtnetlink()
        self._entries = set(_list(self._rtnetlink))

    def unchanged(self) -> bool:
        return set(_list(self._rtnetlink)) == self._entries

    def close(self) -> None:
        self._rtnetlink.close()


def _list(rtnetlink: Rtnetlink) -> Iterator[_Entry]:
    for af in AF.values():
        with kernel_errors("announced addresses: listing"):
            found = rtnetlink.dump(_GET, _HEADER.pack(af, 0, 0, _PROXY, 0), lambda body: True)
        for body in found:
            _, ifindex, _, _, _ = _HEADER.unpack_from(body)
            attrs = dict(attributes(body[_HEADER.size :]))
            yield ifindex, attrs.get(_DST, b""), attrs.get(_PROTOCOL, b"\0")[0]


def _place(entry: ProxyNeighbour) -> tuple[int, bytes]:
    ifindex = ifindex_for(f"announced address {entry.key}", entry.ifname)
    return ifindex, ip_address(entry.address).packed
