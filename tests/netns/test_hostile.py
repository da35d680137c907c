"""What others do to a gateway: spoof, wipe marks, filter, NAT beside it. And the gateway's own packets."""

from __future__ import annotations

import pytest

from tests.lab import GatewayHost, Site, packets
from tests.lab.net import until
from tests.netns.losses import remove_ingress_guard
from tests.netns.scenarios import A6, B6, A, B, spec

pytestmark = pytest.mark.netns


@pytest.fixture
def edge(site: Site, gateway: GatewayHost, dataplane: str) -> Site:
    gateway.apply(spec(dataplane))
    site.far.serve(443)
    site.far.serve(443, protocol="udp")
    site.server.serve(443)
    return site


# --------------------------------------------------------------------------- spoofing


@pytest.mark.parametrize("source", [A, B, "192.168.1.1", A6, "fd00:1::1"])
def test_a_lan_host_cannot_use_an_address_of_the_gateway(edge: Site, gateway: GatewayHost, source: str) -> None:
    far = edge.far.address6 if ":" in source else edge.far.address
    before = edge.used()
    edge.client.inject("eth0", packets.udp(source, far, 443), to=edge.gateway.mac("lan0"))
    until(lambda: gateway.counters()["ingress_spoofed"] == 1, "the packet is counted as spoofed")
    remove_ingress_guard(edge.gateway, "lan0")
    edge.client.inject("eth0", packets.udp(source, far, 443), to=edge.gateway.mac("lan0"))
    until(lambda: gateway.counters()["spoofed"] == 1, "the table refuses it as well")
    assert edge.used() == before


@pytest.mark.parametrize("source", ["10.66.0.1", "2001:db8:66::1"])
def test_an_unknown_source_never_leaves(edge: Site, source: str) -> None:
    """It matches no sourceNat rule, and stage 2 has no route for it."""
    far = edge.far.address6 if ":" in source else edge.far.address
    before = edge.used()
    edge.client.inject("eth0", packets.udp(source, far, 443), to=edge.gateway.mac("lan0"))
    assert edge.client.pings(edge.far.address)
    assert edge.leaks() == 0
    assert edge.used()["isp-b"] == before["isp-b"]


@pytest.mark.parametrize("source", ["192.168.1.10", "fd00:1::10"])
@pytest.mark.parametrize("far", [True, False])
def test_an_inside_source_from_an_uplink_is_dropped(
    site: Site, gateway: GatewayHost, dataplane: str, source: str, far: bool
) -> None:
    gateway.apply(spec(dataplane))
    v6 = ":" in source
    target = (site.far.address6 if v6 else site.far.address) if far else (A6 if v6 else A)
    before = site.used()
    site.isps["isp-a"].host.inject("gwa", packets.udp(source, target, 443), to=site.gateway.mac("wan0"))
    until(lambda: gateway.counters()["spoofed"] == 1, "the packet is counted as spoofed")
    assert site.used() == before


@pytest.mark.parametrize("source", ["203.0.113.20", "198.51.100.20", "2001:db8:a:1::20", "2001:db8:b:1::20"])
@pytest.mark.parametrize("kind", ["any", "dhcp", "wrong-checksum"])
def test_no_one_else_uses_an_address_that_is_routed_to_the_gateway(
    edge: Site, gateway: GatewayHost, source: str, kind: str
) -> None:
    """It would leave as if the gateway had translated it: a false source by the address of another.

    Answers of DHCP servers are spared where they are of a flow; with a wrong checksum a packet is of none.
    """
    far, ports = edge.far.address6 if ":" in source else edge.far.address, (4444, 443) if kind == "any" else (67, 68)
    packet = packets.udp(source, far, ports[1], source_port=ports[0])
    if kind == "wrong-checksum":
        packet = packet[:-2] + b"x\n"
    before = edge.used()
    edge.isps["isp-b"].host.inject("gwa", packet, to=edge.gateway.mac("wan1"))
    until(lambda: gateway.counters()["spoofed"] == 1, "the packet is counted as spoofed")
    edge.client.inject("eth0", packet, to=edge.gateway.mac("lan0"))
    until(lambda: gateway.counters()["spoofed"] == 2, "so is that of an inside host")
    assert edge.used() == before


@pytest.mark.parametrize(("source", "router"), [("203.0.113.25", "192.168.1.80"), ("2001:db8:a:1::25", "fd00:1::80")])
def test_a_host_inside_that_has_a_routed_address_sends_from_it(edge: Site, source: str, router: str) -> None:
    """By a host route, as a virtual machine with a public address."""
    edge.server.ip(f"addr add {source} dev lo")
    edge.gateway.ip(f"route add {source} via {router}")
    far = edge.far.address6 if ":" in source else edge.far.address
    assert edge.server.connect(far, 443, source=source).seen == source
    assert edge.leaks() == 0


@pytest.mark.parametrize("source", ["192.168.1.10", "fd00:1::10"])
def test_strict_drops_an_inside_source_that_comes_from_outside(
    site: Site, gateway: GatewayHost, dataplane: str, source: str
) -> None:
    gateway.apply(spec(dataplane, "  guards: { antiSpoof: strict }\n"))
    site.isps["isp-a"].host.inject(
        "gwa", packets.udp(source, A6 if ":" in source else A, 443), to=site.gateway.mac("wan0")
    )
    until(lambda: gateway.counters()["spoofed"] == 1, "the packet is counted as spoofed")
    site.far.serve(443)
    assert site.client.connect(site.far.address, 443).seen == A
    assert site.client.connect(site.far.address6, 443).seen == A6


# --------------------------------------------------------------------------- loops


@pytest.mark.parametrize("hook", ["prerouting", "postrouting", "forward"])
@pytest.mark.parametrize("hop", ["", ", hideHop: true"])
def test_a_foreign_rule_that_wipes_marks_makes_no_loop(
    site: Site, gateway: GatewayHost, dataplane: str, hook: str, hop: str
) -> None:
    gateway.apply(spec(dataplane.replace(" }", f"{hop} }}")))
    site.gateway.nft(
        f"table inet vandal {{ chain c {{ type filter hook {hook} priority -140; meta mark set 5; }}; }}"
    )
    for family_far in (site.far.address, site.far.address6):
        site.client.pings(family_far, wait=0.3)
    counters = gateway.counters()
    assert counters["reinjected"] <= 8, "each packet takes two passes at the most"
    assert site.leaks() == 0
    if hook == "prerouting":
        assert counters["loop"] + counters["untracked"] >= 1


# --------------------------------------------------------------------------- foreign tables beside the gateway's

DOCKER = """
table ip nat {
    chain PREROUTING { type nat hook prerouting priority -100; policy accept; fib daddr type local jump DOCKER; }
    chain POSTROUTING { type nat hook postrouting priority 100; policy accept;
        ip saddr 172.17.0.0/16 oifname != "docker0" masquerade; }
    chain DOCKER { iifname "docker0" return; tcp dport 8080 dnat to 172.17.0.2:80; }
}
table ip filter {
    chain FORWARD { type filter hook forward priority 0; policy drop; jump DOCKER-USER;
        ct state established,related accept; iifname "docker0" accept; }
    chain DOCKER-USER { iifname "nvi0" accept; oifname "nvi0" accept; ct state untracked accept; return; }
}
"""
FIREWALLD = """
table inet firewalld {
    chain filter_FORWARD { type filter hook forward priority 10; policy accept;
        ct state { established, related } accept
        ct status dnat accept
        ct state untracked accept
        oifname "nvi0" accept
        ct state invalid drop
        reject with icmpx type admin-prohibited
    }
    chain mangle_PREROUTING { type filter hook prerouting priority -140; policy accept; return; }
}
"""
POLICY_DROP = """
table inet firewall {
    chain forward { type filter hook forward priority 0; policy drop;
        ct state established,related accept
        oifname "nvi0" accept
        ct state untracked accept
        counter
    }
}
"""


@pytest.mark.parametrize(
    "ruleset",
    [
        pytest.param(DOCKER, id="docker"),
        pytest.param(FIREWALLD, id="firewalld"),
        pytest.param(POLICY_DROP, id="policy-drop"),
    ],
)
def test_beside_another_tools_tables_everything_works_and_theirs_stay_as_they_are(
    site: Site, gateway: GatewayHost, dataplane: str, ruleset: str
) -> None:
    site.gateway.nft(ruleset)
    before = gateway.foreign()
    gateway.apply(spec(dataplane))
    site.far.serve(443)
    site.server.serve(443)
    assert site.client.connect(site.far.address, 443).seen == A
    assert site.client.connect(site.far.address6, 443).seen == A6
    for public in (A, A6, B, B6):
        assert site.far.connect(public, 443).by == "server"
        assert site.client.connect(public, 443).by == "server"
    assert site.leaks() == 0
    gateway.apply(spec(dataplane).replace("as: isp-a", "as: isp-b"))
    gateway.down()
    assert gateway.foreign() == before
    assert gateway.owned() == []


def test_a_neighbour_on_the_gateway_keeps_its_own_masquerade(
    site: Site, gateway: GatewayHost, dataplane: str
) -> None:
    """A container behind docker0 is left alone: single-stage NAT by its own tool, out by the main table."""
    lab = site.lab
    container = lab.host("container")
    lab.link(site.gateway, "docker0", container, "eth0")
    site.gateway.ip("addr add 172.17.0.1/16 dev docker0")
    container.address = "172.17.0.2"
    container.ip("addr add 172.17.0.2/16 dev eth0", "route add default via 172.17.0.1")
    site.gateway.nft(DOCKER)
    gateway.apply(spec(dataplane))
    site.far.serve(443)
    assert container.connect(site.far.address, 443).seen == A
    container.serve(80)
    assert site.client.connect("172.17.0.2", 80).by == "container"
    assert site.leaks() == 0


def test_saved_settings_are_restored(site: Site, gateway: GatewayHost, dataplane: str) -> None:
    site.gateway.write("net/ipv4/conf/all/rp_filter", "2")
    site.gateway.write("net/ipv4/conf/lan0/rp_filter", "1")
    site.gateway.write("net/ipv4/ip_forward", "1")
    site.gateway.write("net/ipv4/conf/lan0/forwarding", "0")
    site.gateway.ip("link set dev wan0 group 5")
    before = gateway.foreign()
    gateway.apply(spec(dataplane))
    assert gateway.foreign() != before
    gateway.down()
    assert gateway.foreign() == before


# --------------------------------------------------------------------------- the gateway's own traffic


def test_the_gateways_own_traffic_goes_the_ordinary_way(edge: Site) -> None:
    edge.client.serve(22)
    before = edge.used()
    assert edge.gateway.connect(edge.far.address, 443).seen == A
    assert edge.through(before) == ({"isp-a"}, {"isp-a"})
    assert edge.gateway.connect(edge.far.address6, 443).seen == A6
    assert edge.gateway.connect(edge.client.address, 22).seen == "192.168.1.1"
    assert edge.gateway.pings(edge.client.address6)
    assert edge.leaks() == 0


def test_an_isp_whose_router_has_an_address_of_a_wide_inside_network_is_no_spoofer(
    site: Site, gateway: GatewayHost, dataplane: str
) -> None:
    """An uplink's own network is often within 10.0.0.0/8 or 100.64.0.0/10, and so is all that is inside."""
    gateway.apply(spec(dataplane).replace("[192.168.1.0/24,", "[192.168.1.0/24, 203.0.112.0/20,"))
    site.far.serve(443)
    assert site.gateway.pings("203.0.113.1")
    assert site.client.connect(site.far.address, 443).seen == A
    assert site.client.pings("203.0.113.1"), "by the uplink's address"
    assert gateway.counters()["spoofed"] == 0


def test_without_a_default_route_of_its_own_the_gateway_takes_the_default_uplink(edge: Site) -> None:
    edge.gateway.ip("route del default", "route del ::/0")
    before = edge.used()
    assert edge.gateway.connect(edge.far.address, 443).seen == A
    assert edge.gateway.connect(edge.far.address6, 443).seen == A6
    assert edge.through(before) == ({"isp-a"}, {"isp-a"})
    assert edge.leaks() == 0


def test_what_the_gateway_binds_to_an_uplinks_address_leaves_by_it(edge: Site) -> None:
    for source, far in ((B, edge.far.address), (B6, edge.far.address6)):
        before = edge.used()
        with edge.gateway.connect(far, 443, source=source) as flow:
            assert flow.seen == source
            assert edge.through(before) == ({"isp-b"}, {"isp-b"})


def test_the_gateway_answers_at_each_of_its_addresses_by_the_right_uplink(edge: Site) -> None:
    for address in (A, B, A6, B6):
        edge.gateway.serve(2022, address=address)
        before = edge.used()
        with edge.far.connect(address, 2022) as flow:
            assert flow.by == "gw"
            assert len(edge.through(before)[0]) == 1
        assert edge.client.connect(address, 2022).by == "gw", "from inside as well"
    assert edge.far.pings(B)
    assert edge.leaks() == 0


def test_unsolicited_packets_to_an_unused_public_address_are_not_sent_back(edge: Site) -> None:
    before = edge.used()["isp-a"][0]
    assert not edge.far.pings("203.0.113.30", wait=0.3)
    assert not edge.far.pings("2001:db8:a:1::30", wait=0.3)
    sent = edge.used()["isp-a"][0] - before
    assert sent <= 2, "at most an 'unreachable' each, never the packet itself"
    assert edge.leaks() == 0


@pytest.mark.parametrize("routes", ["", "  routes: [{ name: lan, in: [lan0], via: isp-b }]\n"], ids=["", "routes"])
def test_an_unused_public_address_is_answered_by_the_gateway_itself(
    site: Site, gateway: GatewayHost, dataplane: str, routes: str
) -> None:
    """The ISP would send the packet back, to the gateway that it came from."""
    gateway.apply(spec(dataplane, routes))
    before = site.used()
    for unused in ("203.0.113.30", "198.51.100.30", "2001:db8:a:1::30"):
        with pytest.raises(AssertionError, match=r"No route to host|Network is unreachable"):
            site.client.connect(unused, 443)
    assert site.used() == before
    assert site.leaks() == 0


# --------------------------------------------------------------------------- a gateway with other numbers


@pytest.mark.parametrize("numbers", ["protocol: 99", "protocol: 99, table: 9000", "linkGroup: 100"])
def test_a_spec_with_other_numbers_says_to_take_the_old_gateway_away_first(
    site: Site, gateway: GatewayHost, dataplane: str, numbers: str
) -> None:
    gateway.apply(spec(dataplane))
    before = gateway.owned()
    other = gateway.spec(spec(dataplane, f"  numbers: {{ {numbers} }}\n"))
    for command in ("plan", "apply", "down", "status", "drift"):
        refused = gateway.nvictl(command, other, check=False)
        assert refused.returncode == (2 if command in ("drift", "status") else 1)
        assert "belongs to a gateway with other numbers: {linkGroup: 78, protocol: 78}" in refused.stderr
        assert "nvictl down DIR" in refused.stderr
    assert gateway.owned() == before
    gateway.down()
    gateway.apply(spec(dataplane, f"  numbers: {{ {numbers} }}\n"))
    refused = gateway.nvictl("down", check=False)
    assert (refused.returncode, "with other numbers" in refused.stderr) == (1, True)
    gateway.down(str(other))
    assert gateway.owned() == []


# --------------------------------------------------------------------------- marks


@pytest.mark.parametrize("mark", ["meta mark set 0x80000001", "meta mark set 5"])
def test_a_neighbour_who_writes_our_bit_is_named_before_anything_is_touched(
    site: Site, gateway: GatewayHost, mark: str
) -> None:
    site.gateway.nft(f"table inet shop {{ chain c {{ type filter hook prerouting priority -150; {mark}; }}; }}")
    before = gateway.foreign()
    refused = gateway.nvictl("apply", gateway.spec(spec()), check=False)
    assert refused.returncode == 1
    assert "shop" in refused.stderr
    assert "hint:" in refused.stderr
    assert gateway.foreign() == before
    assert gateway.owned() == []
    gateway.nvictl("apply", "--force", gateway.spec(spec()))
    assert gateway.differences(gateway.spec(spec())) == []


def test_another_stage_bit_makes_room_for_a_neighbour(site: Site, gateway: GatewayHost) -> None:
    site.gateway.nft(
        "table inet shop { chain c { type filter hook prerouting priority -150; meta mark set mark | 0x80000000; }; }"
    )
    text = spec("{ type: bpf, stageBit: 29 }")
    assert gateway.nvictl("apply", gateway.spec(spec()), check=False).returncode == 1
    gateway.apply(text)
    site.far.serve(443)
    assert site.client.connect(site.far.address, 443).seen == A
    assert site.leaks() == 0
