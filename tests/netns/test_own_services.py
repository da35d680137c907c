"""Services of the gateway itself behind destination NAT answer by the uplink that was asked, under its name."""

from __future__ import annotations

import pytest

from tests.lab import GatewayHost, Site
from tests.netns.scenarios import A6, B6, A, B, spec

pytestmark = pytest.mark.netns

OWN, OWN6 = "192.168.1.1", "fd00:1::1"
ADMIN = f"""\
    admin:
      ports: [8443/tcp, 8443/udp]
      to: [{OWN}:9443, "[{OWN6}]:9443"]
"""
ASKED = ((A, "isp-a"), (A6, "isp-a"), (B, "isp-b"), (B6, "isp-b"))


@pytest.mark.parametrize("protocol", ["tcp", "udp"])
def test_a_forward_to_the_gateways_own_address_is_answered_by_the_uplink_that_was_asked(
    site: Site, gateway: GatewayHost, dataplane: str, protocol: str
) -> None:
    gateway.apply(spec(dataplane, ADMIN))
    for own in (OWN, OWN6):
        site.gateway.serve(9443, protocol=protocol, address=own)
    for public, isp in ASKED:
        before = site.used()
        with site.far.connect(public, 8443, protocol=protocol) as flow:
            assert flow.by == "gw"
            if protocol == "tcp":
                flow.download(200_000)
            assert site.through(before) == ({isp}, {isp})
    assert site.leaks() == 0


def test_inside_hosts_reach_such_a_service_by_either_address(
    site: Site, gateway: GatewayHost, dataplane: str
) -> None:
    gateway.apply(spec(dataplane, ADMIN))
    for own in (OWN, OWN6):
        site.gateway.serve(9443, address=own)
    before = site.used()
    for address, port in ((A, 8443), (B, 8443), (A6, 8443), (B6, 8443), (OWN, 9443), (OWN6, 9443)):
        assert site.client.connect(address, port).by == "gw"
    assert site.through(before) == (set(), set())


def test_one_to_one_nat_of_the_gateways_own_address_is_answered_by_its_uplink(
    site: Site, gateway: GatewayHost, dataplane: str
) -> None:
    """A service on a bridge of the gateway that the spec does not name, and one on an inside address."""
    site.gateway.ip("link add name br9 type bridge", "addr add 172.17.0.1/16 dev br9", "link set dev br9 up")
    static = f"""\
  static:
    bridge: {{ address: 172.17.0.1, as: 198.51.100.17 }}
    inside: {{ address: "{OWN6}", as: "2001:db8:b:1::17" }}
"""
    gateway.apply(spec(dataplane, static))
    site.gateway.serve(22, address="172.17.0.1")
    site.gateway.serve(22, address=OWN6)
    for public in ("198.51.100.17", "2001:db8:b:1::17"):
        before = site.used()
        with site.far.connect(public, 22) as flow:
            assert flow.by == "gw"
            assert site.through(before) == ({"isp-b"}, {"isp-b"})
        assert site.far.pings(public)
    assert site.leaks() == 0


def test_what_another_tool_redirects_to_a_service_of_the_gateway_goes_on_as_before(
    site: Site, gateway: GatewayHost, dataplane: str
) -> None:
    """A transparent proxy for inside hosts, and a redirection of what the gateway itself sends to its own name."""
    site.gateway.nft(
        "table inet proxy {\n"
        "chain pre { type nat hook prerouting priority -100; iifname lan0 tcp dport 80 redirect to :3128; }\n"
        "chain out { type nat hook output priority -100; tcp dport 81 redirect to :3128; }\n"
        "}\n"
    )
    gateway.apply(spec(dataplane))
    site.gateway.serve(3128, address="::")
    for far in (site.far.address, site.far.address6):
        assert site.client.connect(far, 80).by == "gw"
    for own in (A, B, A6, B6):
        assert site.gateway.connect(own, 81).by == "gw"
