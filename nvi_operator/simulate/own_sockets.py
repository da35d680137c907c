"""The gateway's own ends: sockets of its network namespace, which send probes and read their answers."""

from __future__ import annotations

import select
import socket
from collections.abc import Iterator

from nvi_operator.experiment import frames
from nvi_operator.explain.packet import Packet
from nvi_operator.simulate.wire import Arrival

_NOWHERE = ""  # an answer to the gateway itself arrives behind no interface


class OwnSockets:
    """UDP, each with a port of its own and bound to no address. Close it."""

    def __init__(self) -> None:
        self._sockets: dict[int, tuple[socket.socket, Packet]] = {}

    def send(self, packet: Packet, number: int) -> None:
        """What the kernel refuses at once is not sent, and so arrives nowhere."""
        family = socket.AF_INET6 if packet.family == 6 else socket.AF_INET
        own = socket.socket(family, socket.SOCK_DGRAM)
        own.setblocking(False)
        self._sockets[own.fileno()] = own, packet
        try:
            own.bind(("", packet.source_port or 0))
            own.connect((str(packet.destination), packet.destination_port or 0))
            own.send(frames.payload(number))
        except OSError:
            return

    def filenos(self) -> list[int]:
        return list(self._sockets)

    def arrivals(self) -> Iterator[Arrival]:
        """The answers that have come."""
        for fileno in select.select(self.filenos(), (), (), 0)[0]:
            own, packet = self._sockets[fileno]
            try:
                data = own.recv(65535)
            except OSError:  # of an ICMP error about it
                continue
            yield Arrival(_NOWHERE, None, frames.ParsedFrame(frames.answer(packet), frames.number_in(data)))

    def close(self) -> None:
        for own, _ in self._sockets.values():
            own.close()
        self._sockets.clear()
