"""One gateway and everything around it, as two network namespaces whose links carry raw frames.

The namespace outside has no addresses: whatever the gateway sends is read from its end of the links, and whatever
the gateway should get is written there. Links have no ARP, so any next hop is there. What the gateway delivers to
itself is read from raw sockets, which get a copy of it.

No packet has to be waited for: the process stays on one CPU, where a packet crosses a link by way of a queue (the
backlog, net/core/dev.c), and so a frame that has crossed another link some times comes behind all that a packet has
caused.
"""

from __future__ import annotations

import os
import select
import socket
import struct
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from ipaddress import ip_address

from tests.differential.case import INTERFACES, SELF, Sent, Surroundings
from tests.differential.datagram import GRE, ICMP, ICMP6, PAYLOAD, TCP, UDP, Datagram, build, family_of, parse
from tests.lab.net import Lab

_TICK = 0x88B5  # an ethertype for local experiments (IEEE 802)
_TICKS = 12  # crossings of a link that no packet needs more of
_PROTOCOLS = {socket.AF_INET: (ICMP, TCP, UDP, GRE, 50), socket.AF_INET6: (ICMP6, TCP, UDP, GRE, 50)}

# Linux: include/uapi/linux/if_packet.h, in.h, in6.h; Python's socket module lacks them.
_TO_OTHERS_TOO, _OUTGOING = 3, 4
_IP_MTU_DISCOVER, _DO, _DONT = 10, 2, 0

_OTHERS = "99"  # the protocol of FIB rules of other programs
_MADE_BY = {"route": "static", "rule": _OTHERS}

SETTINGS = {
    # Errors are compared, and so none may be held back.
    "net/ipv4/icmp_ratelimit": "0",
    "net/ipv4/icmp_ratemask": "0",
    "net/ipv6/icmp/ratelimit": "0",
    "net/ipv6/icmp/ratemask": "",
}


@dataclass(frozen=True)
class Seen:
    """A packet, and where it was seen: by an interface on its way out, or `SELF`, delivered to the gateway."""

    place: str
    packet: Datagram

    def __str__(self) -> str:
        return f"{self.place}: {self.packet}"


class World:
    """Made once, it serves any number of cases: `settle` makes the host that a case asks for. Close it."""

    def __init__(self) -> None:
        self._before = os.sched_getaffinity(0)
        os.sched_setaffinity(0, {max(self._before)})
        self.lab = Lab()
        self.gateway, self._outside = self.lab.host("gw"), self.lab.host("outside")
        for name in ("all", "default"):
            self._outside.write(f"net/ipv6/conf/{name}/disable_ipv6", "1")
        for ifname in INTERFACES:
            self.lab.link(self.gateway, ifname, self._outside, ifname)
            self.gateway.ip(f"link set dev {ifname} arp off")
        self.lab.link(self._outside, "tick0", self._outside, "tick1")
        for name, value in SETTINGS.items():
            with suppress(OSError):
                self.gateway.write(name, value)
        self._names: dict[int, str] = dict(self._outside.call(socket.if_nameindex))
        self._macs = {ifname: bytes.fromhex(self.gateway.mac(ifname).replace(":", "")) for ifname in INTERFACES}
        self._tick, self._tock = (self._frames(_TICK, ifname) for ifname in ("tick0", "tick1"))
        self._tock.settimeout(1.0)
        self._write = self._frames(0)
        self._read = [self._frames(ethertype) for ethertype in (0x0800, 0x86DD)]
        self._raw = [self._deliveries(family, each) for family in _PROTOCOLS for each in _PROTOCOLS[family]]
        self._poll = select.epoll()
        self._by_number = {sock.fileno(): sock for sock in (*self._read, *self._raw)}
        for number in self._by_number:
            self._poll.register(number, select.EPOLLIN)
        self._sources: list[socket.socket] = []

    def __enter__(self) -> World:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._poll.close()
        for sock in (*self._read, *self._raw, self._write, self._tick, self._tock, *self._sources):
            sock.close()
        self.lab.close()
        os.sched_setaffinity(0, self._before)

    def _frames(self, ethertype: int, ifname: str | None = None) -> socket.socket:
        sock = self._outside.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ethertype))
        if ifname is not None:
            sock.bind((ifname, ethertype))
        sock.setblocking(ethertype == 0)
        return sock

    def _deliveries(self, family: socket.AddressFamily, protocol: int) -> socket.socket:
        sock = self.gateway.socket(family, socket.SOCK_RAW, protocol)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVPKTINFO, 1)
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVHOPLIMIT, 1)
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVTCLASS, 1)
        sock.setblocking(False)
        return sock

    # ---------------------------------------------------------------- the host

    def settle(self, host: Surroundings) -> None:
        """Make the host what the case says. An applied gateway stays; the next reconcile adapts it."""
        lines = [f"addr flush dev {ifname} scope global" for ifname in INTERFACES]
        for family in ("-4", "-6"):
            self.gateway.run("ip", family, "route", "flush", "table", "all", "proto", "static")
            self.gateway.run("ip", family, "rule", "flush", "protocol", _OTHERS)
        lines += [f"link set dev {ifname} mtu {host.mtu.get(ifname, 1500)}" for ifname in INTERFACES]
        for ifname, addresses in host.links.items():
            lines += [f"addr add {each} dev {ifname}" + (" nodad" if ":" in each else "") for each in addresses]
        self.gateway.nft(f"table inet other\ndelete table inet other\n{host.nft}")
        self._outside.ip(
            *(f"link set dev {ifname} {'down' if ifname in host.down else 'up'}" for ifname in INTERFACES)
        )
        self.gateway.ip(*lines, *(_marked(line) for line in host.ip if not line.startswith("-")))
        for line in host.ip:
            if line.startswith("-"):  # a batch has one family, unless an address says another
                self.gateway.run("ip", *_marked(line).split())

    # ---------------------------------------------------------------- packets

    def send(self, sent: Sent) -> list[Seen]:
        """Send it, and return all that the gateway makes of it, in the order in which it came out."""
        self._drain()
        if sent.interface == SELF:
            self._from_gateway(sent)
        else:
            self._frame(sent)
        return self._drain()

    def _frame(self, sent: Sent) -> None:
        ethertype = 0x86DD if sent.packet.version == 6 else 0x0800
        frame = self._macs[sent.interface] + b"\x02\0\0\0\0\x01" + ethertype.to_bytes(2, "big") + build(sent.packet)
        self._write.sendto(frame, (sent.interface, ethertype))

    def _drain(self) -> list[Seen]:
        for _ in range(_TICKS):
            self._tick.send(b"\xff" * 6 + b"\x02\0\0\0\0\x02" + _TICK.to_bytes(2, "big") + b"tick")
            self._tock.recv(64)
        found: list[Seen] = []
        while ready := self._poll.poll(0):
            for number, _ in ready:
                found += self._receive(self._by_number[number])
        return found

    def _receive(self, sock: socket.socket) -> Iterator[Seen]:
        while True:
            try:
                data, ancillary, _, address = sock.recvmsg(4096, 256)
            except BlockingIOError:
                return
            if sock.family == socket.AF_PACKET:
                name, _, kind = address[:3]
                packet = parse(data[14:]) if kind != _OUTGOING else None
                place = name
            elif sock.family == socket.AF_INET:
                packet, place = parse(data), SELF
            else:
                packet, place = _with_header(sock, data, ancillary, address[0]), SELF
            if packet is not None and not _is_noise(packet):
                yield Seen(place, packet)

    def _from_gateway(self, sent: Sent) -> None:
        """By a socket of the gateway. OSError where the kernel refuses to send."""
        packet = sent.packet
        family, source = family_of(packet), str(packet.source)
        kind = {UDP: socket.SOCK_DGRAM, TCP: socket.SOCK_STREAM}.get(packet.protocol, socket.SOCK_RAW)
        sock = self.gateway.socket(family, kind, packet.protocol)
        self._sources.append(sock)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_MARK, sent.mark)
        # Closed, it is reset at once: a FIN would be sent again and again.
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        if sent.bound:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, sent.bound.encode())
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_UNICAST_HOPS, packet.ttl)
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_TCLASS, packet.dscp << 2)
        else:
            sock.setsockopt(socket.IPPROTO_IP, socket.IP_TTL, packet.ttl)
            sock.setsockopt(socket.IPPROTO_IP, socket.IP_TOS, packet.dscp << 2)
        sock.bind((source, packet.source_port or 0) if kind != socket.SOCK_RAW else (source, 0))
        sock.setblocking(False)
        if kind == socket.SOCK_STREAM:
            with suppress(BlockingIOError):
                sock.connect((str(packet.destination), packet.destination_port or 0))
        elif kind == socket.SOCK_DGRAM:
            sock.sendto(PAYLOAD, (str(packet.destination), packet.destination_port or 0))
        else:
            sock.sendto(build(packet)[20 if packet.version == 4 else 40 :], (str(packet.destination), 0))

    def forget(self) -> None:
        """Close the gateway's sockets of a talk."""
        for sock in self._sources:
            sock.close()
        self._sources.clear()


def _marked(line: str) -> str:
    """A line for `ip`, so that what it makes is found again."""
    words = line.split()
    what, hops, several = line.partition(" nexthop ")
    return f"{what} protocol {_MADE_BY[words[1] if words[0].startswith('-') else words[0]]}{hops}{several}"


def _with_header(
    sock: socket.socket, data: bytes, ancillary: list[tuple[int, int, bytes]], source: str
) -> Datagram | None:
    """IPv6 raw sockets give no header; it is made of what comes beside the data."""
    told = {kind: value for level, kind, value in ancillary if level == socket.IPPROTO_IPV6}
    destination = told[socket.IPV6_PKTINFO][:16]
    limit, traffic = (struct.unpack("=i", told[kind])[0] for kind in (socket.IPV6_HOPLIMIT, socket.IPV6_TCLASS))
    plain = source.partition("%")[0]
    header = (
        struct.pack("!IHBB", 6 << 28 | traffic << 20, len(data), sock.proto, limit)
        + ip_address(plain).packed
        + destination
    )
    return parse(header + data)


def _is_noise(packet: Datagram) -> bool:
    """Multicast listener reports, neighbour discovery, router solicitations."""
    return (
        packet.icmp is not None and packet.version == 6 and packet.icmp[0] in (130, 131, 132, 133, 134, 135, 136, 143)
    )
