"""What the kernel reports that may change what becomes of an established flow, for the flow cache alone.

Apart from `events.py`, because it is read in milliseconds also while a reconcile runs, and hears what must not cause
one: all tables, routes and neighbours, whoever they belong to. What may come by the thousand (elements of sets,
routes, addresses) is told apart from what seldom changes. Source: include/uapi/linux/{rtnetlink,neighbour,xfrm}.h.
"""

from __future__ import annotations

import contextlib
import errno
import socket
import struct
from collections.abc import Iterator
from dataclasses import field

from nvi_operator.dataclass import dataclass
from nvi_operator.errors import NviError
from nvi_operator.kernel.netlink.events import KernelEvents, subscribed
from nvi_operator.kernel.netlink.route_messages import DELETE, NEW, is_cached
from nvi_operator.kernel.netlink.rtnetlink import Rtnetlink
from nvi_operator.nft.wire.attributes import attributes
from nvi_operator.nft.wire.messages import NEW_GENERATION

_NETFILTER, _XFRM = 12, 6
# RTNLGRP_*: LINK, NEIGH; of IPv4 IFADDR, ROUTE, RULE, NETCONF; of IPv6 the same; NEXTHOP
_ROUTE_GROUPS = (1, 3, 5, 7, 8, 24, 9, 11, 19, 25, 32)
_NFTABLES_GROUP = 7
_POLICIES = 4  # XFRMNLGRP_POLICY
_LINKS = (16, 17)
_NEIGHBOURS = (28, 29)
_GET_NEIGHBOURS = 30
_RULES = (32, 33)
_LINK = struct.Struct("=BxHiII")  # struct ifinfomsg
_NEIGHBOUR = struct.Struct("=B3xiHBB")  # struct ndmsg
_NDA_DST, _NDA_LLADDR = 1, 2
_ELEMENTS = (0x0A0C, 0x0A0E)  # NFT_MSG_NEWSETELEM, NFT_MSG_DELSETELEM
_MOST_NEIGHBOURS = 1 << 16
_MOST_READS = 1000  # in one go
_BUFFER = 8 << 20  # bytes of reports that may wait


@dataclass
class FlowChanges:
    """What was reported. `rules`: something that seldom changes; `frequent`: something that may change all the time;
    `interfaces`: numbers of those whose link or neighbours changed. `blockers`: may there be other ones now?
    """

    rules: bool = False
    frequent: bool = False
    blockers: bool = False
    interfaces: set[int] = field(default_factory=set)

    def __bool__(self) -> bool:
        return self.rules or self.frequent or bool(self.interfaces)


class FlowReports:
    """Reports of the network namespace that the calling thread is in. Close it, or use it in `with`.

    `events` is another listener to nftables; while that one is muted, this one is as well.
    """

    def __init__(self, events: KernelEvents) -> None:
        self._events = events
        self._buffer = bytearray(1 << 18)
        self._transaction = FlowChanges()  # of nftables, whose end is still to come
        self._neighbours: dict[tuple[int, bytes], bytes] = {}
        with contextlib.ExitStack() as stack:
            self._route = stack.enter_context(subscribed(socket.NETLINK_ROUTE, _ROUTE_GROUPS, _BUFFER))
            self._nft = stack.enter_context(subscribed(_NETFILTER, (_NFTABLES_GROUP,), _BUFFER))
            self._xfrm = _policies(stack)
            with Rtnetlink() as rtnetlink:
                for body in rtnetlink.dump(_GET_NEIGHBOURS, _NEIGHBOUR.pack(0, 0, 0, 0, 0), lambda _: True):
                    self._is_new_address(body)
            stack.pop_all()
        events.mute_with(self._nft)

    def __enter__(self) -> FlowReports:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._events.mute_without(self._nft)
        for sock in self._sockets():
            sock.close()

    def filenos(self) -> tuple[int, ...]:
        """Readable when there may be something to read."""
        return tuple(sock.fileno() for sock in self._sockets())

    def read(self) -> FlowChanges:
        """What was reported since the last call. Never blocks, never raises."""
        found = FlowChanges()
        for sock in self._sockets():
            self._read(sock, found)
        return found

    def _sockets(self) -> Iterator[socket.socket]:
        yield from (self._route, self._nft)
        if self._xfrm is not None:
            yield self._xfrm

    def _read(self, sock: socket.socket, found: FlowChanges) -> None:
        view = memoryview(self._buffer)
        for _ in range(_MOST_READS):
            try:
                size, (sender, _groups) = sock.recvfrom_into(self._buffer)
            except BlockingIOError:
                return
            except OSError as error:
                if error.errno != errno.EINTR:  # reports were lost: it may have been anything
                    found.rules = found.blockers = True
                continue
            if sender != 0:  # not the kernel
                continue
            if sock is self._nft:
                self._of_nft(view[:size], found)
            elif sock is self._route:
                for kind, body in _messages(view[:size]):
                    self._of_route(kind, body, found)
            else:
                found.rules = found.blockers = True

    def _of_nft(self, data: memoryview, found: FlowChanges) -> None:
        """Applied is a transaction only when its NEWGEN comes."""
        for kind, _ in _messages(data):
            if kind in _ELEMENTS:
                self._transaction.frequent = True
            elif kind != NEW_GENERATION:
                self._transaction.rules = True
            else:
                found.frequent |= self._transaction.frequent
                found.rules |= self._transaction.rules
                found.blockers |= self._transaction.rules
                self._transaction = FlowChanges()

    def _of_route(self, kind: int, body: memoryview, found: FlowChanges) -> None:
        if kind in _NEIGHBOURS:
            if self._is_new_address(bytes(body)):
                found.interfaces.add(_NEIGHBOUR.unpack_from(body)[1])
        elif kind in _LINKS:
            family, _, ifindex, _, _ = _LINK.unpack_from(body)
            if family != socket.AF_BRIDGE:
                found.interfaces.add(ifindex)
        elif kind in _RULES:
            found.rules = True
        elif kind not in (NEW, DELETE) or not is_cached(body):
            found.frequent = True  # next hops, addresses and settings (NETCONF) as well

    def _is_new_address(self, body: bytes) -> bool:
        """Has a neighbour another link-layer address than before? A state alone changes all the time."""
        family, ifindex, *_ = _NEIGHBOUR.unpack_from(body)
        attrs = dict(attributes(body[_NEIGHBOUR.size :]))
        address = attrs.get(_NDA_LLADDR)
        if family == socket.AF_BRIDGE or _NDA_DST not in attrs or address is None:
            return False
        if len(self._neighbours) >= _MOST_NEIGHBOURS:
            self._neighbours.clear()
            return True  # what is forgotten may have changed
        key = ifindex, attrs[_NDA_DST]
        before = self._neighbours.get(key, address)
        self._neighbours[key] = address
        return before != address


def _policies(stack: contextlib.ExitStack) -> socket.socket | None:
    """None for a kernel without IPsec."""
    try:
        return stack.enter_context(subscribed(_XFRM, (_POLICIES,), 1 << 20))
    except NviError:
        return None


def _messages(data: memoryview) -> Iterator[tuple[int, memoryview]]:
    """Types and bodies of netlink messages."""
    offset = 0
    while offset + 16 <= len(data):
        length, kind = struct.unpack_from("=IH", data, offset)
        if length < 16:
            return
        yield kind, data[offset + 16 : offset + length]
        offset += length + 3 & ~3
