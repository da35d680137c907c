"""What the kernel reports by itself: that something of a kind changed, and by whom; of nftables
elements also which (`Monitor`).

Plain sockets, because this has to be fast and small: a report only wakes the reconciler, which then looks
for itself. What cannot matter to a gateway is dropped here, so that a busy neighbour (a BGP daemon, a
service proxy) does not keep the daemon awake: other nftables tables, routes of `main` that are neither default
ones nor by an uplink's interface (`follow`; owned ones are in tables of their own), cached routes, bridge ports,
neighbours.
"""

from __future__ import annotations

import errno
import re
import socket
import struct
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Literal, NamedTuple

from nvi_operator.dataclass import dataclass
from nvi_operator.kernel.errors import kernel_errors
from nvi_operator.kernel.inspect.main_routes import MAY_BE_DELEGATED, leads_by, pattern
from nvi_operator.kernel.netlink.route_messages import (
    DELETE,
    LENGTH_AT,
    NEW,
    PROTOCOL_AT,
    REFUSING,
    TABLE_AT,
    TYPE_AT,
    is_cached,
)
from nvi_operator.kernel.netlink.rtnetlink import shown_number
from nvi_operator.kernel.processes import is_own_process
from nvi_operator.nft.wire.attributes import attributes
from nvi_operator.nft.wire.messages import GENERATION_ID, NEW_GENERATION, TABLE_NAME
from nvi_operator.nft.wire.monitor import ElementReport, Monitor
from nvi_operator.topology.numbers import LOCAL, MAIN

ReportKind = Literal["link", "address", "route", "rule", "tc", "setting", "nft", "overflow"]
About = Literal["other", "rule", "route"]

_SOL_NETLINK, _ADD_MEMBERSHIP, _DROP_MEMBERSHIP = 270, 1, 2
_NETLINK_NETFILTER = 12
_SO_RCVBUFFORCE = 33

# RTNLGRP_*, include/uapi/linux/rtnetlink.h: LINK, TC, v4 IFADDR ROUTE RULE NETCONF, v6 the same and IFINFO (the MTU
# that a router advertises), NEXTHOP. When a nexthop object is deleted its routes go with it, and of those of IPv4
# nothing else tells (Linux 6.18).
_ROUTE_GROUPS = (1, 4, 5, 7, 8, 24, 9, 11, 19, 25, 12, 32)
_NEXT_HOPS = (104, 105)  # RTM_NEWNEXTHOP, RTM_DELNEXTHOP
_NHA_OIF, _NHMSG = 5, 8  # struct nhmsg has 8 bytes
_REPORT_KINDS: dict[int, ReportKind] = {
    **dict.fromkeys((16, 17), "link"),
    **dict.fromkeys((20, 21), "address"),
    **dict.fromkeys((NEW, DELETE, *_NEXT_HOPS), "route"),
    **dict.fromkeys((32, 33), "rule"),
    **dict.fromkeys((*range(36, 51), 100, 101), "tc"),
    **dict.fromkeys((80, 81), "setting"),  # forwarding and rp_filter; other sysctls are never reported
}
_RULE_HEADER, _RULE_PROTOCOL = 12, 21  # bytes of struct fib_rule_hdr, FRA_PROTOCOL

_NFTABLES_GROUP = 7
_NFTABLES = 10
_GEN_PID, _GEN_NAME = 2, 3
_INET = 1

_MOST_READS = 20_000  # in one go, so that a flood cannot hold up the rest


@dataclass(frozen=True)
class Event:
    """Something of this kind changed. `overflow`: reports were lost, anything may have changed.

    nftables names the process itself. Elsewhere the pid is the likely one: of the port that the change was
    asked for through. Links, automatic routes and programs with ports of their own making (pyroute2) tell
    nothing (0, ""), so that `own` False does not mean that it was another process.
    """

    kind: ReportKind
    pid: int = 0
    process: str = ""
    own: bool = False

    @property
    def who(self) -> str:
        """The process in words for messages: `nft (pid 812)`."""
        return f"{self.process} (pid {self.pid})" if self.process else ""


class Generation(NamedTuple):
    """How many reports came, by what they are about. What is owned is no fact, and says nothing of other objects."""

    other: int = 0
    rule: int = 0  # owned ones
    route: int = 0


class KernelEvents:
    """Monitor of the network namespace that the calling thread is in. `tables`: the nft `inet` ones that matter."""

    def __init__(self, tables: Collection[str], *, receive_buffer: int = 8 << 20) -> None:
        self._tables = frozenset(name.encode() for name in tables)
        self._buffer = bytearray(1 << 18)
        self._touched = False  # one of the owned tables, in the transaction whose NEWGEN is still to come
        self._lossy: set[socket.socket] = set()  # of which reports may be lost until they are read to the end
        self._reports = Monitor()
        self._found: dict[Event, None] = {}  # since the last drain
        self._generation = Generation()
        self._muted_with: tuple[socket.socket, ...] = ()
        self._wires: frozenset[int] | None = None  # None: `follow` has not been called yet
        self._on_wires: re.Pattern[bytes] | None = None
        self._protocol = -1  # of owned rules and routes
        self._route = subscribed(socket.NETLINK_ROUTE, _ROUTE_GROUPS, receive_buffer)
        try:
            self._nft = subscribed(_NETLINK_NETFILTER, (_NFTABLES_GROUP,), receive_buffer)
        except BaseException:
            self._route.close()
            raise

    def __enter__(self) -> KernelEvents:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._route.close()
        self._nft.close()

    def filenos(self) -> tuple[int, ...]:
        """Readable when there may be something to drain."""
        return (self._route.fileno(), self._nft.fileno())

    @contextmanager
    def without_nft(self) -> Iterator[None]:
        """Within, nftables is not listened to.

        For large changes: the kernel reports each element to a listener, which takes longer than the change.
        Changes of other processes go unreported meanwhile: look for them afterwards.
        """
        listeners = (self._nft, *self._muted_with)
        for each in listeners:
            each.setsockopt(_SOL_NETLINK, _DROP_MEMBERSHIP, _NFTABLES_GROUP)
        try:
            yield
        finally:
            for each in listeners:
                each.setsockopt(_SOL_NETLINK, _ADD_MEMBERSHIP, _NFTABLES_GROUP)
            self._read(self._nft)
            self._reports.gap()

    def mute_with(self, sock: socket.socket) -> None:
        """Another listener to nftables, that `without_nft` mutes as well."""
        self._muted_with = (*self._muted_with, sock)

    def mute_without(self, sock: socket.socket) -> None:
        self._muted_with = tuple(each for each in self._muted_with if each is not sock)

    def follow(self, wires: frozenset[int], protocol: int) -> None:
        """Of the routes of `main` those by these interfaces matter from now on, besides the default ones. Owned are
        rules of this protocol number, and routes of other tables.
        """
        if wires != self._wires or protocol != self._protocol:
            self._read(self._route)  # what came before is judged as before
            self._wires, self._on_wires, self._protocol = wires, pattern(wires), protocol

    def drain(self) -> list[Event]:
        """What came since the last call, each once, in order. Never blocks, never raises."""
        for sock in (self._route, self._nft):
            self._read(sock)
        _process.cache_clear()  # pids are used again
        found, self._found = self._found, {}
        return list(found)

    def generation(self) -> Generation:
        """Goes up, in one of its numbers, with all that `drain` tells or will tell, but for nftables, which has a
        generation of its own.

        What was read of the kernel after this was asked is so still when it says the same again, as far as the kernel
        reports it. What it finds waits for `drain`, though no fileno is readable any more.
        """
        self._read(self._route)
        return self._generation

    def elements(self, earlier: int, later: int) -> list[ElementReport] | None:
        """Changes of elements of the owned tables between two generations of nftables; None if they are not known,
        or if the tables changed in other ways as well.

        Reports that it reads wait for `drain`, as with `generation`.
        """
        self._read(self._nft)
        return self._reports.between(earlier, later)

    def discard_elements(self, generation: int | None) -> None:
        """Drop the reports that led to this generation, or, if None, all until now: `elements` is not asked for them.

        Reports that it reads wait for `drain`, as with `generation`.
        """
        self._read(self._nft)
        self._reports.discard(generation)

    def _read(self, sock: socket.socket) -> None:
        view = memoryview(self._buffer)
        lost = False
        for _ in range(_MOST_READS):
            try:
                size, (sender, _groups) = sock.recvfrom_into(self._buffer)
            except BlockingIOError:
                lost |= sock in self._lossy
                self._lossy.discard(sock)
                break
            except OSError as error:
                if error.errno != errno.EINTR:
                    # ENOBUFS; for any other reason just as much was lost. The kernel tells it once, and loses more
                    # in silence until everything is read.
                    self._tell(Event("overflow"))
                    self._touched = False
                    self._lossy.add(sock)
                    lost = True
                continue
            if sender == 0:  # the kernel
                self._messages(view[:size], nft=sock is self._nft)
        else:
            self._count("other")  # there may be more
        if lost:
            self._count("other")
            if sock is self._nft:
                self._reports.gap()  # where, among what was read, is not told

    def _tell(self, event: Event, about: About = "other") -> None:
        self._found[event] = None
        if event.kind != "nft":
            self._count(about)

    def _count(self, about: About) -> None:
        self._generation = self._generation._replace(**{about: getattr(self._generation, about) + 1})

    def _messages(self, data: memoryview, *, nft: bool) -> None:
        as_event = self._nft_event if nft else self._route_event
        offset = 0
        while offset + 16 <= len(data):
            length, message_type, _flags, _seq, port = struct.unpack_from("=IHHII", data, offset)
            if length < 16:
                return
            message = data[offset + 16 : offset + length]
            if event := as_event(message_type, message, port):
                self._tell(event, self._about(event.kind, message))
            offset += length + 3 & ~3

    def _nft_event(self, message_type: int, message: memoryview, port: int) -> Event | None:
        """An event for the NEWGEN that ends each transaction, if it touched one of the owned tables."""
        if message_type != NEW_GENERATION:
            if (
                message_type >> 8 == _NFTABLES
                and message[0] == _INET
                and _attributes(message, only=TABLE_NAME).get(TABLE_NAME, b"")[:-1] in self._tables
            ):
                self._touched = True
                self._reports.change(message_type, bytes(message[4:]))
            return None
        touched, self._touched = self._touched, False
        attrs = _attributes(message)
        self._reports.end(int.from_bytes(attrs.get(GENERATION_ID, b""), "big"))
        if not touched:
            return None
        pid = int.from_bytes(attrs.get(_GEN_PID, b""), "big") or _pid(port)
        name = attrs.get(_GEN_NAME, b"").rstrip(b"\0").decode(errors="replace")
        return Event("nft", pid, name or _process(pid), own=is_own_process(pid) or is_own_process(_pid(port)))

    def _route_event(self, message_type: int, message: memoryview, port: int) -> Event | None:
        kind = _REPORT_KINDS.get(message_type)
        if kind is None or (kind == "link" and message[0] == socket.AF_BRIDGE):
            return None
        if message_type in _NEXT_HOPS:
            if not self._is_next_hop_on_wire(message):
                return None
        elif kind == "route":
            length, table, type_ = message[LENGTH_AT], message[TABLE_AT], message[TYPE_AT]
            if is_cached(message) or table == LOCAL:
                return None
            delegated = type_ in REFUSING and length in MAY_BE_DELEGATED and message[0] == socket.AF_INET6
            if table == MAIN and length > 0 and not delegated and not self._is_on_wire(message):
                return None
        pid = _pid(port)
        return Event(kind, pid, _process(pid), own=is_own_process(pid))

    def _about(self, kind: ReportKind, message: memoryview) -> About:
        if kind == "rule" and _rule_protocol(message) == self._protocol:
            return "rule"
        if kind == "route" and message[PROTOCOL_AT] == self._protocol and message[TABLE_AT] != MAIN:
            return "route"
        return "other"

    def _is_on_wire(self, message: memoryview) -> bool:
        if self._wires is None:
            return True
        return bool(self._on_wires and self._on_wires.search(message)) and leads_by(bytes(message), self._wires)

    def _is_next_hop_on_wire(self, message: memoryview) -> bool:
        """A group of next hops has no interface of its own: it may be by any."""
        oif = shown_number(dict(attributes(bytes(message[_NHMSG:]))).get(_NHA_OIF))
        return oif is None or self._wires is None or oif in self._wires


def _attributes(message: memoryview, *, only: int | None = None) -> dict[int, bytes]:
    """The attributes of an nfnetlink message (after struct nfgenmsg, 4 bytes); those after `only` are not read."""
    found: dict[int, bytes] = {}
    offset = 4
    while offset + 4 <= len(message) and only not in found:
        length, kind = struct.unpack_from("=HH", message, offset)
        found[kind & 0x3FFF] = bytes(message[offset + 4 : offset + max(length, 4)])
        offset += max(length, 4) + 3 & ~3
    return found


def _rule_protocol(message: memoryview) -> int:
    return dict(attributes(bytes(message[_RULE_HEADER:]))).get(_RULE_PROTOCOL, b"\0")[0]


def _pid(port: int) -> int:
    """The kernel's choice of port is the pid if that is free, libnl's is pid + (n << 22); 0 if it is neither."""
    return port & 0x3FFFFF if port < 1 << 31 else 0


@lru_cache(maxsize=256)
def _process(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/comm").read_text(errors="replace").strip() if pid else ""
    except OSError:
        return ""  # gone already


def subscribed(protocol: int, groups: tuple[int, ...], receive_buffer: int) -> socket.socket:
    """A netlink socket: bound, subscribed, non-blocking. Raises CapabilityError without CAP_NET_ADMIN."""
    with kernel_errors("notifications of the kernel: subscribing"):
        sock = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_NONBLOCK, protocol)
        try:
            try:
                sock.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, receive_buffer)
            except PermissionError:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
            sock.bind((0, 0))
            for group in groups:
                sock.setsockopt(_SOL_NETLINK, _ADD_MEMBERSHIP, group)
        except BaseException:
            sock.close()
            raise
    return sock
