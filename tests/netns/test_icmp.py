"""Path MTU, fragments, time exceeded: the errors that make or break a gateway, wherever they come from."""

from __future__ import annotations

import re

import pytest

from tests.lab import GatewayHost, Lab, Site, dual_wan, packets
from tests.lab.net import until
from tests.netns.scenarios import A6, B6, A, B, spec

pytestmark = pytest.mark.netns

FAMILIES = pytest.mark.parametrize("family", [4, 6])


def far(site: Site, family: int) -> str:
    return site.far.address if family == 4 else site.far.address6


def edge(lab: Lab, dataplane: str, **mtus: int) -> Site:
    site = dual_wan(lab, **mtus)
    GatewayHost(site.gateway).apply(spec(dataplane))
    site.far.serve(443)
    site.far.serve(443, protocol="udp")
    site.server.serve(443)
    site.server.serve(443, protocol="udp")
    return site


@FAMILIES
def test_the_gateway_tells_a_client_of_a_narrow_uplink(lab: Lab, dataplane: str, family: int) -> None:
    site = edge(lab, dataplane, uplink_mtu=1400)
    told = site.client.ping(far(site, family), size=1400, df=True).stdout
    assert re.search(r"mtu ?= ?1400|mtu=1400", told), told
    header = 28 if family == 4 else 48
    assert site.client.pings(far(site, family), size=1400 - header, df=True)
    with site.client.connect(far(site, family), 443) as flow:
        assert flow.again(b"x" * 200_000).size == 200_001
    assert site.leaks() == 0


POOL = """\
    - name: pooled
      from: [192.168.1.10, "fd00:1::10"]
      as: { pool: [203.0.113.20, "2001:db8:a:1::20"] }
"""


@FAMILIES
def test_a_client_with_an_address_that_is_only_routed_is_told_of_a_narrow_uplink(
    lab: Lab, dataplane: str, family: int
) -> None:
    """The gateway itself has no default route in `main`, and none is needed."""
    site = dual_wan(lab, uplink_mtu=1400)
    text = spec(dataplane)
    assert "  sourceNat:\n" in text
    GatewayHost(site.gateway).apply(text.replace("  sourceNat:\n", "  sourceNat:\n" + POOL))
    site.gateway.ip("route del default", "route del ::/0")
    told = site.client.ping(far(site, family), size=1400, df=True).stdout
    assert re.search(r"mtu ?= ?1400|mtu=1400", told), told
    site.far.serve(443)
    with site.client.connect(far(site, family), 443) as flow:
        assert flow.seen == ("203.0.113.20" if family == 4 else "2001:db8:a:1::20")
        assert flow.again(b"x" * 200_000).size == 200_001
    assert site.leaks() == 0


@FAMILIES
def test_a_far_client_of_a_forward_is_told_of_a_narrow_lan(lab: Lab, dataplane: str, family: int) -> None:
    """The error is the gateway's own, about a flow that came in by the other uplink: it must go out there."""
    site = edge(lab, dataplane, lan_mtu=1280)
    for public in (A, B) if family == 4 else (A6, B6):
        before = site.used()
        with site.far.connect(public, 443) as flow:
            assert flow.again(b"x" * 200_000).size == 200_001
        isp = "isp-a" if public in (A, A6) else "isp-b"
        assert site.through(before) == ({isp}, {isp})
    assert site.leaks() == 0


@FAMILIES
def test_a_forwarded_address_says_how_wide_the_lan_is(lab: Lab, dataplane: str, family: int) -> None:
    site = edge(lab, dataplane, lan_mtu=1280)
    public = "198.51.100.20" if family == 4 else "2001:db8:b:1::20"
    told = site.far.ping(public, size=1300, df=True).stdout
    assert re.search(r"mtu ?= ?1280|mtu=1280", told), told
    assert f"From {public}" in told or f"from {public}" in told.lower(), f"under the name that was asked: {told}"
    assert site.leaks() == 0


@FAMILIES
def test_datagrams_in_fragments_arrive_whole_both_ways(lab: Lab, dataplane: str, family: int) -> None:
    site = edge(lab, dataplane)
    with site.client.connect(far(site, family), 443, protocol="udp") as flow:
        assert flow.again(b"x" * 4000).size == 4001
    with site.far.connect(B if family == 4 else B6, 443, protocol="udp") as flow:
        assert (flow.by, flow.again(b"x" * 4000).size) == ("server", 4001)
    assert site.client.pings(far(site, family), size=4000)
    assert site.leaks() == 0


@FAMILIES
def test_traceroute_shows_the_gateway_twice_and_then_the_isp(lab: Lab, dataplane: str, family: int) -> None:
    site = edge(lab, dataplane)
    hops = [_hop(site, family, ttl) for ttl in (1, 2, 3)]
    own = ("192.168.1.1",) if family == 4 else ("fd00:1::1",)
    assert hops[0] in own
    assert hops[2] == ("203.0.113.1" if family == 4 else "2001:db8:a::1")
    assert site.leaks() == 0


@FAMILIES
def test_a_hidden_hop_shows_the_gateway_once(lab: Lab, dataplane: str, family: int) -> None:
    site = edge(lab, dataplane.replace(" }", ", hideHop: true }"))
    hops = [_hop(site, family, ttl) for ttl in (1, 2)]
    assert hops == (["192.168.1.1", "203.0.113.1"] if family == 4 else ["fd00:1::1", "2001:db8:a::1"])
    with site.client.connect(far(site, family), 443) as flow:
        assert flow.seen in (A, A6), "checksums are right"


def _hop(site: Site, family: int, ttl: int) -> str:
    output = site.client.ping(far(site, family), ttl=ttl).stdout
    found = re.search(r"From ([0-9a-f.:]+?):? icmp_seq=\d+ Time", output)
    return found[1] if found else output


@FAMILIES
def test_a_port_unreachable_from_afar_reaches_the_client(lab: Lab, dataplane: str, family: int) -> None:
    site = edge(lab, dataplane)
    with pytest.raises(AssertionError, match="refused"):
        site.client.connect(far(site, family), 9, protocol="udp")
    with pytest.raises(AssertionError, match="refused"):
        site.far.connect("198.51.100.20" if family == 4 else "2001:db8:b:1::20", 9, protocol="udp")
    assert site.leaks() == 0


@FAMILIES
def test_an_isps_unreachable_reaches_the_client(lab: Lab, dataplane: str, family: int) -> None:
    site = edge(lab, dataplane)
    site.isps["isp-a"].host.ip("route add unreachable 192.0.2.99/32", "route add unreachable 2001:db8:f::99/128")
    output = site.client.ping("192.0.2.99" if family == 4 else "2001:db8:f::99").stdout
    assert re.search(r"[Uu]nreachable|No route", output), output


PRIVATE = "10.0.0.0/8, 'fd70::/12'"


@pytest.mark.parametrize("whose", ["inside", "a-site"])
def test_routers_of_a_carrier_may_have_numbers_of_the_inside_or_of_a_site(
    lab: Lab, dataplane: str, whose: str
) -> None:
    """Their errors about flows of this gateway arrive; what else bears such a source is spoofed."""
    site, text = dual_wan(lab), spec(dataplane)
    gateway = GatewayHost(site.gateway)
    if whose == "inside":
        text = text.replace("[192.168.1.0/24, fd00:1::/64]", f"[192.168.1.0/24, fd00:1::/64, {PRIVATE}]")
    else:
        text = text.replace("      interface: wan1\n", f"      interface: wan1\n      networks: [{PRIVATE}]\n")
    gateway.apply(text)
    isp = site.isps["isp-a"].host
    isp.ip("addr add 10.77.0.1 dev lo", "addr add fd77::1 dev lo nodad", "link set dev up0 mtu 1400")
    isp.ip(f"route add {A} dev gwa src 10.77.0.1", f"route add {A6} dev gwa src fd77::1")
    site.far.serve(443)
    for family, router, public in ((4, "10.77.0.1", A), (6, "fd77::1", A6)):
        assert _hop(site, family, 3) == router
        told = site.client.ping(far(site, family), size=1400, df=True).stdout
        assert re.search(r"mtu ?= ?1400", told), told
        for host in (site.client, site.gateway):
            with host.connect(far(site, family), 443) as flow:
                assert (flow.seen, flow.again(b"x" * 200_000).size) == (public, 200_001)
        assert gateway.counters()["spoofed"] == 2 * (family == 6)
        for packet in (packets.udp(router, public, 443), packets.error(router, public)):
            isp.inject("gwa", packet, to=site.gateway.mac("wan0"))
        until(lambda: gateway.counters()["spoofed"] == (2 if family == 4 else 4), "both are counted as spoofed")  # noqa: B023
    assert site.leaks() == 0
