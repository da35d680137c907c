"""The far end of an interface: every host that may be there, as one socket.

The interface's peer is in a network namespace without addresses, whose kernel says nothing. What arrives is read as
frames: questions for a neighbour are answered, whatever its address, and packets are handed to the reader. So a host
costs nothing, and may have any address.
"""

from __future__ import annotations

import fcntl
import os
import socket
import struct
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from nvi_operator.dataclass import dataclass
from nvi_operator.experiment import frames
from nvi_operator.experiment.surroundings import MainRoute, Wire
from nvi_operator.kernel.errors import kernel_errors
from nvi_operator.kernel.netns import create, within
from nvi_operator.language.model.values import Address
from nvi_operator.simulate.capture import Capture
from nvi_operator.simulate.fresh import write_fresh

PEER = "eth0"  # the name of every far end, in its namespace
_ETH_P_ALL = 0x0003
_PACKET_OUTGOING = 4  # include/uapi/linux/if_packet.h
_ROUTER_MAC = bytes.fromhex("020000000000")
_SO_RCVBUFFORCE = 33  # include/uapi/asm-generic/socket.h
_MTU = 1500
_SIOCSIFFLAGS, _IFF_UP = 0x8914, 1  # include/uapi/linux/sockios.h, if.h


@dataclass(frozen=True)
class Arrival:
    """A packet that came out of the gateway. `router`: the uplink for whose next hop the frame was; of several with
    one next hop that which has the source; None: a host.

    `data`: its bytes, from a wire.
    """

    ifname: str
    router: str | None
    seen: frames.ParsedFrame
    data: bytes = b""


class WireEnd:
    """Close it; the interface ends with it. `owner`: the uplink that has an address, once that is known."""

    def __init__(self, wire: Wire, netns: int, gateway_mac: str, capture: Capture | None) -> None:
        self.wire = wire
        self.netns = netns
        self._gateway = frames.mac_bytes(gateway_mac)
        self._capture = capture
        self._routers = {
            address: _ROUTER_MAC[:4] + slot.to_bytes(2, "big")
            for slot, address in enumerate(dict.fromkeys(address for address, _ in wire.routers), start=1)
        }
        self._uplinks: Mapping[bytes, Sequence[str | None]] = {
            mac: [uplink for address, uplink in wire.routers if self._routers[address] == mac]
            for mac in self._routers.values()
        }
        self.owner: Callable[[Address], str | None] = lambda address: None
        with within(netns), kernel_errors(f"{wire.ifname}: opening the far end"):
            self._socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
            self._socket.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, 1 << 23)
            self._socket.bind((PEER, _ETH_P_ALL))
            self._socket.setblocking(False)
            self.mac: bytes = self._socket.getsockname()[4]

    def fileno(self) -> int:
        return self._socket.fileno()

    def stop(self) -> None:
        """Answer no more; what is sent from its namespace works as before."""
        self._socket.close()

    def close(self) -> None:
        self.stop()
        os.close(self.netns)

    def send(self, packet: bytes, *, router: str | None = None) -> None:
        """Send a frame to the gateway, from the router of that uplink or from a host."""
        source = next((mac for mac, uplinks in self._uplinks.items() if router in uplinks), self.mac)
        self._put(frames.frame_of(packet, self._gateway, source))

    def arrivals(self) -> Iterator[Arrival]:
        """What has come since it was last asked; neighbours' questions are answered."""
        while True:
            try:
                frame, (_, _, kind, _, _) = self._socket.recvfrom(65535)
            except BlockingIOError:
                return
            if kind == _PACKET_OUTGOING:
                continue
            if self._capture is not None:
                self._capture.add(self.wire.ifname, frame)
            asked = frames.question(frame)
            if asked is not None:
                self._put(frames.neighbour(asked, self._mac_of(asked.target)))
            elif (packet := frames.ip_of(frame)) is not None and (seen := frames.parse(packet)) is not None:
                yield Arrival(self.wire.ifname, self._uplink(frame[:6], seen.packet.source), seen, packet)

    def _uplink(self, mac: bytes, source: Address) -> str | None:
        uplinks = self._uplinks.get(mac, [None])
        owner = self.owner(source) if len(uplinks) > 1 else None
        return owner if owner in uplinks else uplinks[0]

    def _mac_of(self, address: Address) -> bytes:
        return self._routers.get(address, self.mac)

    def _put(self, frame: bytes) -> None:
        if self._capture is not None:
            self._capture.add(self.wire.ifname, frame)
        with kernel_errors(f"{self.wire.ifname}: sending"):
            self._socket.send(frame)


def connect(ipr: Any, wire: Wire, capture: Capture | None) -> WireEnd:
    """Make the gateway's interface in the calling thread's namespace, and its far end. Raises KernelError."""
    netns = create()
    with within(netns):
        write_fresh(silent=True)
    with kernel_errors(f"{wire.ifname}: making"):
        ipr.link("add", ifname=wire.ifname, kind="veth", mtu=_MTU, peer={"ifname": PEER, "net_ns_fd": netns})
        (index,) = ipr.link_lookup(ifname=wire.ifname)
        ipr.link("set", index=index, state="up")
        (link,) = ipr.get_links(index)
    with within(netns), kernel_errors(f"{wire.ifname}: its far end"):
        _up(PEER)
    end = WireEnd(wire, netns, link.get_attr("IFLA_ADDRESS"), capture)
    with kernel_errors(f"{wire.ifname}: adding addresses"):
        for address in wire.addresses:
            ipr.addr("add", index=index, address=str(address.ip), prefixlen=address.network.prefixlen)
    return end


def add_routes(ipr: Any, wire: Wire) -> None:
    """Routes of `main` by a wire. Behind all addresses: a router is on the link by one of them."""
    (index,) = ipr.link_lookup(ifname=wire.ifname)
    for route in sorted(wire.routes, key=lambda route: (route.network is None, str(route.network))):
        with kernel_errors(f"{wire.ifname}: adding the route to {route.network or 'default'}"):
            ipr.route("add", **_words(route, index))


def _words(route: MainRoute, index: int) -> dict[str, Any]:
    family = socket.AF_INET if route.family == 4 else socket.AF_INET6
    words: dict[str, Any] = {"family": family, "dst": str(route.network) if route.network else "default"}
    if route.unreachable:
        return {**words, "type": "unreachable"}
    words["oif"] = index
    if route.via is not None:
        words["gateway"] = str(route.via)
    elif route.family == 4:
        words["scope"] = "link"
    if route.metric:
        words["priority"] = route.metric
    return words


def _up(ifname: str) -> None:
    """In the calling thread's namespace, by ioctl: pyroute2 would need a socket there (netdevice(7))."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        fcntl.ioctl(control, _SIOCSIFFLAGS, struct.pack("16sH22x", ifname.encode(), _IFF_UP))
