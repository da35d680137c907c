"""A wide inside network of which the spec says that a part is beyond an uplink."""

from __future__ import annotations

import socket

import pytest

from tests.lab import GatewayHost, Site, packets
from tests.lab.net import until
from tests.lab.topologies import OTHER, OTHER6
from tests.netns.scenarios import B6, B, spec

pytestmark = pytest.mark.netns

PART = "[192.0.2.0/24, 2001:db8:f::/48]"  # where `far` is
RULE = f"    - {{ name: part, to: {PART}, as: isp-b }}\n"


@pytest.fixture
def wide(dataplane: str) -> str:
    """The spec with an inside network that `far` lies in, and a rule for that part."""
    lan = "networks: [192.168.1.0/24, fd00:1::/64]"
    text = spec(dataplane).replace(lan, "networks: [192.168.1.0/24, fd00:1::/64, 192.0.0.0/16, '2001:db8:e::/47']")
    return text.replace("  sourceNat:\n", f"  sourceNat:\n{RULE}")


@pytest.mark.parametrize("protocol", ["tcp", "udp"])
def test_inside_hosts_and_the_gateway_reach_it_as_its_rule_says(
    site: Site, gateway: GatewayHost, wide: str, protocol: str
) -> None:
    gateway.apply(wide)
    site.far.serve(443, protocol=protocol)
    before = site.used()
    for address, seen in ((site.far.address, B), (site.far.address6, B6)):
        for host in (site.client, site.gateway):
            with host.connect(address, 443, protocol=protocol) as flow:
                assert flow.seen == seen, host.name
    assert site.through(before) == ({"isp-b"}, {"isp-b"})
    assert site.leaks() == 0


def test_a_route_leads_the_gateway_there_as_well(site: Site, gateway: GatewayHost, wide: str) -> None:
    gateway.apply(wide.replace(RULE, "") + f"  routes: [{{ name: part, to: {PART}, via: isp-b }}]\n")
    site.far.serve(443)
    for address, seen in ((site.far.address, B), (site.far.address6, B6)):
        assert site.gateway.connect(address, 443).seen == seen


def test_a_part_of_a_part_answers_by_its_own_uplink(site: Site, gateway: GatewayHost, wide: str) -> None:
    narrow = "[192.0.2.0/25, 2001:db8:f::/56]"
    routes = f"[{{ name: narrow, to: {narrow}, via: isp-b }}, {{ name: part, to: {PART}, via: isp-a }}]"
    gateway.apply(wide.replace(RULE, "") + f"  routes: {routes}\n")
    site.far.serve(443)
    for address, seen in ((site.far.address, B), (site.far.address6, B6)):
        assert site.gateway.connect(address, 443).seen == seen


@pytest.mark.parametrize("source", [OTHER, OTHER6])
def test_its_hosts_open_no_flows_with_their_inside_addresses(
    site: Site, gateway: GatewayHost, wide: str, source: str
) -> None:
    """A published port may be for some inside hosts alone."""
    gateway.apply(wide)
    site.server.serve(443, protocol="udp")
    public = B6 if ":" in source else B
    site.isps["isp-b"].host.inject("gwa", packets.udp(source, public, 443), to=site.gateway.mac("wan1"))
    until(lambda: gateway.counters()["spoofed"] == 1, "the packet is counted as spoofed")


def test_a_dhcp_client_renews_at_a_server_that_has_a_number_of_the_inside(
    site: Site, gateway: GatewayHost, wide: str
) -> None:
    """It binds to the interface and its address there. No rule names the server, which is anywhere at the ISP."""
    gateway.apply(wide.replace(RULE, ""))
    site.far.serve(67, protocol="udp")
    before = site.used()
    with site.gateway.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, b"wan1")
        client.bind((B, 68))
        client.settimeout(5)
        client.sendto(b"renew", (site.far.address, 67))
        assert client.recv(1500)
    assert site.through(before) == ({"isp-b"}, {"isp-b"})
    answer = packets.udp(OTHER, "198.51.100.20", 68, source_port=67)  # published whole
    site.isps["isp-b"].host.inject("gwa", answer, to=site.gateway.mac("wan1"))
    until(lambda: gateway.counters()["spoofed"] == 1, "an answer that no client asked for is counted as spoofed")


def test_a_socket_of_an_uplinks_interface_sends_ipv6_to_a_number_of_the_inside(
    site: Site, gateway: GatewayHost, wide: str
) -> None:
    gateway.apply(wide.replace(RULE, ""))
    before = site.used()
    with site.gateway.socket(socket.AF_INET6, socket.SOCK_DGRAM) as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, b"wan1")
        client.bind((B6, 546))
        client.sendto(b"renew", (site.far.address6, 547))
    until(lambda: site.through(before)[0] == {"isp-b"}, "it leaves by that uplink")
