"""IPv4 options hold addresses that NAT does not translate: no ISP sees them."""

from __future__ import annotations

import socket
import struct

import pytest

from tests.lab import GatewayHost, Site
from tests.lab.net import until
from tests.netns.scenarios import spec

pytestmark = pytest.mark.netns

RECORD_ROUTE = ("-R",)
TIMESTAMPS = ("-T", "tsonly")
ADDRESSES = ("-T", "tsandaddr")
REPORTS = """\
table inet lab {
    counter reports {}
    chain count {
        type filter hook prerouting priority -400;
        ip protocol igmp ip daddr 224.0.0.22 counter name reports
    }
}
"""


@pytest.mark.parametrize("option", [RECORD_ROUTE, TIMESTAMPS, ADDRESSES], ids=" ".join)
def test_no_options_leave_by_an_uplink(
    site: Site, gateway: GatewayHost, dataplane: str, option: tuple[str, ...]
) -> None:
    gateway.apply(spec(dataplane))
    assert site.client.pings(site.far.address)
    before = site.used()
    site.client.run("ping", "-n", "-c1", "-W0.3", *option, site.far.address, check=False)
    assert site.used() == before
    assert gateway.counters()["ip_options"] == 1
    assert site.leaks() == 0


def test_an_answer_from_inside_to_one_with_options_stays_as_well(site: Site, gateway: GatewayHost) -> None:
    """A published host copies the route so far into its answer, with its own address."""
    gateway.apply(spec())
    address = "198.51.100.20"  # everything for it goes to the server
    assert site.far.pings(address)
    before = site.used()["isp-b"][0]
    site.far.run("ping", "-n", "-c1", "-W0.3", "-R", address, check=False)
    assert site.used()["isp-b"][0] == before
    assert gateway.counters()["ip_options"] == 1


def test_the_gateway_itself_and_inside_networks_are_not_asked(site: Site, gateway: GatewayHost) -> None:
    gateway.apply(spec())
    for host, address in ((site.gateway, site.far.address), (site.client, "192.168.1.1")):
        host.run("ping", "-n", "-c1", "-W1", "-R", address)
    assert gateway.counters()["ip_options"] == 0


def test_the_gateway_tells_each_wire_which_groups_it_is_in(site: Site, gateway: GatewayHost, dataplane: str) -> None:
    """IGMP has an option, router alert. A switch that listens to it would keep the group's packets away."""
    gateway.apply(spec(dataplane))
    neighbours = {"lan0": site.client, "wan0": site.isps["isp-a"].host}
    for host in neighbours.values():
        host.nft(REPORTS)
    joined = socket.inet_aton("239.255.255.250")
    with site.gateway.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        for ifname in neighbours:
            index = site.gateway.call(socket.if_nametoindex, ifname)
            sock.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, struct.pack("=4s4xi", joined, index))
        for ifname, host in neighbours.items():
            until(lambda: host.counter("lab", "reports") > 0, f"a report at {ifname}")  # noqa: B023
    counters = gateway.counters()
    assert [counters[name] for name in ("leak_untranslated", "leak_uplink", "ip_options")] == [0, 0, 0]
