"""A steady trickle of packets that must never leave untranslated."""

from __future__ import annotations

import socket

from tests.lab import packets
from tests.lab.topologies import Site

_MARK = b"probe\n"


class Prober:
    """Each call of `send` sends, from the client and the server, everything that NAT could miss."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._to = site.gateway.mac("lan0")
        self.sent = 0
        self._sockets = [
            (host.socket(family, socket.SOCK_DGRAM), address)
            for host in (site.client, site.server)
            for family, address in ((socket.AF_INET, site.far.address), (socket.AF_INET6, site.far.address6))
        ]
        for sock, _ in self._sockets:
            sock.setblocking(False)
        # Neighbours are known before the first probe.
        site.client.run("ping", "-c1", "-W1", "192.168.1.1", check=False)
        site.client.run("ping", "-c1", "-W1", "fd00:1::1", check=False)

    def send(self) -> None:
        """New flows by UDP, and strays that conntrack calls invalid, in both families."""
        site = self._site
        for number, (sock, address) in enumerate(self._sockets):
            sock.sendto(_MARK, (address, 20000 + (self.sent + number) % 20000))
        for source, destination in (
            (site.client.address, site.far.address),
            (site.client.address6, site.far.address6),
        ):
            site.client.inject("eth0", packets.stray(source, destination), to=self._to)
        self.sent += 1

    def close(self) -> None:
        for sock, _ in self._sockets:
            sock.close()
