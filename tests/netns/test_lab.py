"""The laboratory itself: hop by hop it is what the drawings say, and its ISPs count what they should not see."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from nvi_operator.simulate.fresh import FRESH
from tests.lab import GatewayHost, Lab, Site, add_lan, dual_wan, packets, partner_link, tenants
from tests.lab.leftovers import namespaces
from tests.lab.probe import Prober
from tests.lab.topologies import TOPOLOGIES

pytestmark = pytest.mark.netns


def route(site: Site) -> None:
    """The gateway as a router that does not translate."""
    site.gateway.write("net/ipv4/ip_forward", "1")
    site.gateway.write("net/ipv6/conf/all/forwarding", "1")


@pytest.mark.parametrize("build", TOPOLOGIES.values(), ids=TOPOLOGIES)
def test_a_topology_comes_up_hop_by_hop_and_goes_without_a_trace(build: Callable[[Lab], Site]) -> None:
    with Lab() as lab:
        site = build(lab)
        for address in ("203.0.113.1", "2001:db8:a::1", "198.51.100.1", "2001:db8:b::1", site.far.address):
            assert site.gateway.pings(address)
        assert site.gateway.pings(site.far.address6)
        for name, host in lab.hosts.items():
            if name.endswith("client"):
                assert host.pings("192.168.1.80")
                assert host.pings("fd00:1::80")
                # Of several interfaces with the same address the first one's segment gets the answers.
                assert host.pings("192.168.1.1") == (name in ("client", "red-client"))
        for isp in site.isps.values():
            assert isp.host.pings(site.far.address)
            assert isp.host.pings(site.far.address6)
        assert site.leaks() == 0
        assert len(namespaces(lab.prefix)) == len(lab.hosts)
    assert namespaces(lab.prefix) == []


def test_a_gateway_is_as_fresh_as_can_be(site: Site) -> None:
    assert {name: site.gateway.read(name) for name in FRESH} == FRESH
    assert not site.client.pings(site.far.address, wait=0.3), "it does not even forward"


def test_three_tenants_have_the_same_addresses(lab: Lab) -> None:
    site = tenants(lab, names=("red", "blue", "green"))
    for name in ("red", "blue", "green"):
        site[f"{name}-server"].serve(80)
        with site[f"{name}-client"].connect("192.168.1.80", 80) as flow:
            assert (flow.by, flow.seen) == (f"{name}-server", "192.168.1.10")


def test_a_partner_has_a_host_with_an_address_of_the_lan(lab: Lab) -> None:
    site = partner_link(lab, partner_mtu=1400)
    for address in ("10.255.0.1", "fd00:ff::1"):
        assert site.gateway.pings(address)
        assert "mtu" in site.gateway.ping(address, size=1400, df=True).stderr.lower()
    assert site["partner"].address in site["partner"].run("ip", "addr").stdout


def test_more_lans_and_routers_are_a_line_each(lab: Lab) -> None:
    site = dual_wan(lab, routed_lan=True)
    add_lan(lab, site.gateway, "lan1", {"printer": 30}, network="192.168.2", network6="fd00:2:", mtu=1280)
    route(site)
    site["printer"].serve(9100)
    for address, deep in ((site["printer"].address, "192.168.7.10"), (site["printer"].address6, "fd00:7::10")):
        with site["deep"].connect(address, 9100) as flow:
            assert (flow.by, flow.seen) == ("printer", deep)
            assert flow.upload(100_000).size == 100_001
    assert "192.168.7.1" in site["deep"].ping("192.168.2.30", ttl=1).stdout
    assert "192.168.1.1" in site["deep"].ping("192.168.2.30", ttl=2).stdout


def test_a_router_that_does_not_translate_is_caught_by_the_isps(site: Site) -> None:
    """The proof that a count of 0 elsewhere means something."""
    route(site)
    prober = Prober(site)
    prober.send()
    prober.close()
    leaks = site.leaks()
    assert leaks == 6, "2 UDP and 1 stray of each family"
    assert "isp-a: 192.168.1.80 > 192.0.2.80 udp, 1 packets" in leaks.details
    assert "isp-a: fd00:1::10 > 2001:db8:f::80 ipv6-icmp, 1 packets" in leaks.details
    assert repr(leaks).startswith("Leaks(6: isp-a: ")
    assert f"{leaks} {leaks - 1}" == "6 5"


def test_an_isp_counts_the_other_isps_addresses(site: Site) -> None:
    site.gateway.pings("198.51.100.1", source="203.0.113.2", wait=0.3)
    assert site.isps["isp-b"].foreign == 1
    assert site.leaks().details == ("isp-b: 203.0.113.2 > 198.51.100.1 icmp, 1 packets",)


@pytest.mark.parametrize("target", ["192.168.1.10", "10.2.0.20", "fd00:1::10", "fd00:a2::1"])
def test_an_isp_counts_private_destinations(site: Site, target: str) -> None:
    """From an address of the ISP's own: only the destination is wrong."""
    source = "2001:db8:a::2" if ":" in target else "203.0.113.2"
    gateway, isp = site.gateway, site.isps["isp-a"]
    gateway.inject("wan0", packets.udp(source, target, 9), to=isp.host.mac("gwa"))
    assert isp.foreign == 1


@pytest.mark.parametrize("target", ["10.66.0.1", "172.16.0.1", "100.64.0.1"])
def test_an_isp_drops_what_goes_to_addresses_without_a_host_and_counts_it_apart(site: Site, target: str) -> None:
    isp = site.isps["isp-a"]
    site.gateway.inject("wan0", packets.udp("203.0.113.2", target, 9), to=isp.host.mac("gwa"))
    assert (isp.bogons, isp.foreign, isp.used()[0]) == (1, 0, 0)


@pytest.mark.parametrize("source", ["203.0.113.2", "192.168.1.99", "2001:db8:a::2", "fd00:1::99"])
def test_a_packet_is_injected_as_it_is(site: Site, source: str) -> None:
    """A host with an address that is not its own: the answer to it says that it arrived."""
    route(site)
    target = site.far.address6 if ":" in source else site.far.address
    site.client.inject("eth0", packets.udp(source, target, 9), to=site.gateway.mac("lan0"))
    own = source in ("203.0.113.2", "2001:db8:a::2")
    isp = site.isps["isp-a"]
    if ":" in source and own:
        assert (isp.used()[0], isp.foreign) == (1, 0), "no Linux checks that of IPv6"
    elif own:
        assert (isp.used()[0], isp.foreign) == (0, 0), "Linux takes its own IPv4 addresses for martians"
    else:
        assert (isp.used()[0], isp.foreign) == (0, 1)


def test_the_uplinks_of_a_flow_are_known_by_direction(site: Site) -> None:
    a, b = site.isps["isp-a"].host, site.isps["isp-b"].host
    for far, source in ((site.far.address, "203.0.113.2"), (site.far.address6, "2001:db8:a::2")):
        assert site.used_uplinks(site.gateway.pings, far) == ({"isp-a"}, {"isp-a"}), source
    assert site.used_uplinks(site.gateway.pings, "192.168.1.10") == (set(), set())
    site.far.ip("route replace 203.0.113.0/24 via 172.31.2.1")
    b.ip("route add 203.0.113.0/29 via 198.51.100.2")
    site.gateway.write("net/ipv4/ip_forward", "1")
    assert site.used_uplinks(site.gateway.pings, site.far.address) == ({"isp-a"}, {"isp-b"})
    assert a.pings(site.far.address)


def test_the_server_sees_whom_it_should(site: Site) -> None:
    site.server.serve(80)
    site.server.serve(80, protocol="udp")
    for address, own in ((site.server.address, site.client.address), (site.server.address6, site.client.address6)):
        for protocol in ("tcp", "udp"):
            with site.client.connect(address, 80, protocol=protocol) as flow:
                assert (flow.seen, flow.by) == (own, "server")


def test_evidence_tells_owned_objects_from_foreign_ones(site: Site) -> None:
    gateway, host = GatewayHost(site.gateway), site.gateway
    before = gateway.foreign()
    assert gateway.owned() == []
    host.nft("table inet nvi { chain c { }; }; ")
    host.ip("rule add pref 9 from 10.9.0.0/16 lookup 99 protocol 78", "route add unreachable 10.9.0.0/16 proto 78")
    host.ip("link add name nvi0 type bridge", "link set dev nvi0 group 79")
    host.run("tc", "qdisc", "add", "dev", "nvi0", "clsact")
    assert [line.split()[0] for line in gateway.owned()] == ["table", "rule", "route", "link", "tc"]
    assert gateway.foreign() == before
    for command in ("ip link del nvi0", "ip rule del pref 9", "ip route del unreachable 10.9.0.0/16"):
        host.run(*command.split())
    host.run("nft", "delete", "table", "inet", "nvi")
    assert gateway.owned() == []
    for make, undo in (
        ("nft add table ip nvi", "nft delete table ip nvi"),
        ("nft add table inet nvidia", "nft delete table inet nvidia"),
        ("ip rule add pref 9 from 10.9.0.0/16 lookup 99", "ip rule del pref 9"),
        ("ip -6 route add unreachable fd00:9::/64", "ip -6 route del unreachable fd00:9::/64"),
        ("ip addr add 10.9.0.1/32 dev wan0", "ip addr del 10.9.0.1/32 dev wan0"),
        ("tc qdisc add dev wan0 clsact", "tc qdisc del dev wan0 clsact"),
    ):
        host.run(*make.split())
        assert gateway.foreign() != before, make
        assert gateway.owned() == [], make
        host.run(*undo.split())
        assert gateway.foreign() == before, undo
