"""With `clampMss` both ends of a TCP connection use segments that fit through the uplink."""

from __future__ import annotations

import socket

import pytest

from tests.lab import GatewayHost, Host, Lab, Site, dual_wan
from tests.lab.traffic import family_of
from tests.netns.scenarios import A6, B6, A, B, spec

pytestmark = pytest.mark.netns

MTU = 1400
HEADERS = {4: 40, 6: 60}
TIMESTAMPS = 12  # bytes of each segment


@pytest.fixture
def site(lab: Lab) -> Site:
    return dual_wan(lab, uplink_mtu=MTU)


@pytest.fixture
def clamped(site: Site, gateway: GatewayHost, dataplane: str) -> str:
    return spec(dataplane).replace("      interface: wan0\n", "      interface: wan0\n      clampMss: true\n")


def segments(client: Host, server: Host, asked: str, listen: str, most: int = 0) -> tuple[int, int]:
    """How much the client and the server send in a segment, before either has learned a path MTU."""
    family = family_of(asked)
    with server.socket(family, socket.SOCK_STREAM) as listener, client.socket(family, socket.SOCK_STREAM) as near:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((listen, 443))
        listener.listen()
        listener.settimeout(3)
        near.settimeout(3)
        if most:
            near.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, most)
        near.connect((asked, 443))
        with listener.accept()[0] as far:
            return segment(near), segment(far)


def segment(sock: socket.socket) -> int:
    """tcpi_snd_mss, and the option that each segment bears."""
    return int.from_bytes(sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 20)[16:20], "little") + TIMESTAMPS


def test_both_ends_are_told_what_fits(site: Site, gateway: GatewayHost, clamped: str) -> None:
    gateway.apply(clamped)
    for host, isp_b in ((site.client, False), (site.server, True)):
        for far in (site.far.address, site.far.address6):
            headers = HEADERS[6 if ":" in far else 4]
            fits = (1500 if isp_b else MTU) - headers
            assert segments(host, site.far, far, far) == (fits, fits), "isp-b does not clamp"
    for public, fits in ((A, MTU - 40), (A6, MTU - 60), (B, 1460), (B6, 1440)):
        inside = site.server.address6 if ":" in public else site.server.address
        assert segments(site.far, site.server, public, inside) == (fits, fits), "and where the far host opens it"
    assert segments(site.client, site.far, site.far.address, site.far.address, most=500)[1] == 500, "less stays less"
    assert site.leaks() == 0


def test_another_mtu_is_followed(site: Site, gateway: GatewayHost, clamped: str) -> None:
    gateway.apply(clamped)
    site.gateway.ip("link set dev wan0 mtu 1380")
    planned = gateway.nvictl("plan", str(gateway.spec(clamped)), check=False).stdout
    assert "~ uplink isp-a: IPv4 MSS now 1340, no longer 1360" in planned, planned
    gateway.apply(clamped)
    far, far6 = site.far.address, site.far.address6
    assert segments(site.client, site.far, far, far) == (1340, 1340)
    # As dhcpcd writes what a DHCP server tells, and as a router advertises it.
    site.gateway.ip("route replace default via 203.0.113.1 mtu 1330")
    site.gateway.write("net/ipv6/conf/wan0/mtu", "1300")
    gateway.apply(clamped)
    assert segments(site.client, site.far, far, far) == (1290, 1290)
    assert segments(site.client, site.far, far6, far6) == (1240, 1240)
    told = site.client.ping(far, size=1320, df=True).stdout
    assert "mtu = 1330" in told, told
    assert gateway.differences(gateway.spec(clamped)) == []
