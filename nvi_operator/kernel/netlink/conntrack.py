"""Conntrack over ctnetlink: the flows of one address, and an end to some of them.

The kernel flushes by mark, zone and family only, and so an entry is deleted by its own tuple, with its number
(CTA_ID): one that was made meanwhile is not hit.
"""

from __future__ import annotations

import errno
import struct
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice

from nvi_operator.kernel.errors import kernel_errors
from nvi_operator.kernel.netlink import ctnetlink as ct
from nvi_operator.kernel.netlink.socket import ACK, DUMP, ERROR, NETFILTER, Netlink, message
from nvi_operator.nft.wire.attributes import NESTED, attribute, attributes
from nvi_operator.topology.flows import FlowQuestion, TrackedFlow

_BATCH = 256  # deletions in one message to the kernel
# By the status: neither an answer, nor a translation in either direction.
_UNANSWERED = attribute(ct.STATUS, bytes(4)) + attribute(
    ct.STATUS_MASK, struct.pack("!I", ct.SEEN_REPLY | ct.SRC_NAT | ct.DST_NAT)
)


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
        if question.unanswered:
            wanted = _UNANSWERED
        elif question.server is not None:
            wanted = ct.only(question.server, ct.REPLY, ct.BY_SOURCE)
        elif address is not None:
            wanted = ct.only(address, ct.REPLY if network is not None else ct.ORIG, ct.BY_DESTINATION)
        with kernel_errors("conntrack: listing"):
            for reply in self.ask(ct.GET, DUMP, ct.body(question.family, wanted)):
                flow = _flow(reply.body)
                if flow is None or (question.unanswered and flow.answered):
                    continue
                if network is None or address is not None or flow.answers_to in network:
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
            messages.append(message(ct.DELETE, ACK, self.sequence, ct.body(flow.family, flow.identity)))
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


def _flow(body: bytes) -> TrackedFlow | None:
    """None for a protocol without the usual tuple."""
    parts = dict(attributes(body[4:]))
    if not parts.keys() >= {ct.ORIG, ct.REPLY, ct.STATUS}:
        return None
    first, answer = ct.flow_ends(parts[ct.ORIG]), ct.flow_ends(parts[ct.REPLY])
    status = ct.number(parts, ct.STATUS)
    return TrackedFlow(
        4 if len(first.source) == 4 else 6,
        first.protocol,
        ct.as_address(first.source),
        ct.as_address(first.destination),
        ct.as_address(answer.source),
        ct.as_address(answer.destination),
        first.source_port,
        first.destination_port,
        source_translated=bool(status & ct.SRC_NAT),
        destination_translated=bool(status & ct.DST_NAT),
        answers_port=answer.source_port,
        answered=bool(status & ct.SEEN_REPLY),
        identity=b"".join(_copied(parts)),
    )


def _copied(parts: dict[int, bytes]) -> Iterable[bytes]:
    yield attribute(NESTED | ct.ORIG, parts[ct.ORIG])
    for kind in (ct.ZONE, ct.ID):
        if kind in parts:
            yield attribute(kind, parts[kind])
