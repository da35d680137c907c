"""What a capture at an interface shows: docs/how-to/coexist.md says how to count traffic once."""

from __future__ import annotations

import socket

import pytest

from tests.lab import GatewayHost, Site
from tests.netns.scenarios import A, spec

pytestmark = pytest.mark.netns

_IPV4, _TCP = 0x0800, 6


def _tap(ifname: str) -> socket.socket:
    """As tcpdump has it; IPv4 alone, without the frames' headers."""
    tap = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(_IPV4))
    tap.bind((ifname, _IPV4))
    tap.setblocking(False)
    return tap


def _received(tap: socket.socket) -> list[tuple[str, str]]:
    """Source and destination of every TCP packet that came in."""
    found = []
    while True:
        try:
            packet, about = tap.recvfrom(2048)
        except BlockingIOError:
            return found
        if packet[9] == _TCP and about[2] != socket.PACKET_OUTGOING:
            found.append((socket.inet_ntoa(packet[12:16]), socket.inet_ntoa(packet[16:20])))


def test_a_capture_shows_what_comes_in_twice_and_a_filter_by_inside_networks_once(
    site: Site, gateway: GatewayHost, dataplane: str
) -> None:
    gateway.apply(spec(dataplane))
    site.far.serve(443)
    taps = {ifname: site.gateway.call(_tap, ifname) for ifname in ("lan0", "wan0")}
    with site.client.connect(site.far.address, 443) as flow:
        for _ in range(5):
            flow.again()
    seen = {ifname: _received(tap) for ifname, tap in taps.items()}
    for tap in taps.values():
        tap.close()
    client, far = site.client.address, site.far.address
    assert seen["lan0"].count((client, far)) == seen["lan0"].count((A, far)) > 5
    assert seen["wan0"].count((far, A)) == seen["wan0"].count((far, client)) > 5
    assert {*seen["lan0"]} == {(client, far), (A, far)}
    assert {*seen["wan0"]} == {(far, A), (far, client)}
