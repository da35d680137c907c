"""Conntrack over ctnetlink: the flows of one address, and an end to some of them.

The kernel filters a dump by parts of a tuple (CTA_FILTER, Linux 5.8: net/netfilter/nf_conntrack_netlink.c), so that
of a million entries only those that are meant cross into user space. It flushes by mark, zone and family only, and so
an entry is deleted by its own tuple, with its number (CTA_ID): one that was made meanwhile is not hit.
"""

from __future__ import annotations

import errno
import struct
from collections.abc import Iterable, Iterator, Sequence
from ipaddress import IPv4Address, IPv6Address
from itertools import islice

from nvi_operator.kernel.errors import kernel_errors
from nvi_operator.kernel.netlink.socket import ACK, DUMP, ERROR, NETFILTER, Netlink, message
from nvi_operator.language.model.values import Address
from nvi_operator.nft.wire.attributes import NESTED, attribute, attributes
from nvi_operator.topology.flows import FlowQuestion, TrackedFlow

_GET, _DELETE = 1 << 8 | 1, 1 << 8 | 2  # NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_MSG_CT_*
_ORIG, _REPLY, _STATUS, _ID, _ZONE, _FILTER = 1, 2, 3, 12, 18, 25  # CTA_*
_IP, _PROTO = 1, 2  # CTA_TUPLE_*
_SOURCE, _DESTINATION = {4: 1, 6: 3}, {4: 2, 6: 4}  # CTA_IP_V4_SRC ...
_NUMBER, _SOURCE_PORT, _DESTINATION_PORT = 1, 2, 3  # CTA_PROTO_*
_ORIG_FLAGS, _REPLY_FLAGS = 1, 2  # CTA_FILTER_*
_BY_SOURCE, _BY_DESTINATION = 1 << 0, 1 << 1  # CTA_FILTER_F_CTA_IP_SRC, _DST
_SRC_NAT, _DST_NAT = 1 << 4, 1 << 5  # IPS_*
_AF = {4: 2, 6: 10}
_BATCH = 256  # deletions in one message to the kernel


class Conntrack(Netlink):
    """The flows of a network namespace. Raises KernelError."""

    def __init__(self) -> None:
        super().__init__(NETFILTER)

    def flows(self, question: FlowQuestion) -> Iterator[TrackedFlow]:
        """The flows that are asked for. A prefix of several addresses is looked for here, and not by the kernel."""
        network = question.translated
        address = question.published
        if network is not None and network.prefixlen == network.max_prefixlen:
            address = network.network_address
        wanted = b""
        if question.server is not None:
            wanted = _filter(question.server, _REPLY, _BY_SOURCE)
        elif address is not None:
            wanted = _filter(address, _REPLY if network is not None else _ORIG, _BY_DESTINATION)
        body = struct.pack("=BBH", _AF[question.family], 0, 0) + wanted
        with kernel_errors("conntrack: listing"):
            for reply in self.ask(_GET, DUMP, body):
                flow = _flow(reply.body)
                if flow is not None and (network is None or address is not None or flow.answers_to in network):
                    yield flow

    def end(self, flows: Iterable[TrackedFlow]) -> int:
        """Delete exactly these. Returns how many were there still."""
        source, ended = iter(flows), 0
        while batch := list(islice(source, _BATCH)):
            ended += self._end(batch)
        return ended

    def _end(self, flows: Sequence[TrackedFlow]) -> int:
        first, messages = self.sequence + 1, []
        for flow in flows:
            self.sequence += 1
            body = struct.pack("=BBH", _AF[flow.family], 0, 0) + flow.identity
            messages.append(message(_DELETE, ACK, self.sequence, body))
        ended = 0
        with kernel_errors("conntrack: deleting"):
            self.write(b"".join(messages))
            for reply in self.replies():
                if reply.kind != ERROR or reply.sequence < first:
                    continue
                if reply.code() == 0:
                    ended += 1
                elif reply.code() != errno.ENOENT:  # it ended by itself
                    reply.raise_error()
                if reply.sequence == self.sequence:
                    break
        return ended


def _filter(address: Address, direction: int, end: int) -> bytes:
    place = (_SOURCE if end == _BY_SOURCE else _DESTINATION)[address.version]
    ip = attribute(NESTED | _IP, attribute(place, address.packed))
    flags = _REPLY_FLAGS if direction == _REPLY else _ORIG_FLAGS
    return attribute(NESTED | direction, ip) + attribute(NESTED | _FILTER, attribute(flags, struct.pack("=I", end)))


def _flow(body: bytes) -> TrackedFlow | None:
    """None for a protocol without the usual tuple."""
    parts = dict(attributes(body[4:]))
    if not parts.keys() >= {_ORIG, _REPLY, _STATUS}:
        return None
    source, destination, protocol, ports = _tuple(parts[_ORIG])
    answers_from, answers_to, _, (answers_port, _) = _tuple(parts[_REPLY])
    status = int.from_bytes(parts[_STATUS], "big")
    return TrackedFlow(
        4 if isinstance(source, IPv4Address) else 6,
        protocol,
        source,
        destination,
        answers_from,
        answers_to,
        *ports,
        source_translated=bool(status & _SRC_NAT),
        destination_translated=bool(status & _DST_NAT),
        answers_port=answers_port,
        identity=b"".join(_copied(parts)),
    )


def _copied(parts: dict[int, bytes]) -> Iterable[bytes]:
    yield attribute(NESTED | _ORIG, parts[_ORIG])
    for kind in (_ZONE, _ID):
        if kind in parts:
            yield attribute(kind, parts[kind])


def _tuple(data: bytes) -> tuple[Address, Address, int, tuple[int, int]]:
    parts = dict(attributes(data))
    addresses, protocol = dict(attributes(parts[_IP])), dict(attributes(parts[_PROTO]))
    version = 4 if _SOURCE[4] in addresses else 6
    make: type[IPv4Address] | type[IPv6Address] = IPv4Address if version == 4 else IPv6Address
    ports = tuple(int.from_bytes(protocol.get(kind, b""), "big") for kind in (_SOURCE_PORT, _DESTINATION_PORT))
    return (
        make(addresses[_SOURCE[version]]),
        make(addresses[_DESTINATION[version]]),
        protocol[_NUMBER][0],
        (ports[0], ports[1]),
    )
