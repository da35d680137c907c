"""What a gateway cannot choose: addresses that come by DHCP, interfaces that come and go."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.lab import GatewayHost, Site
from tests.lab.daemon import Daemon
from tests.lab.net import until
from tests.netns.scenarios import A6, A, spec

pytestmark = pytest.mark.netns


@pytest.fixture
def dynamic(dataplane: str) -> str:
    """isp-a hands out its address and router."""
    text = spec(dataplane).replace("addresses: [203.0.113.2, 2001:db8:a::2]", "addresses: auto")
    return text.replace("nextHop: [203.0.113.1, 2001:db8:a::1]", "nextHop: auto")


def test_a_new_lease_is_followed(site: Site, gateway: GatewayHost, dynamic: str) -> None:
    site.far.serve(443)
    site.server.serve(443)
    gateway.apply(dynamic)
    assert site.client.connect(site.far.address, 443).seen == A
    assert site.client.connect(site.far.address6, 443).seen == A6
    site.gateway.ip(
        "addr del 203.0.113.2/29 dev wan0", "addr add 203.0.113.3/29 dev wan0", "route add default via 203.0.113.1"
    )
    gateway.apply(dynamic)
    assert site.client.connect(site.far.address, 443).seen == "203.0.113.3"
    assert site.far.connect("203.0.113.3", 443).by == "server"
    assert site.leaks() == 0


def test_a_deprecated_address_keeps_its_flows_and_the_gateways_services(
    site: Site, gateway: GatewayHost, dynamic: str
) -> None:
    """A prefix that the ISP renumbers: what has the old one goes on until it is gone."""
    site.far.serve(443)
    gateway.apply(dynamic)
    with site.client.connect(site.far.address6, 443) as flow:
        assert flow.seen == A6
        site.gateway.ip(
            "addr change 2001:db8:a::2/64 dev wan0 preferred_lft 0 valid_lft 3600",
            "addr add 2001:db8:a::22/64 dev wan0 nodad",
        )
        gateway.apply(dynamic)
        assert flow.again().seen == A6
    assert site.client.connect(site.far.address6, 443).seen == "2001:db8:a::22"
    site.gateway.serve(8080, address=A6)
    site.gateway.ip("route del ::/0")  # so that the uplink's table alone leads there
    assert site.far.connect(A6, 8080).by == "gw"
    assert site.leaks() == 0


def test_the_kernel_learns_from_router_advertisements_unless_another_program_does(
    site: Site, gateway: GatewayHost, dynamic: str, tmp_path: Path
) -> None:
    """networkd and dhcpcd set `accept_ra` to 0, for they learn by themselves. No event reports the setting."""
    path = Path("/proc/sys/net/ipv6/conf/wan0/accept_ra")
    accepts = lambda: site.gateway.call(path.read_text).strip()  # noqa: E731
    before = accepts()
    gateway.apply(dynamic)
    assert (before, accepts()) == ("1", "2")
    daemon = Daemon(site.gateway, gateway.spec(dynamic), tmp_path / "log")
    try:
        daemon.until("in sync", seconds=60)
        site.gateway.write("net/ipv6/conf/wan0/accept_ra", "0")
        site.gateway.ip("addr add 2001:db8:a::22/64 dev wan0 nodad", "addr del 2001:db8:a::2/64 dev wan0")
        daemon.until("2001:db8:a::22", "in sync", seconds=30)
        assert accepts() == "0"
        assert gateway.nvictl("drift", gateway.spec(dynamic)).returncode == 0
        site.gateway.write("net/ipv6/conf/wan0/accept_ra", "1")
        until(lambda: accepts() == "2", "the kernel learns again", seconds=30)
    finally:
        daemon.stop()
    gateway.down()
    assert accepts() == before
    gateway.apply(dynamic)
    site.gateway.write("net/ipv6/conf/wan0/accept_ra", "0")
    gateway.down()
    assert accepts() == "0"


def test_a_default_route_without_a_router_leads_out(site: Site, gateway: GatewayHost, dynamic: str) -> None:
    """As PPP makes it, with nextHop: auto."""
    site.far.serve(443)
    site.gateway.ip("route replace default dev wan0")
    site.isps["isp-a"].host.write("net/ipv4/conf/gwa/proxy_arp", "1")
    done = gateway.apply(dynamic)
    assert "default route" not in done.stderr
    assert site.client.connect(site.far.address, 443).seen == A
    assert site.leaks() == 0


def test_a_written_address_that_another_router_has_taken_over_is_a_fault(
    site: Site, gateway: GatewayHost, dataplane: str
) -> None:
    """Unless the spec calls it virtual. On lo it would be answered for."""
    directory = gateway.spec(spec(dataplane))
    gateway.nvictl("apply", directory)
    assert gateway.nvictl("status", directory).returncode == 0
    site.gateway.ip("addr del 203.0.113.2/29 dev wan0")
    done = gateway.nvictl("status", directory, check=False)
    assert done.returncode == 1
    assert "uplink isp-a: 203.0.113.2 is on no interface" in done.stdout
    site.gateway.ip("addr add 203.0.113.2/32 dev lo")
    assert "is on no interface" not in gateway.nvictl("status", directory, check=False).stdout


def test_a_missing_lease_stops_only_what_needs_it(site: Site, gateway: GatewayHost, dynamic: str) -> None:
    site.far.serve(443)
    site.gateway.ip("addr del 203.0.113.2/29 dev wan0")
    done = gateway.apply(dynamic)
    assert "note: sourceNat everyone: no uplink of it has an IPv4 address now" in done.stderr
    assert not site.client.pings(site.far.address, wait=0.3), "and it does not slip to another uplink"
    assert site.client.connect(site.far.address6, 443).seen == A6
    assert site.server.connect(site.far.address, 443).seen == "198.51.100.2"
    assert site.leaks() == 0
    site.gateway.ip("addr add 203.0.113.2/29 dev wan0", "route add default via 203.0.113.1")
    gateway.apply(dynamic)
    assert site.client.connect(site.far.address, 443).seen == A


def test_an_absent_uplink_stops_only_what_needs_it(site: Site, gateway: GatewayHost, dataplane: str) -> None:
    site.far.serve(443)
    site.gateway.ip("link del wan1")
    done = gateway.apply(spec(dataplane))
    assert "note: wan1: interface not found" in done.stderr
    assert site.client.connect(site.far.address, 443).seen == A
    assert not site.server.pings(site.far.address, wait=0.3)
    assert site.leaks() == 0


def test_an_uplink_that_is_down_never_lends_its_flows_to_the_other(
    site: Site, gateway: GatewayHost, dataplane: str
) -> None:
    gateway.apply(spec(dataplane))
    site.gateway.ip("link set wan1 down")
    for source_is_b in (site.server,):
        assert not source_is_b.pings(site.far.address, wait=0.3)
    assert site.client.pings(site.far.address)
    assert site.leaks() == 0, "isp-a counts what bears an address of isp-b"


def test_new_flows_are_spread_over_the_uplinks_that_have_a_carrier(
    site: Site, gateway: GatewayHost, dataplane: str
) -> None:
    site.far.serve(443)
    both = spec(dataplane).replace("as: isp-a", "as: { uplinks: { isp-a: 1, isp-b: 1 }, pick: round-robin }")
    gateway.apply(both)
    for address in (site.far.address, site.far.address6):
        assert len({site.client.connect(address, 443).seen for _ in range(6)}) == 2
    site.isps["isp-b"].host.ip("link set gwa down")
    gateway.apply(both)
    for address, only in ((site.far.address, A), (site.far.address6, A6)):
        assert {site.client.connect(address, 443).seen for _ in range(6)} == {only}
    assert site.leaks() == 0


def test_a_gateway_with_many_public_addresses_finds_their_uplink_by_map(
    site: Site, gateway: GatewayHost, dataplane: str
) -> None:
    """More than a few dozen prefixes are an nft map and one FIB rule for each uplink."""
    odd = [f"203.0.113.{last}" for last in range(65, 254, 2)]
    more = [f"198.51.100.{last}" for last in range(65, 254, 2)]
    text = spec(dataplane)
    text = text.replace("routed: [203.0.113.16/28,", f"routed: [203.0.113.16/28, {', '.join(odd)},")
    text = text.replace("routed: [198.51.100.16/28,", f"routed: [198.51.100.16/28, {', '.join(more)},")
    text = text.replace("as: isp-a", f"as: [{odd[7]}, '2001:db8:a:1::7']").replace(
        "as: isp-b", f"as: [{more[9]}, '2001:db8:b:1::9']"
    )
    for isp, gate in (("isp-a", "203.0.113.2"), ("isp-b", "198.51.100.2")):
        site.isps[isp].host.ip(
            f"route add {gate.rpartition('.')[0]}.64/26 via {gate}",
            f"route add {gate.rpartition('.')[0]}.128/25 via {gate}",
        )
    gateway.apply(text)
    site.far.serve(443)
    rules = site.gateway.run("ip", "rule").stdout
    assert len(rules.splitlines()) < 40  # as many as with a few prefixes; one for each would be 200
    for host, seen, isp in ((site.client, odd[7], "isp-a"), (site.server, more[9], "isp-b")):
        before = site.used()
        with host.connect(site.far.address, 443) as flow:
            assert flow.seen == seen
            assert site.through(before) == ({isp}, {isp})
    assert site.client.connect(site.far.address6, 443).seen == "2001:db8:a:1::7"
    assert site.leaks() == 0
