"""Conntrack of the gateway, over netlink: read after each packet, and emptied after each talk."""

from __future__ import annotations

import socket
from contextlib import suppress
from dataclasses import dataclass
from ipaddress import ip_address
from typing import NamedTuple

from nvi_operator.kernel.netlink.socket import ACK, NETFILTER, Netlink
from nvi_operator.nft.wire.attributes import NESTED, attribute, attributes
from tests.differential.datagram import Address
from tests.lab.net import Host

_DELETE = 1 << 8 | 2  # NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_MSG_CT_DELETE
_SOL_NETLINK, _ADD_MEMBERSHIP, _NEW_ENTRIES = 270, 1, 1  # NFNLGRP_CONNTRACK_NEW
_ORIGINAL, _REPLY, _STATUS, _MARK, _ID, _ZONE = 1, 2, 3, 8, 12, 18  # CTA_*
_TRANSLATED = {"snat": 1 << 4, "dnat": 1 << 5}  # IPS_SRC_NAT, IPS_DST_NAT
_IDENTITY = (_ORIGINAL, _ID, _ZONE)
_IP, _PROTOCOL, _TUPLE_ZONE = 1, 2, 3  # CTA_TUPLE_*
_PORTS = (2, 3)  # CTA_PROTO_SRC_PORT, CTA_PROTO_DST_PORT
_IDENTIFIERS = {1: 4, 58: 7}  # CTA_PROTO_ICMP_ID, CTA_PROTO_ICMPV6_ID, by protocol


class Tuple(NamedTuple):
    """One direction of an entry. Ports are None for protocols without; of an echo both are the identifier."""

    protocol: int
    source: Address
    destination: Address
    source_port: int | None
    destination_port: int | None


@dataclass(frozen=True)
class Entry:
    original: Tuple
    reply: Tuple
    mark: int = 0
    zones: tuple[int, int] = (0, 0)  # of the original direction, of the reply
    translated: frozenset[str] = frozenset()  # snat, dnat

    def __str__(self) -> str:
        def way(t: Tuple) -> str:
            ports = "" if t.source_port is None else f" {t.source_port}>{t.destination_port}"
            return f"{t.source}>{t.destination}{ports}"

        zones = f" zones {self.zones}" if any(self.zones) else ""
        return f"{self.original.protocol} {way(self.original)} | {way(self.reply)} mark {self.mark:#x}{zones}"


class Tracked:
    """Of one host; close it. New entries come as events, since a dump walks the machine's whole table (14 ms)."""

    def __init__(self, host: Host) -> None:
        self._netlink = host.call(Netlink, NETFILTER)
        self._events = host.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETFILTER)
        self._events.bind((0, 0))
        self._events.setsockopt(_SOL_NETLINK, _ADD_MEMBERSHIP, _NEW_ENTRIES)
        self._events.setblocking(False)
        self._there: dict[Entry, bytes] = {}

    def close(self) -> None:
        self._netlink.close()
        self._events.close()

    def entries(self) -> frozenset[Entry]:
        """Those that were made since the last `flush`."""
        while True:
            try:
                event = self._events.recv(1 << 16)[16:]
            except BlockingIOError:
                return frozenset(self._there)
            entry = _entry(event)
            if entry is not None:
                self._there[entry] = event

    def flush(self) -> None:
        """Delete them all."""
        self.entries()
        for body in self._there.values():
            self._delete(body)
        self._there.clear()

    def _delete(self, event: bytes) -> None:
        parts = [
            attribute(NESTED * (kind == _ORIGINAL) | kind, value)
            for kind, value in attributes(event[4:])
            if kind in _IDENTITY
        ]
        body = event[:1] + b"\0\0\0" + b"".join(parts)
        with suppress(FileNotFoundError):  # it ended by itself
            for _ in self._netlink.ask(_DELETE, ACK, body):
                pass


def _entry(body: bytes) -> Entry | None:
    parts = dict(attributes(body[4:]))
    if not parts.keys() >= {_ORIGINAL, _REPLY}:
        return None
    (original, zone), (reply, reply_zone) = (_tuple(parts[kind]) for kind in (_ORIGINAL, _REPLY))
    both = int.from_bytes(parts.get(_ZONE, b""), "big")
    zones = (both, both) if _ZONE in parts else (zone, reply_zone)
    status = int.from_bytes(parts.get(_STATUS, b""), "big")
    translated = frozenset(name for name, bit in _TRANSLATED.items() if status & bit)
    return Entry(original, reply, int.from_bytes(parts.get(_MARK, b""), "big"), zones, translated)


def _tuple(data: bytes) -> tuple[Tuple, int]:
    parts = dict(attributes(data))
    addresses, protocol = dict(attributes(parts[_IP])), dict(attributes(parts[_PROTOCOL]))
    first, second = (1, 2) if 1 in addresses else (3, 4)  # CTA_IP_*
    number = protocol[1][0]
    ports = [int.from_bytes(protocol[kind], "big") if kind in protocol else None for kind in _PORTS]
    if number in _IDENTIFIERS:
        identifier = int.from_bytes(protocol[_IDENTIFIERS[number]], "big")
        ports = [identifier, identifier]
    zone = int.from_bytes(parts.get(_TUPLE_ZONE, b""), "big")
    return Tuple(number, ip_address(addresses[first]), ip_address(addresses[second]), *ports), zone
