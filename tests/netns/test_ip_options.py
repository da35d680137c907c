"""IPv4 options hold addresses that NAT does not translate: no ISP sees them."""

from __future__ import annotations

import pytest

from tests.lab import GatewayHost, Site
from tests.netns.scenarios import spec

pytestmark = pytest.mark.netns

RECORD_ROUTE = ("-R",)
TIMESTAMPS = ("-T", "tsonly")
ADDRESSES = ("-T", "tsandaddr")


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
