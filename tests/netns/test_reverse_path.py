"""`all/rp_filter` is shared: interfaces outside the gateway stay as strict as they were."""

from __future__ import annotations

import pytest

from tests.lab import GatewayHost, Host, Site, packets
from tests.netns.operator import Operator
from tests.netns.scenarios import spec

pytestmark = pytest.mark.netns


def strictness(host: Host, ifname: str) -> int:
    """What counts: the larger of `all` and the interface's own."""
    return max(int(host.read(f"net/ipv4/conf/{name}/rp_filter")) for name in ("all", ifname))


def test_interfaces_outside_the_spec_keep_their_reverse_path_filter(site: Site, gateway: GatewayHost) -> None:
    lab, gw = site.lab, site.gateway
    dmz = lab.host("dmz")
    lab.link(gw, "dmz0", dmz, "eth0")
    gw.ip("addr add 10.44.0.1/24 dev dmz0")
    gw.write("net/ipv4/conf/all/rp_filter", "1")
    gw.write("net/ipv4/conf/dmz0/rp_filter", "0")
    before = gateway.foreign()
    operator = Operator(site)
    operator.apply(spec())
    assert strictness(gw, "dmz0") == 1
    assert strictness(gw, "lan0") == 0, "stage 2 comes in by it with translated sources"
    lab.link(gw, "dmz1", dmz, "eth1")
    assert strictness(gw, "dmz1") == 1, "one that comes later"
    assert operator.apply(spec()) == 0
    refused = reverse_path_drops(gw)
    dmz.inject("eth0", packets.stray(site.client.address, site.far.address), to=gw.mac("dmz0"))
    assert reverse_path_drops(gw) == refused + 1, "a source that is elsewhere"
    gw.ip("link del dmz1")
    operator.apply(None)
    assert gateway.foreign() == before


def reverse_path_drops(host: Host) -> int:
    return int(host.run("nstat", "-az", "TcpExtIPReversePathFilter").stdout.splitlines()[1].split()[1])


def test_a_loose_host_is_left_alone(site: Site) -> None:
    site.gateway.write("net/ipv4/conf/all/rp_filter", "0")
    Operator(site).apply(spec())
    assert site.gateway.read("net/ipv4/conf/default/rp_filter") == "0"
