"""Flows that the far side of an uplink opens to inside hosts by their own addresses: answered at sites only."""

from __future__ import annotations

from contextlib import suppress

import pytest

from tests.lab import GatewayHost, Host, Site, packets
from tests.lab.net import until
from tests.netns.scenarios import A6, B6, EDGE, A, B

pytestmark = pytest.mark.netns

FAR, FAR6 = "10.50.0.9", "fd50::9"  # a host of the site
LINK, LINK6 = "10.99.0.1", "fd99::1"  # the site's router

SPEC = """\
  uplinks:
    isp-a: {interface: wan0, nextHop: [203.0.113.1, "2001:db8:a::1"], addresses: [203.0.113.2, "2001:db8:a::2"], default: true}
    isp-b: {interface: wan1, nextHop: [198.51.100.1, "2001:db8:b::1"], addresses: [198.51.100.2, "2001:db8:b::2"]}
    site: {interface: vpn0, nextHop: [10.99.0.1, "fd99::1"], addresses: [10.99.0.2, "fd99::2"]MORE}
  sourceNat:
    - {name: site, to: [10.50.0.0/24, "fd50::/64"], as: site}
    - {name: mail, to: [192.0.2.0/24, "2001:db8:f::/48"], ports: 25/tcp, as: isp-b}
    - {name: all, as: isp-a}
"""  # noqa: E501


SEEN = """\
table inet seen {
    counter inside { }
    chain in {
        type filter hook prerouting priority -400;
        ip saddr 192.168.1.0/24 counter name inside
        ip6 saddr fd00:1::/64 counter name inside
    }
}
"""


def spec(dataplane: str, more: str = "") -> str:
    return EDGE.format(dataplane=dataplane) + SPEC.replace("MORE", more)


@pytest.fixture
def peer(site: Site) -> Host:
    """A host at the other end of a tunnel, with a way to the LAN through it."""
    gateway, peer = site.gateway, site.lab.host("peer")
    site.lab.link(gateway, "vpn0", peer, "p0")
    gateway.ip("addr add 10.99.0.2/30 dev vpn0", "addr add fd99::2/64 dev vpn0 nodad")
    gateway.ip("route add 10.50.0.0/24 via 10.99.0.1", "route add fd50::/64 via fd99::1")
    peer.ip(
        f"addr add {LINK}/30 dev p0",
        f"addr add {LINK6}/64 dev p0 nodad",
        f"addr add {FAR}/32 dev lo",
        f"addr add {FAR6}/128 dev lo nodad",
        "route add 192.168.1.0/24 via 10.99.0.2",
        "route add fd00:1::/64 via fd99::2",
    )
    peer.address, peer.address6 = FAR, FAR6
    for protocol in ("tcp", "udp"):
        peer.serve(443, protocol=protocol)
        site.server.serve(443, protocol=protocol)
    return peer


ASKS = [
    (FAR, "192.168.1.80"),
    (LINK, "192.168.1.80"),
    (FAR6, "fd00:1::80"),
    (LINK6, "fd00:1::80"),
]


@pytest.mark.parametrize("protocol", ["tcp", "udp"])
def test_hosts_of_a_site_reach_inside_hosts_by_their_own_addresses(
    site: Site, gateway: GatewayHost, peer: Host, dataplane: str, protocol: str
) -> None:
    gateway.apply(spec(dataplane))
    for source, inside in ASKS:
        with peer.connect(inside, 443, protocol=protocol, source=source) as flow:
            assert (flow.by, flow.seen) == ("server", source)
    for far, translated in ((FAR, "10.99.0.2"), (FAR6, "fd99::2")):
        assert site.client.connect(far, 443, protocol=protocol).seen == translated, "and the near side as before"
    assert peer.pings("192.168.1.80")
    assert gateway.counters()["unanswered"] == 0
    assert site.leaks() == 0


def test_only_answers_go_there_untranslated(site: Site, gateway: GatewayHost, peer: Host, dataplane: str) -> None:
    """Packets that no rule translates, or conntrack does not know, are held back."""
    text = (
        spec(dataplane)
        .replace("as: site}", "protocol: [icmp, icmpv6], as: site}")
        .replace("- {name: all, as: isp-a}", "- {name: some, ports: 80/tcp, as: isp-a}")
    )
    gateway.apply(text)
    peer.nft(SEEN)
    for far in (FAR, FAR6):
        assert not site.client.reaches(far, 443)
        assert not site.client.reaches(far, 443, protocol="udp")
    assert gateway.counters()["leak_untranslated"] > 0
    assert peer.counter("seen", "inside") == 0
    for source, inside in ASKS:
        assert peer.connect(inside, 443, source=source).by == "server"


@pytest.mark.parametrize("source", [FAR, FAR6])
def test_a_source_of_the_site_is_spoofed_where_an_isp_sends_it(
    site: Site, gateway: GatewayHost, peer: Host, dataplane: str, source: str
) -> None:
    gateway.apply(spec(dataplane))
    inside = "fd00:1::80" if ":" in source else "192.168.1.80"
    before = site.used()
    for isp, ifname in (("isp-a", "wan0"), ("isp-b", "wan1")):
        spoofed = gateway.counters()["spoofed"]
        site.isps[isp].host.inject("gwa", packets.udp(source, inside, 443), to=site.gateway.mac(ifname))
        until(
            lambda spoofed=spoofed: gateway.counters()["spoofed"] == spoofed + 1, "the packet is counted as spoofed"
        )
    assert site.used() == before
    assert site.leaks() == 0


def test_an_isps_hosts_get_no_untranslated_answer(
    site: Site, gateway: GatewayHost, peer: Host, dataplane: str
) -> None:
    """Not by the default uplink, nor by one that lines of the spec use for some networks only. It is counted."""
    gateway.apply(spec(dataplane))
    for name, via, via6 in (("isp-a", A, A6), ("isp-b", B, B6)):
        isp = site.isps[name].host
        isp.ip(f"route add 192.168.1.0/24 via {via}", f"route add fd00:1::/64 via {via6}")
        for inside in ("192.168.1.80", "fd00:1::80"):
            before = gateway.counters()["unanswered"]
            assert not isp.reaches(inside, 443)
            assert gateway.counters()["unanswered"] > before
    assert site.leaks() == 0


def test_the_gateway_itself_answers_there_by_its_inside_address(
    site: Site, gateway: GatewayHost, peer: Host, dataplane: str
) -> None:
    gateway.apply(spec(dataplane))
    for own in ("192.168.1.1", "fd00:1::1"):
        site.gateway.serve(22, address=own)
        for source in (FAR, LINK) if "." in own else (FAR6, LINK6):
            assert peer.connect(own, 22, source=source).by == "gw"


def test_a_wide_network_behind_it_leaves_hosts_beside_an_uplink_where_they_are(
    site: Site, gateway: GatewayHost, peer: Host, dataplane: str
) -> None:
    """Such as an ISP that translates at a carrier (100.64.0.0/10), and a mesh VPN with the same numbers."""
    gateway.apply(spec(dataplane, ", networks: [10.50.0.0/24, 203.0.112.0/23, '2001:db8:a::/63']"))
    isp = site.isps["isp-a"].host
    for router, own in (("203.0.113.1", A), ("2001:db8:a::1", A6)):
        isp.serve(80, address=router)
        assert site.gateway.connect(router, 80).seen == own
        assert isp.pings(own)
        assert site.client.pings(router)


def test_a_host_of_the_site_is_told_of_a_narrow_lan(
    site: Site, gateway: GatewayHost, peer: Host, dataplane: str
) -> None:
    """By the way to the site, though no rule of the spec is about the gateway's own packets."""
    text = spec(dataplane).replace("as: site}", 'from: [192.168.1.0/24, "fd00:1::/64"], as: site}')
    gateway.apply(text)
    site.gateway.ip("route del 10.50.0.0/24", "route del fd50::/64", "link set dev lan0 mtu 1300")
    for source, inside in (ASKS[0], ASKS[2]):
        with peer.connect(inside, 443, protocol="udp", source=source, df=True) as flow:
            with suppress(OSError):
                flow.again(bytes(1350))
            assert flow.mtu == 1300


def test_the_inside_within_all_private_addresses_stays_where_it_is(
    site: Site, gateway: GatewayHost, peer: Host, dataplane: str
) -> None:
    """Of a site that is named by them, or by a wide route, hosts may have any other part."""
    peer.ip("addr add 192.168.77.9/32 dev lo")
    wide = spec(dataplane).replace('[10.50.0.0/24, "fd50::/64"]', '[10.0.0.0/8, 192.168.0.0/16, "fc00::/7"]')
    routes = "  routes: [{name: site, to: [10.0.0.0/8, 192.168.0.0/16, 'fc00::/7'], via: site}]\n"
    for text in (wide, wide + routes):
        gateway.apply(text)
        assert peer.connect("192.168.1.80", 443, source="192.168.77.9").by == "server"
        assert peer.connect("fd00:1::80", 443, source=FAR6).by == "server"
        assert site.client.pings("192.168.77.9")
    assert site.leaks() == 0


def test_with_networks_none_no_host_is_answered_and_a_network_that_is_named_always(
    site: Site, gateway: GatewayHost, peer: Host, dataplane: str
) -> None:
    gateway.apply(spec(dataplane, ", networks: none"))
    for source, inside in ASKS:
        assert not peer.reaches(inside, 443, source=source)
    gateway.apply(spec(dataplane, f", networks: [{FAR}, '{FAR6}']"))
    for source, inside in ASKS:
        assert peer.reaches(inside, 443, source=source) == (source in (FAR, FAR6))


def test_a_site_whose_interface_is_down_sends_nothing_elsewhere(
    site: Site, gateway: GatewayHost, peer: Host, dataplane: str
) -> None:
    gateway.apply(spec(dataplane))
    with peer.connect("192.168.1.80", 443, protocol="udp", source=FAR):
        site.gateway.ip("link set dev vpn0 down")
        answer = packets.udp("192.168.1.80", FAR, 5555)
        site.server.inject("eth0", answer, to=site.gateway.mac("lan0"))
        assert site.client.pings(site.far.address)
    assert site.leaks() == 0


def test_a_forward_to_a_server_of_the_site_needs_a_rule_that_the_note_gives(
    site: Site, gateway: GatewayHost, peer: Host, dataplane: str
) -> None:
    """An uplink carries no source of another; the inside has its rule for the site already."""
    forward = "  forwards: {remote: {at: [isp-a, isp-b], ports: 8443/tcp, to: [10.50.0.9:443, '[fd50::9]:443']}}\n"
    text = spec(dataplane) + forward
    told = gateway.apply(text).stderr
    assert f"forward remote: {FAR}, {FAR6} is behind uplink site, which carries no client untranslated" in told
    rule = f"{{name: remote, in: [wan0, wan1], to: [{FAR}, {FAR6}], as: site}}"
    assert f"first under sourceNat: {rule}" in told
    for public in (A, A6, B, B6):
        assert site.client.connect(public, 8443).by == "peer"
        assert not site.far.reaches(public, 8443)
    text = text.replace("  sourceNat:\n", f"  sourceNat:\n    - {rule}\n")
    assert "forward remote" not in gateway.apply(text).stderr
    for public in (A, A6, B, B6):
        with site.far.connect(public, 8443) as flow:
            assert (flow.by, flow.seen) == ("peer", "fd99::2" if ":" in public else "10.99.0.2")
    assert site.leaks() == 0


def test_a_forward_to_an_unknown_network_is_noted(site: Site, gateway: GatewayHost, dataplane: str) -> None:
    forwards = "".join(f"    x{n}: {{ports: {8000 + n}/tcp, to: 172.20.0.{n}}}\n" for n in range(1, 6))
    text = (
        spec(dataplane)
        .replace(
            '    site: {interface: vpn0, nextHop: [10.99.0.1, "fd99::1"], addresses: [10.99.0.2, "fd99::2"]}\n', ""
        )
        .replace('    - {name: site, to: [10.50.0.0/24, "fd50::/64"], as: site}\n', "")
    )
    done = gateway.apply(text + "  forwards:\n" + forwards)
    assert "forward x1: 172.20.0.1 is behind no interface of the spec" in done.stderr
    assert "2 more forwards to servers that are behind no inside interface" in done.stderr
    assert "forward x4" not in done.stderr


def test_a_rule_of_uplinks_and_inside_interfaces_is_about_what_comes_in_by_each(
    site: Site, gateway: GatewayHost, peer: Host, dataplane: str
) -> None:
    """Inside interfaces bring their networks, uplinks any source."""
    rule = f'    - {{name: remote, in: [wan0, lan0, wan1], to: [{FAR}, "{FAR6}"], as: site}}\n'
    forward = "  forwards: {remote: {at: [isp-a, isp-b], ports: 8443/tcp, to: [10.50.0.9:443, '[fd50::9]:443']}}\n"
    gateway.apply(spec(dataplane).replace("  sourceNat:\n", "  sourceNat:\n" + rule) + forward)
    for client in (site.client, site.far):
        for public in (A, A6, B, B6):
            with client.connect(public, 8443) as flow:
                assert (flow.by, flow.seen) == ("peer", "fd99::2" if ":" in public else "10.99.0.2")
    assert gateway.counters()["snat_remote"] == 8
    assert site.leaks() == 0


def test_a_site_that_sends_everything_here_is_answered_by_the_route_that_the_note_gives(
    site: Site, gateway: GatewayHost, peer: Host, dataplane: str
) -> None:
    """Answers to it have a source of the internet, or the address that was asked, which leads by its own uplink."""
    peer.ip("route add default via 10.99.0.2", "route add ::/0 via fd99::2")
    text = spec(dataplane).replace("    - {name: all", "    - {name: tunnel, in: vpn0, as: isp-b}\n    - {name: all")
    text += "  forwards: {web: {at: isp-a, ports: 443/tcp, to: [192.168.1.80, 'fd00:1::80']}}\n"
    networks = "10.50.0.0/24, fd50::/64, 10.99.0.0/30, fd99::/64"
    route = f"routes: {{name: tunnel, to: [{networks}], via: site}}"
    note = f"sourceNat tunnel: no route leads answers back to {networks} behind uplink site: {route}"
    assert note in gateway.apply(text).stderr
    done = gateway.apply(text + "  " + route.replace("{", "[{").replace("}", "}]") + "\n")
    assert "leads answers back" not in done.stderr
    site.far.serve(9000)
    for far, public, source, seen in ((site.far.address, A, FAR, B), (site.far.address6, A6, FAR6, B6)):
        assert peer.connect(far, 9000, source=source).seen == seen
        assert peer.connect(public, 443, source=source).by == "server"
    assert site.leaks() == 0
