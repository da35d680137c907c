"""Where packets go and as whom: source and destination NAT by two ISPs, IPv4 and IPv6, either dataplane form."""

from __future__ import annotations

from socket import AF_INET, AF_INET6, SOCK_DGRAM

import pytest

from tests.lab import GatewayHost, Site, packets
from tests.lab.net import until
from tests.lab.segments import add_host
from tests.netns.scenarios import A6, B6, A, B, spec

pytestmark = pytest.mark.netns


@pytest.fixture
def edge(site: Site, gateway: GatewayHost, dataplane: str) -> Site:
    gateway.apply(spec(dataplane))
    site.far.serve(443)
    site.far.serve(443, protocol="udp")
    site.server.serve(443)
    site.server.serve(443, protocol="udp")
    return site


@pytest.mark.parametrize("protocol", ["tcp", "udp"])
def test_a_flow_leaves_by_the_uplink_that_owns_its_translated_source(edge: Site, protocol: str) -> None:
    for host, addresses, isp in ((edge.client, (A, A6), "isp-a"), (edge.server, (B, B6), "isp-b")):
        for far, address in zip((edge.far.address, edge.far.address6), addresses, strict=True):
            before = edge.used()
            with host.connect(far, 443, protocol=protocol) as flow:
                assert flow.seen == address
                assert edge.through(before) == ({isp}, {isp})
    assert edge.leaks() == 0


@pytest.mark.parametrize("protocol", ["tcp", "udp"])
def test_a_dnated_servers_reply_leaves_by_the_uplink_that_was_asked(edge: Site, protocol: str) -> None:
    for public, isp in ((A, "isp-a"), (A6, "isp-a"), (B, "isp-b"), (B6, "isp-b")):
        before = edge.used()
        with edge.far.connect(public, 443, protocol=protocol) as flow:
            assert flow.by == "server"
            assert flow.seen.startswith(("172.31.", "fd00:f")), "the server sees the true client"
            assert edge.through(before) == ({isp}, {isp})
    assert edge.leaks() == 0


def test_a_client_reaches_the_server_beside_it_by_any_public_address(edge: Site) -> None:
    for public in (A, A6, B, B6):
        before = edge.used()
        with edge.client.connect(public, 443) as flow:
            assert (flow.by, flow.seen) == ("server", public)
        assert edge.through(before) == (set(), set())


def test_ping_is_translated_like_everything_else(edge: Site) -> None:
    for host in (edge.client, edge.server):
        assert host.pings(edge.far.address)
        assert host.pings(edge.far.address6)
    assert edge.far.pings("198.51.100.20"), "a whole address forwarded"
    assert edge.far.pings("2001:db8:b:1::20")


def test_both_passes_are_counted_and_untracked_in_the_second(edge: Site, gateway: GatewayHost) -> None:
    edge.client.pings(edge.far.address)
    counters = gateway.counters()
    assert counters["stage_1"] == counters["stage_2"] == counters["reinjected"] > 0
    listed = edge.gateway.run("conntrack", "-L", "-p", "icmp").stdout
    assert len(listed.splitlines()) == 1, "one flow, one entry: stage 2 is untracked"


def test_however_many_destinations_there_are_the_device_has_one_neighbour_of_each_family(edge: Site) -> None:
    """Neighbours count against a limit that all interfaces of the machine share."""
    before = edge.used()["isp-a"][0]
    for family, destinations in ((AF_INET, "192.0.2.{}"), (AF_INET6, "2001:db8:f::{:x}")):
        with edge.client.socket(family, SOCK_DGRAM) as sock:
            for number in range(100, 120):
                sock.sendto(b"hello", (destinations.format(number), 9))
    until(lambda: edge.used()["isp-a"][0] >= before + 40, "all went through the device")
    listed = edge.gateway.run("ip", "neigh", "show", "dev", "nvi0", "nud", "all").stdout.splitlines()
    assert len(listed) == 2, listed


def test_the_mark_hook_runs_after_conntrack_confirm(edge: Site, gateway: GatewayHost) -> None:
    edge.client.pings(edge.far.address)
    assert gateway.counters()["marked_after_confirm"] > 0


def test_inside_networks_talk_to_each_other_untranslated(site: Site, gateway: GatewayHost, dataplane: str) -> None:
    lab = site.lab
    dmz = add_host(lab, site.gateway, "dmz0", "dmz", network="192.168.2", network6="fd00:2:")
    text = spec(dataplane).replace(
        "  uplinks:\n", "    dmz0:\n      networks: [192.168.2.0/24, fd00:2::/64]\n  uplinks:\n"
    )
    gateway.apply(text)
    dmz.serve(80)
    site.server.serve(443)
    assert site.client.connect(dmz.address, 80).seen == site.client.address
    assert site.client.connect(dmz.address6, 80).seen == site.client.address6
    with dmz.connect(A, 443) as flow:
        assert (flow.by, flow.seen) == ("server", dmz.address), "no need to hide the client from another network"
    assert site.leaks() == 0


def test_an_exempt_flow_keeps_its_source_and_only_that(site: Site, gateway: GatewayHost, dataplane: str) -> None:
    """The far network is reached untranslated: ISP A sees (and counts) the private source, as it was told to."""
    text = spec(dataplane).replace(
        "    - name: server\n",
        "    - name: vpn\n      to: [192.0.2.200, 2001:db8:f::200]\n      as: unchanged\n    - name: server\n",
    )
    gateway.apply(text)
    site.far.serve(443)
    before = site.leaks()
    assert not site.client.pings("192.0.2.200", wait=0.3)
    assert not site.client.pings("2001:db8:f::200", wait=0.3)
    assert site.leaks() - before == 2, "they left by the default uplink as they were"
    assert site.client.connect(site.far.address, 443).seen == A


@pytest.mark.parametrize("words", ["ports: 54/udp", "protocol: udp, except: {ports: 443/udp}", "in: lan0, dscp: ef"])
def test_of_a_host_only_the_flows_that_are_exempt_keep_their_source(
    site: Site, gateway: GatewayHost, dataplane: str, words: str
) -> None:
    """No other flow, no packet of no flow, and no answer to who asks an inside address from an ISP."""
    gateway.apply(replaced_rules(dataplane, f"{{name: kept, {words}, as: unchanged}}"))
    for name, via, via6 in (("isp-a", A, A6), ("isp-b", B, B6)):
        site.isps[name].host.ip(f"route add 192.168.1.0/24 via {via}", f"route add fd00:1::/64 via {via6}")
    site.server.serve(443)
    for far, inside in ((site.far.address, site.server.address), (site.far.address6, site.server.address6)):
        assert not site.client.reaches(far, 443)
        assert not site.client.reaches(far, 443, protocol="udp")
        assert not site.client.pings(far, wait=0.3)
        assert not site.isps["isp-a"].host.reaches(inside, 443)
    before = gateway.counters()["leak_untranslated"]
    for source, far in ((site.client.address, site.far.address), (site.client.address6, site.far.address6)):
        site.client.inject("eth0", packets.stray(source, far), to=site.gateway.mac("lan0"))
    until(lambda: gateway.counters()["leak_untranslated"] >= before + 2, "the strays are counted")
    assert site.leaks() == 0


@pytest.mark.parametrize("words", ["ports: 54/udp", "dscp: ef", "in: lan0, mark: 5"])
def test_a_flow_that_no_rule_covered_is_not_exempt_by_a_later_rule_for_others(
    site: Site, gateway: GatewayHost, dataplane: str, words: str
) -> None:
    """Conntrack knows it as one that stays untranslated, and its packets are asked for no rule of sourceNat again."""
    gateway.apply(replaced_rules(dataplane, "{name: kept, ports: 53/udp, as: isp-a}"))
    flows = [
        packets.udp(source, far, 443)
        for source, far in ((site.client.address, site.far.address), (site.client.address6, site.far.address6))
    ]
    seen = gateway.counters()["stage_1"]
    for flow in flows:
        site.client.inject("eth0", flow, to=site.gateway.mac("lan0"))
    until(lambda: gateway.counters()["stage_1"] == seen + 2, "conntrack knows both flows")
    gateway.apply(replaced_rules(dataplane, f"{{name: kept, {words}, as: unchanged}}"))
    before = gateway.counters()["leak_untranslated"]
    for flow in flows:
        site.client.inject("eth0", flow, to=site.gateway.mac("lan0"))
    until(lambda: gateway.counters()["leak_untranslated"] == before + 2, "their packets are counted")
    assert site.leaks() == 0


def test_a_flow_that_is_exempt_by_dscp_leaves_as_it_is_with_another_dscp_once_it_was_answered(
    site: Site, gateway: GatewayHost, dataplane: str
) -> None:
    gateway.apply(replaced_rules(dataplane, "{name: kept, dscp: ef, as: unchanged}"))
    isp = site.isps["isp-a"].host
    for inside, far in ((site.client.address, site.far.address), (site.client.address6, site.far.address6)):
        seen, dropped = site.leaks(), gateway.counters()["leak_untranslated"]
        for dscp in (46, 0):
            site.client.inject("eth0", packets.udp(inside, far, 443, dscp=dscp), to=site.gateway.mac("lan0"))
        until(
            lambda before=dropped: gateway.counters()["leak_untranslated"] == before + 1, "the later one is dropped"
        )
        assert site.leaks() == seen + 1
        with site.client.socket(AF_INET6 if ":" in inside else AF_INET, SOCK_DGRAM) as listening:
            listening.settimeout(5)
            listening.bind((inside, 4444))
            isp.inject("gwa", packets.udp(far, inside, 4444, source_port=443), to=site.gateway.mac("wan0"))
            listening.recv(100)
        site.client.inject("eth0", packets.udp(inside, far, 443), to=site.gateway.mac("lan0"))
        until(lambda before=seen: site.leaks() == before + 2, "it leaves")


def test_a_flow_that_is_exempt_by_port_leaves_as_it_is(site: Site, gateway: GatewayHost, dataplane: str) -> None:
    gateway.apply(replaced_rules(dataplane, "{name: kept, ports: 54/udp, as: unchanged}"))
    for far in (site.far.address, site.far.address6):
        assert not site.client.reaches(far, 54, protocol="udp"), "the ISP drops a source that is not its customer's"
    assert site.leaks() == 2


def replaced_rules(dataplane: str, rule: str) -> str:
    """The gateway with this rule of sourceNat instead of its own."""
    before, _, after = spec(dataplane).partition("  sourceNat:\n")
    return f"{before}  sourceNat: [{rule}]\n{after[after.index('  forwards:') :]}"


def test_what_is_for_an_inside_network_stays_inside_though_its_way_is_gone(
    site: Site, gateway: GatewayHost, dataplane: str
) -> None:
    """Such a line for a VPN is written from habit; when its tunnel is down nothing may go to an ISP in its stead."""
    text = spec(dataplane).replace(
        "    - name: server\n",
        "    - name: vpn\n      to: [10.99.0.0/16, fd00:99::/48]\n      as: unchanged\n    - name: server\n",
    )
    gateway.apply(
        text.replace("  uplinks:\n", "    vpn0:\n      networks: [10.99.0.0/16, fd00:99::/48]\n  uplinks:\n")
    )
    for address in ("10.99.0.5", "fd00:99::5"):
        assert not site.client.pings(address, wait=0.3)
    site.gateway.run("nft", "flush", "chain", "inet", "nvi", "guard")
    for address in ("10.99.0.5", "fd00:99::5"):
        assert not site.client.pings(address, wait=0.3), "nor without the guard in nftables"
    assert site.leaks() == 0


def test_a_part_of_an_inside_network_may_be_elsewhere(site: Site, gateway: GatewayHost, dataplane: str) -> None:
    wide = spec(dataplane).replace("[192.168.1.0/24, fd00:1::/64]", "[192.168.0.0/16, fd00:1::/48]")
    text = wide.replace(
        "    - name: server\n",
        "    - name: far\n      to: [192.168.77.0/24, fd00:1:0:77::/64]\n      as: unchanged\n    - name: server\n",
    )
    gateway.apply(text)
    before = site.leaks()
    assert not site.client.pings("192.168.77.5", wait=0.3)
    assert not site.client.pings("fd00:1:0:77::5", wait=0.3)
    assert site.leaks() - before == 2, "they left by the default uplink as they were"
    assert not site.client.pings("192.168.78.5", wait=0.3)
    assert site.leaks() - before == 2


def test_a_route_sends_what_it_names_through_its_uplink(site: Site, gateway: GatewayHost, dataplane: str) -> None:
    """A public network inside, routed by both ISPs' customers' choice: the route decides, not the source."""
    more = "  routes:\n    - name: portal\n      from: [203.0.113.17]\n      to: 192.0.2.200\n      via: isp-b\n"
    text = spec(dataplane, more).replace("as: isp-a\n", "as: [203.0.113.17, '2001:db8:a:1::17']\n")
    gateway.apply(text)
    before = site.used()
    site.client.pings("192.0.2.200", wait=0.3)
    assert site.isps["isp-b"].foreign == 1, "isp-b was asked to carry an address of isp-a, and counts it"
    assert site.used()["isp-a"][0] == before["isp-a"][0]


def test_no_route_takes_what_is_for_the_inside(edge: Site, gateway: GatewayHost, dataplane: str) -> None:
    """As hairpins are. Only one that names an inside network, or a part of it, says that this is elsewhere."""
    ways = ("in: lan0", f"from: [{A}, {B}, '{A6}', '{B6}']", "to: [192.168.0.0/16, 'fc00::/7']")
    routes = "".join(f"    - {{ name: wide-{n}, {way}, via: isp-b }}\n" for n, way in enumerate(ways))
    gateway.apply(spec(dataplane, f"  routes:\n{routes}"))
    for public in (A, B, A6, B6):
        assert edge.client.connect(public, 443).by == "server"


def test_changing_the_spec_changes_new_flows_and_leaves_old_ones_alone(
    edge: Site, gateway: GatewayHost, dataplane: str
) -> None:
    old = edge.client.connect(edge.far.address, 443)
    counted = gateway.counters()["snat_everyone"]
    text = spec(dataplane).replace("    - name: everyone\n      as: isp-a", "    - name: everyone\n      as: isp-b")
    gateway.apply(text)
    assert edge.client.connect(edge.far.address, 443).seen == B
    assert old.again().seen == A
    assert gateway.counters()["snat_everyone"] > counted > 0, "counters go on"
    assert edge.leaks() == 0


def test_a_forward_more_is_one_element_more(edge: Site, gateway: GatewayHost, dataplane: str) -> None:
    more = "    ssh:\n      at: isp-a\n      ports: 2222/tcp\n      to: 192.168.1.80:22\n"
    plan = gateway.nvictl("plan", "--kernel", gateway.spec(spec(dataplane, more)), check=False).stdout
    assert plan.startswith("+ forward ssh: new: 2222/tcp on isp-a goes to 192.168.1.80:22\n")
    assert plan.count("\n+") == 1
    assert "203.0.113.2 . tcp . 2222 : 192.168.1.80 . 22" in plan


def test_a_port_comes_before_a_balanced_whole_address(site: Site, gateway: GatewayHost, dataplane: str) -> None:
    more = (
        "    farm: { at: 203.0.113.17, to: { 192.168.1.80: 1, 192.168.1.81: 1 } }\n"
        "    mail: { at: 203.0.113.17, ports: 25/tcp, to: 192.168.1.10 }\n"
    )
    gateway.apply(spec(dataplane, more))
    site.client.serve(25)
    assert {site.far.connect("203.0.113.17", 25, source=s).by for s in ("192.0.2.80", "192.0.2.200")} == {"client"}
