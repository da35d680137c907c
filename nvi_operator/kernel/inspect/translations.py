"""The flows whose addresses conntrack translates now, as the kernel lists them.

The kernel filters a dump: by status (CTA_STATUS with a mask), mark, and parts of a tuple (CTA_FILTER, Linux 5.8), so
that of a million entries only those that are meant cross into user space. A zone is compared here: kernels before 6.8
do not filter by it. Source: net/netfilter/nf_conntrack_netlink.c.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from ipaddress import ip_address

from nvi_operator.dataclass import dataclass
from nvi_operator.kernel.errors import kernel_errors
from nvi_operator.kernel.netlink.socket import DUMP, NETFILTER, Netlink
from nvi_operator.language.model.services import PROTOCOL_NAMES
from nvi_operator.language.model.values import FAMILIES, Address, Family
from nvi_operator.nft.wire.attributes import NESTED, attribute, attributes
from nvi_operator.state.translation import FlowTranslation

_GET = 1 << 8 | 1  # NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_MSG_CT_GET
_ORIG, _REPLY, _STATUS, _TIMEOUT, _MARK = 1, 2, 3, 7, 8  # CTA_*
_COUNTERS_ORIG, _COUNTERS_REPLY, _ZONE, _MARK_MASK, _FILTER, _STATUS_MASK = 9, 10, 18, 21, 25, 26
_IP, _PROTO, _TUPLE_ZONE = 1, 2, 3  # CTA_TUPLE_*
_SOURCE, _DESTINATION = {4: 1, 6: 3}, {4: 2, 6: 4}  # CTA_IP_V4_SRC ...
_NUMBER, _SOURCE_PORT, _DESTINATION_PORT = 1, 2, 3  # CTA_PROTO_*
_ORIG_FLAGS, _REPLY_FLAGS = 1, 2  # CTA_FILTER_*
_BY_SOURCE, _BY_DESTINATION = 1, 2  # CTA_FILTER_F_CTA_IP_SRC, _DST
_PACKETS, _BYTES = 1, 2  # CTA_COUNTERS_*
_SRC_NAT, _DST_NAT = 1 << 4, 1 << 5  # IPS_*
_AF: dict[Family, int] = {4: 2, 6: 10}


@dataclass(frozen=True)
class FlowFilter:
    """Which flows are meant. `address`: either end, before or after translation; `mark`: value and mask."""

    sources: bool = True  # those whose source is translated
    destinations: bool = True
    address: Address | None = None
    zone: int | None = None
    mark: tuple[int, int] | None = None


def translations(question: FlowFilter) -> Iterator[FlowTranslation]:
    """Each flow once, in the kernel's order. Raises KernelError; CapabilityError without CAP_NET_ADMIN."""
    seen: set[bytes] = set()  # only where several dumps may tell the same
    with Netlink(NETFILTER) as netlink:
        for family, wanted in _dumps(question):
            body = struct.pack("=BBH", _AF[family], 0, 0) + wanted
            with kernel_errors("conntrack: listing"):
                for reply in netlink.ask(_GET, DUMP, body):
                    parts = dict(attributes(reply.body[4:]))
                    found = _translation(parts)
                    if found is None or (question.zone is not None and found.zone != question.zone):
                        continue
                    if question.address is not None or (question.sources and question.destinations):
                        if parts[_ORIG] in seen:
                            continue
                        seen.add(parts[_ORIG])
                    yield found


def _dumps(question: FlowFilter) -> Iterator[tuple[Family, bytes]]:
    """One for each bit of the status, because the kernel compares all bits of a mask; and for each end."""
    mark = b""
    if question.mark is not None:
        value, mask = question.mark
        mark = attribute(_MARK, struct.pack("!I", value)) + attribute(_MARK_MASK, struct.pack("!I", mask))
    for bit in [_SRC_NAT] * question.sources + [_DST_NAT] * question.destinations:
        number = struct.pack("!I", bit)
        status = attribute(_STATUS, number) + attribute(_STATUS_MASK, number)
        if question.address is None:
            yield from ((family, status + mark) for family in FAMILIES)
            continue
        for direction in (_ORIG, _REPLY):
            for end in (_BY_SOURCE, _BY_DESTINATION):
                yield question.address.version, status + mark + _filter(question.address, direction, end)


def _filter(address: Address, direction: int, end: int) -> bytes:
    place = (_SOURCE if end == _BY_SOURCE else _DESTINATION)[address.version]
    ip = attribute(NESTED | _IP, attribute(place, address.packed))
    flags = attribute(_REPLY_FLAGS if direction == _REPLY else _ORIG_FLAGS, struct.pack("=I", end))
    return attribute(NESTED | direction, ip) + attribute(NESTED | _FILTER, flags)


def _translation(parts: dict[int, bytes]) -> FlowTranslation | None:
    """None for what is not translated, and for a protocol without the usual tuple."""
    status = int.from_bytes(parts.get(_STATUS, b""), "big")
    if not status & (_SRC_NAT | _DST_NAT) or not parts.keys() >= {_ORIG, _REPLY}:
        return None  # a kernel that does not filter by status (before 5.15) lists everything
    source, source_port, destination, destination_port, protocol, zone = _tuple(parts[_ORIG])
    answers_from, from_port, answers_to, to_port, _, _ = _tuple(parts[_REPLY])
    if _ZONE in parts:
        zone = int.from_bytes(parts[_ZONE], "big")
    counters = [dict(attributes(parts[kind])) for kind in (_COUNTERS_ORIG, _COUNTERS_REPLY) if kind in parts]
    packets, octets = (
        sum(int.from_bytes(counter.get(kind, b""), "big") for counter in counters) if counters else None
        for kind in (_PACKETS, _BYTES)
    )
    return FlowTranslation(
        protocol=PROTOCOL_NAMES.get(protocol, str(protocol)),
        source=source,
        source_port=source_port,
        destination=destination,
        destination_port=destination_port,
        new_source=answers_to,
        new_source_port=to_port,
        new_destination=answers_from,
        new_destination_port=from_port,
        zone=zone,
        mark=int.from_bytes(parts.get(_MARK, b""), "big"),
        seconds_left=int.from_bytes(parts.get(_TIMEOUT, b""), "big"),
        packets=packets,
        bytes=octets,
    )


def _tuple(data: bytes) -> tuple[Address, int, Address, int, int, int]:
    """Source, its port, destination, its port, protocol, zone."""
    parts = dict(attributes(data))
    addresses, protocol = dict(attributes(parts[_IP])), dict(attributes(parts[_PROTO]))
    version = 4 if _SOURCE[4] in addresses else 6
    return (
        ip_address(addresses[_SOURCE[version]]),
        int.from_bytes(protocol.get(_SOURCE_PORT, b""), "big"),
        ip_address(addresses[_DESTINATION[version]]),
        int.from_bytes(protocol.get(_DESTINATION_PORT, b""), "big"),
        protocol[_NUMBER][0],
        int.from_bytes(parts.get(_TUPLE_ZONE, b""), "big"),
    )
