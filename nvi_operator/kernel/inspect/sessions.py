"""TCP sessions of this network namespace with the gateway's ssh server, as sock_diag(7) tells them.

A session counts as one of ssh by its local port: 22, and that of the session that runs this command.
"""

from __future__ import annotations

import os
import socket
import struct
from collections.abc import Iterator
from ipaddress import IPv6Address, ip_address

from nvi_operator.kernel.errors import kernel_errors
from nvi_operator.kernel.netlink.socket import DUMP, Netlink
from nvi_operator.topology.lockout import Session

_SOCK_DIAG = 4  # NETLINK_SOCK_DIAG
_BY_FAMILY = 20  # SOCK_DIAG_BY_FAMILY, include/uapi/linux/sock_diag.h
_ESTABLISHED = 1 << 1  # TCP_ESTABLISHED, as a bit of idiag_states
_ID = struct.Struct("!HH16s16s")  # sport, dport, src, dst of struct inet_diag_sockid, include/uapi/linux/inet_diag.h


def ssh_sessions() -> list[Session]:
    """Raises KernelError."""
    ports = {22, *_own_port()}
    with kernel_errors("sock_diag: listing sessions"):
        found = [each for family in (socket.AF_INET, socket.AF_INET6) for each in _established(family)]
    return [each for each in found if each.port in ports]


def _own_port() -> Iterator[int]:
    words = os.environ.get("SSH_CONNECTION", "").split()  # client, its port, server, its port: ssh(1)
    if len(words) == 4 and words[3].isdecimal():
        yield int(words[3])


def _established(family: int) -> Iterator[Session]:
    body = struct.pack("=BBBxI48x", family, socket.IPPROTO_TCP, 0, _ESTABLISHED)
    with Netlink(_SOCK_DIAG) as netlink:
        for reply in netlink.ask(_BY_FAMILY, DUMP, body):
            port, peer_port, local, peer = _ID.unpack_from(reply.body, 4)
            size = 4 if family == socket.AF_INET else 16
            one, two = (_plain(data[:size]) for data in (local, peer))
            yield Session(one, port, two, peer_port)


def _plain(data: bytes) -> str:
    """An IPv4 address of an IPv6 socket is that address."""
    address = ip_address(data)
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return str(mapped or address)
