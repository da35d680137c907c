"""Tenants of equal networks meet at published addresses only: no other packet of one arrives at the other's host."""

from __future__ import annotations

import pytest

from tests.lab import GatewayHost, Site, packets
from tests.lab.command import ROOT
from tests.lab.net import until

pytestmark = pytest.mark.netns

EXAMPLE = (ROOT / "examples/tenants/gateway.yaml").read_text()
ENDS = (("192.168.1.10", "192.168.1.80"), ("fd00:1::10", "fd00:1::80"))
FOR_SOME = """\
  forwards:
    red-web: {tenant: red, at: 203.0.113.18, ports: 443/tcp, to: 192.168.1.80, from: 192.0.2.0/24}
    blue-web: {tenant: blue, at: 203.0.113.18, ports: 443/tcp, to: 192.168.1.80, from: 203.0.113.0/29}
    red-ports: {tenant: red, at: 203.0.113.18, ports: 8000-8100/tcp, to: 192.168.1.80, from: 192.0.2.0/24}
    blue-port: {tenant: blue, at: 203.0.113.18, ports: 8050/tcp, to: 192.168.1.80, from: 203.0.113.0/29}
  static:
    red-server: {tenant: red, address: 192.168.1.80, as: 203.0.113.20}
    red-hosts: {tenant: red, address: 192.168.1.10/31, as: 203.0.113.20/31, to: 203.0.113.0/29}
"""
COUNT = """\
table inet lab {
    counter arrived {}
    chain count {
        type filter hook prerouting priority -400;
        udp dport 1194 counter name arrived
        icmp type echo-reply counter name arrived
        icmpv6 type echo-reply counter name arrived
    }
}
"""


def test_packets_that_no_flow_gives_to_a_tenant_stay_with_the_one_they_come_from(
    tenant_site: Site, dataplane: str
) -> None:
    """To a neighbour by way of the gateway, translated or invalid to conntrack. From an ISP they go to no host."""
    site, gateway = tenant_site, GatewayHost(tenant_site.gateway)
    gateway.apply(EXAMPLE.replace("spec:\n", f"spec:\n  dataplane: {dataplane.replace('mark', 'auto')}\n"))
    servers = {name: site[f"{name}-server"] for name in ("red", "blue")}
    for server in servers.values():
        server.nft(COUNT)

    def arrived() -> dict[str, int]:
        return {name: server.counter("lab", "arrived") for name, server in servers.items()}

    for name, expected in (("red", {"red": 4, "blue": 0}), ("blue", {"red": 4, "blue": 4})):
        client, mac = site[f"{name}-client"], site.gateway.mac(f"{name}0")
        for source, destination in ENDS:
            client.inject("eth0", packets.udp(source, destination, 1194), to=mac)
            client.inject("eth0", packets.stray(source, destination), to=mac)
        until(lambda: sum(arrived().values()) == sum(expected.values()), f"packets of {name} arrive")  # noqa: B023
        assert arrived() == expected
    assert gateway.counters()["no_tenant"] == 0
    isp, mac = site.isps["isp-a"].host, site.gateway.mac("wan0")
    for source, (_, destination) in zip((site.far.address, site.far.address6), ENDS, strict=True):
        isp.inject("gwa", packets.udp(source, destination, 1194), to=mac)
        isp.inject("gwa", packets.stray(source, destination), to=mac)
    until(lambda: gateway.counters()["no_tenant"] == 4, "the gateway counts what it drops")
    assert arrived() == {"red": 4, "blue": 4}
    assert site.leaks() == 0


def test_the_gateway_itself_answers_the_tenant_that_asks(tenant_site: Site, dataplane: str) -> None:
    """Such as its name server: the route of `main` leads to the first of equal networks only."""
    site, gateway = tenant_site, GatewayHost(tenant_site.gateway)
    gateway.apply(EXAMPLE.replace("spec:\n", f"spec:\n  dataplane: {dataplane.replace('mark', 'auto')}\n"))
    for own in ("192.168.1.1", "fd00:1::1"):
        for protocol in ("tcp", "udp"):
            site.gateway.serve(53, protocol=protocol, address=own)
        for name in ("red", "blue"):
            client = site[f"{name}-client"]
            assert client.pings(own)
            assert "Time" in client.ping("192.0.2.80" if own == "192.168.1.1" else "2001:db8:f::80", ttl=1).stdout
            for protocol in ("tcp", "udp"):
                assert client.connect(own, 53, protocol=protocol).by == "gw"
                with pytest.raises(AssertionError, match="refused"):
                    client.connect(own, 54, protocol=protocol)
    assert site.leaks() == 0


def test_clients_of_one_address_reach_the_tenant_whose_entry_is_for_them(tenant_site: Site, dataplane: str) -> None:
    """By a forward, and by 1:1 NAT of a prefix that has a single address of another entry within it."""
    site, gateway = tenant_site, GatewayHost(tenant_site.gateway)
    spec = EXAMPLE.replace("spec:\n", f"spec:\n  dataplane: {dataplane.replace('mark', 'auto')}\n")
    gateway.apply(spec.partition("  forwards:\n")[0] + FOR_SOME)
    for name in ("red-server", "blue-server", "red-client"):
        for port in (443, 8050):
            site[name].serve(port)
    neighbour = site.isps["isp-a"].host
    for public, by in (("203.0.113.18", "blue-server"), ("203.0.113.20", "red-client")):
        for port in (443, 8050):
            assert site.far.connect(public, port, source=site.far.address).by == "red-server"
            assert neighbour.connect(public, port, source="203.0.113.1").by == by
    assert site.leaks() == 0
