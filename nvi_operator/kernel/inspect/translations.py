"""The flows whose addresses conntrack translates now, as the kernel lists them.

A zone is compared here: kernels before 6.8 do not filter by it.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

from nvi_operator.dataclass import dataclass
from nvi_operator.kernel.errors import kernel_errors
from nvi_operator.kernel.netlink import ctnetlink as ct
from nvi_operator.kernel.netlink.socket import DUMP, NETFILTER, Netlink
from nvi_operator.language.model.services import PROTOCOL_NAMES
from nvi_operator.language.model.values import FAMILIES, Address, Family
from nvi_operator.nft.wire.attributes import attribute, attributes
from nvi_operator.state.translation import FlowTranslation


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
            with kernel_errors("conntrack: listing"):
                for reply in netlink.ask(ct.GET, DUMP, ct.body(family, wanted)):
                    parts = dict(attributes(reply.body[4:]))
                    found = _translation(parts)
                    if found is None or (question.zone is not None and found.zone != question.zone):
                        continue
                    if question.address is not None or (question.sources and question.destinations):
                        if parts[ct.ORIG] in seen:
                            continue
                        seen.add(parts[ct.ORIG])
                    yield found


def _dumps(question: FlowFilter) -> Iterator[tuple[Family, bytes]]:
    """One for each bit of the status, because the kernel compares all bits of a mask; and for each end."""
    mark = b""
    if question.mark is not None:
        value, mask = question.mark
        mark = attribute(ct.MARK, struct.pack("!I", value)) + attribute(ct.MARK_MASK, struct.pack("!I", mask))
    for bit in [ct.SRC_NAT] * question.sources + [ct.DST_NAT] * question.destinations:
        bits = struct.pack("!I", bit)
        status = attribute(ct.STATUS, bits) + attribute(ct.STATUS_MASK, bits)
        if question.address is None:
            yield from ((family, status + mark) for family in FAMILIES)
            continue
        for direction in (ct.ORIG, ct.REPLY):
            for end in (ct.BY_SOURCE, ct.BY_DESTINATION):
                yield question.address.version, status + mark + ct.only(question.address, direction, end)


def _translation(parts: dict[int, bytes]) -> FlowTranslation | None:
    """None for what is not translated, and for a protocol without the usual tuple."""
    if not ct.number(parts, ct.STATUS) & (ct.SRC_NAT | ct.DST_NAT) or not parts.keys() >= {ct.ORIG, ct.REPLY}:
        return None  # a kernel that does not filter by status (before 5.15) lists everything
    first, answer = ct.flow_ends(parts[ct.ORIG]), ct.flow_ends(parts[ct.REPLY])
    packets, octets = ct.counted(parts) or (None, None)
    return FlowTranslation(
        protocol=PROTOCOL_NAMES.get(first.protocol, str(first.protocol)),
        source=ct.as_address(first.source),
        source_port=first.source_port,
        destination=ct.as_address(first.destination),
        destination_port=first.destination_port,
        new_source=ct.as_address(answer.destination),
        new_source_port=answer.destination_port,
        new_destination=ct.as_address(answer.source),
        new_destination_port=answer.source_port,
        zone=ct.number(parts, ct.ZONE) if ct.ZONE in parts else first.zone,
        mark=ct.number(parts, ct.MARK),
        seconds_left=ct.number(parts, ct.TIMEOUT),
        packets=packets,
        bytes=octets,
    )
