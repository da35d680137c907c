"""The beginning and the end of each translated flow, as conntrack reports them (ctnetlink events).

Made for many: a gateway may open 20,000 flows a second, and each is two messages. Those of TCP and UDP have their
addresses and ports at fixed places, and are read there; any other message is read attribute by attribute. Source:
ctnetlink_conntrack_event() in net/netfilter/nf_conntrack_netlink.c.

What does not fit into the socket's buffer is lost. The kernel counts it for each socket (/proc/net/netlink), so that
it is known how many messages are missing.
"""

from __future__ import annotations

import errno
import struct
from pathlib import Path

from nvi_operator.kernel.netlink.ctnetlink import (
    COUNTERS_ORIG,
    COUNTERS_REPLY,
    DELETE,
    DST_NAT,
    ID,
    NEW,
    ORIG,
    REPLY,
    SRC_NAT,
    STATUS,
    TIMES,
    ZONE,
    counted,
    counter,
    flow_ends,
    number,
)
from nvi_operator.kernel.netlink.events import subscribed
from nvi_operator.nft.wire.attributes import NESTED, attributes
from nvi_operator.state.nat_event import NatEvent

_NETFILTER = 12
_GROUPS = (1, 3)  # NFNLGRP_CONNTRACK_NEW, _DESTROY
_HEADER = struct.Struct("=IHHII")
_FIRST = 20  # the attributes, behind nlmsghdr and nfgenmsg
_PROTO = 2  # CTA_TUPLE_PROTO
_TRANSLATED = SRC_NAT | DST_NAT
_ATTRIBUTE = struct.Struct("=HH")
# A tuple with ports: nest, nest, two addresses, nest, protocol, two ports. The first bytes tell it from others.
_TUPLE4, _TUPLE6 = struct.pack("=HH", 52, NESTED | ORIG), struct.pack("=HH", 76, NESTED | ORIG)
_ANSWER4, _ANSWER6 = struct.pack("=HH", 52, NESTED | REPLY), struct.pack("=HH", 76, NESTED | REPLY)
_PORTS = struct.pack("=HH", 28, NESTED | _PROTO)
_BOTH4 = struct.Struct("!32x4s4x4s8xB7xH6xH14x4s4x4s16xH6xH2x")
_BOTH6 = struct.Struct("!32x16s4x16s8xB7xH6xH14x16s4x16s16xH6xH2x")
_MOST = 1000  # messages in one go
_STATISTICS = Path("/proc/thread-self/net/netlink")


class NatEvents:
    """Events of the network namespace that the calling thread is in. Close it, or use it in `with`.

    `room` is the size of the socket's buffer in bytes. CapabilityError without CAP_NET_ADMIN.
    """

    def __init__(self, room: int) -> None:
        self._socket = subscribed(_NETFILTER, _GROUPS, room)
        self._port = self._socket.getsockname()[0]
        self._lost = 0

    def __enter__(self) -> NatEvents:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def fileno(self) -> int:
        """Readable when there is something to read."""
        return self._socket.fileno()

    def read(self) -> tuple[list[NatEvent], int]:
        """What was reported since the last call, or the first part of it, and how many messages were lost meanwhile.
        Never blocks.
        """
        found: list[NatEvent] = []
        receive, lost = self._socket.recv, 0
        for _ in range(_MOST):
            try:
                data = receive(4096)
            except BlockingIOError:
                break
            except OSError as error:
                if error.errno != errno.ENOBUFS:
                    raise
                lost += self._lost_since()
                continue
            if (event := nat_event(data)) is not None:
                found.append(event)
        return found, lost

    def _lost_since(self) -> int:
        """Messages that the kernel dropped since this was asked last; at least 1."""
        before, self._lost = self._lost, dropped(_STATISTICS.read_text(encoding="ascii"), self._port)
        return max(1, self._lost - before)


def dropped(statistics: str, port: int) -> int:
    """The messages that the socket with this port lost, of the lines of /proc/net/netlink."""
    for line in statistics.splitlines()[1:]:
        words = line.split()
        if words[1:3] == [str(_NETFILTER), str(port)]:
            return int(words[8])
    return 0


def nat_event(data: bytes) -> NatEvent | None:
    """None for what begins or ends without translation, and for protocols without the usual tuple."""
    _, kind, _, _, _ = _HEADER.unpack_from(data)
    if kind not in (NEW, DELETE):
        return None
    first = data[_FIRST : _FIRST + 4]
    if first == _TUPLE4 and data[44:48] == _PORTS and data[72:76] == _ANSWER4:
        both, offset = _BOTH4, 124
    elif first == _TUPLE6 and data[68:72] == _PORTS and data[96:100] == _ANSWER6:
        both, offset = _BOTH6, 172
    else:
        return _slowly(data, kind)
    source, destination, protocol, sport, dport, answers_from, answers_to, from_port, to_port = both.unpack_from(data)
    number, zone, packets, octets, seconds = 0, 0, None, None, None
    end = len(data)
    while offset + 4 <= end:
        length, attribute = _ATTRIBUTE.unpack_from(data, offset)
        if attribute == STATUS:
            if not int.from_bytes(data[offset + 4 : offset + 8], "big") & _TRANSLATED:
                return None
        elif attribute == ID:
            number = int.from_bytes(data[offset + 4 : offset + 8], "big")
        elif attribute == ZONE:
            zone = int.from_bytes(data[offset + 4 : offset + 6], "big")
        elif attribute & ~NESTED in (COUNTERS_ORIG, COUNTERS_REPLY):
            more, bigger = counter(data[offset + 4 : offset + length])
            packets, octets = (packets or 0) + more, (octets or 0) + bigger
        elif attribute & ~NESTED == TIMES:
            seconds = _lived(data[offset + 4 : offset + length])
        offset += length + 3 & ~3
    return NatEvent(
        kind == DELETE,
        number,
        protocol,
        source,
        sport,
        destination,
        dport,
        answers_to,
        to_port,
        answers_from,
        from_port,
        zone,
        packets,
        octets,
        seconds,
    )


def _slowly(data: bytes, kind: int) -> NatEvent | None:
    parts = dict(attributes(data[_FIRST:]))
    if not number(parts, STATUS) & _TRANSLATED or not parts.keys() >= {ORIG, REPLY}:
        return None
    first, answer = flow_ends(parts[ORIG]), flow_ends(parts[REPLY])
    packets, octets = counted(parts) or (None, None)
    return NatEvent(
        kind == DELETE,
        number(parts, ID),
        first.protocol,
        first.source,
        first.source_port,
        first.destination,
        first.destination_port,
        answer.destination,
        answer.destination_port,
        answer.source,
        answer.source_port,
        number(parts, ZONE) if ZONE in parts else first.zone,
        packets,
        octets,
        _lived(parts[TIMES]) if TIMES in parts else None,
    )


def _lived(data: bytes) -> float | None:
    """Seconds, of CTA_TIMESTAMP_*, which are nanoseconds since 1970."""
    parts = {kind: int.from_bytes(value, "big") for kind, value in attributes(data)}
    return (parts[2] - parts[1]) / 1e9 if parts.keys() >= {1, 2} else None
