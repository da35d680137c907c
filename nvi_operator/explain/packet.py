"""One packet, as it is at some point of its way."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address

from nvi_operator.dataclass import dataclass
from nvi_operator.language.model.values import Address, Family

ICMP, TCP, UDP, DCCP, GRE, ICMPV6, SCTP, UDPLITE = 1, 6, 17, 33, 47, 58, 132, 136
WITH_PORTS = frozenset({TCP, UDP, DCCP, SCTP, UDPLITE})
ECHO_REQUEST = {4: 8, 6: 128}
ECHO_REPLY = {4: 0, 6: 129}
ICMP_OF = {4: ICMP, 6: ICMPV6}
WITH_IDENTIFIER = {4: frozenset({0, 8, 13, 14, 15, 16, 17, 18}), 6: frozenset({128, 129})}  # types of ICMP


@dataclass(frozen=True)
class Packet:
    """One packet.

    in_interface: the interface that it comes in by; None: the gateway itself sends it.
    protocol: the number of IANA.
    source_port, destination_port: of protocols with ports (TCP, UDP, SCTP, DCCP, UDP-Lite). An ICMP echo has its
        identifier in `source_port`, as conntrack has it: source NAT may change it. Both are None where there is none.
    icmp_type, icmp_code: of ICMP and ICMPv6 only. An error (destination unreachable and the like) is not made by
        hand: `errors.py` makes it of the packet that it is about.
    tcp_flags: of TCP only, by their names in nft: fin, syn, rst, psh, ack, urg.
    mark: the packet mark that another program gives it before the gateway's first chain (or the socket, SO_MARK).
    ttl: the TTL or hop limit with which it arrives.
    length: bytes of the IP packet; None: small, so that no MTU matters.
    bound_interface: of the gateway's own packets, the interface that the socket is bound to (SO_BINDTODEVICE).
    dont_fragment: the flag of IPv4; IPv6 never fragments on the way.
    """

    in_interface: str | None
    protocol: int
    source: Address
    destination: Address
    source_port: int | None = None
    destination_port: int | None = None
    icmp_type: int | None = None
    icmp_code: int = 0
    tcp_flags: frozenset[str] = frozenset({"syn"})
    dscp: int = 0
    mark: int = 0
    ttl: int = 64
    length: int | None = None
    bound_interface: str | None = None
    dont_fragment: bool = True

    @property
    def family(self) -> Family:
        return self.source.version


def address(family: Family, number: int) -> Address:
    return IPv4Address(number) if family == 4 else IPv6Address(number)
