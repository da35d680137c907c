"""Multicast that a proxy on the gateway forwards, as igmpproxy does for television of an ISP."""

from __future__ import annotations

import socket
import struct

import pytest

from tests.lab import GatewayHost, Site
from tests.netns.scenarios import spec

pytestmark = pytest.mark.netns

GROUP, PORT = "239.1.1.1", 5000
INIT, ADD_VIF, ADD_MFC = 200, 202, 204  # MRT_*, linux/mroute.h
USE_IFINDEX = 8  # VIFF_USE_IFINDEX


def proxy(site: Site, source: str) -> socket.socket:
    """Forwards the group from wan0 to lan0 while the socket is open."""
    control = site.gateway.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_IGMP)
    control.setsockopt(socket.IPPROTO_IP, INIT, 1)
    for number, ifname in enumerate(("wan0", "lan0")):
        index = site.gateway.call(socket.if_nametoindex, ifname)
        control.setsockopt(socket.IPPROTO_IP, ADD_VIF, struct.pack("=HBBIiI", number, USE_IFINDEX, 1, 0, index, 0))
    ends = socket.inet_aton(source) + socket.inet_aton(GROUP)
    ttls = bytes([0, 1, *bytes(30)])
    control.setsockopt(socket.IPPROTO_IP, ADD_MFC, ends + struct.pack("=H32s2xIIIi", 0, ttls, 0, 0, 0, 0))
    return control


@pytest.mark.parametrize("source", ["10.1.1.1", "203.0.113.1"])
def test_what_a_proxy_forwards_from_an_uplink_reaches_the_lan(
    site: Site, gateway: GatewayHost, dataplane: str, source: str
) -> None:
    gateway.apply(spec(dataplane))
    sender, receiver = site.isps["isp-a"].host, site.client
    sender.ip("addr add 10.1.1.1/32 dev lo")
    wire = sender.call(socket.if_nametoindex, "gwa")
    lan = receiver.call(socket.if_nametoindex, "eth0")
    with (
        proxy(site, source),
        receiver.socket(socket.AF_INET, socket.SOCK_DGRAM) as screen,
        sender.socket(socket.AF_INET, socket.SOCK_DGRAM) as station,
    ):
        screen.settimeout(5)
        screen.bind(("", PORT))
        screen.setsockopt(
            socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, struct.pack("=4s4si", socket.inet_aton(GROUP), bytes(4), lan)
        )
        station.bind((source, 0))
        station.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, 8)
        station.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, struct.pack("=4s4si", bytes(4), bytes(4), wire))
        station.sendto(b"picture", (GROUP, PORT))
        seen, (origin, _) = screen.recvfrom(100)
    assert (seen, origin) == (b"picture", source)
    assert site.leaks() == 0
