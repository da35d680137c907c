"""Containers on the gateway: an engine publishes their ports on every address, and masquerades what they send."""

from __future__ import annotations

import pytest

from tests.lab import GatewayHost, Host, Site, packets
from tests.lab.net import until
from tests.lab.topologies import OTHER, OTHER6
from tests.netns.scenarios import A6, B6, A, B, spec

pytestmark = pytest.mark.netns

BOX, BOX6 = "172.17.0.2", "fd00:17::2"
ENGINE = f"""\
table ip engine {{
    chain pre {{ type nat hook prerouting priority -100; fib daddr type local jump published; }}
    chain out {{ type nat hook output priority -100; ip daddr != 127.0.0.0/8 fib daddr type local jump published; }}
    chain published {{
        iifname docker0 return
        tcp dport 8443 dnat to {BOX}:443
        udp dport 8443 dnat to {BOX}:443
    }}
    chain post {{ type nat hook postrouting priority 100; ip saddr 172.17.0.0/16 oifname != docker0 masquerade; }}
}}
table ip6 engine {{
    chain pre {{ type nat hook prerouting priority -100; fib daddr type local jump published; }}
    chain published {{
        iifname docker0 return
        tcp dport 8443 dnat to [{BOX6}]:443
        udp dport 8443 dnat to [{BOX6}]:443
    }}
    chain post {{ type nat hook postrouting priority 100; ip6 saddr fd00:17::/64 oifname != docker0 masquerade; }}
}}
"""


@pytest.fixture
def box(site: Site) -> Host:
    """A container on a bridge that the spec does not name."""
    box, gateway = site.lab.host("box"), site.gateway
    gateway.ip(
        "link add name docker0 type bridge",
        "link set dev docker0 up",
        "addr add 172.17.0.1/16 dev docker0",
        "addr add fd00:17::1/64 dev docker0 nodad",
    )
    site.lab.link(gateway, "vb0", box, "eth0")
    gateway.ip("link set dev vb0 master docker0")
    box.ip(
        f"addr add {BOX}/16 dev eth0",
        f"addr add {BOX6}/64 dev eth0 nodad",
        "route add default via 172.17.0.1",
        "route add ::/0 via fd00:17::1",
    )
    box.address, box.address6 = BOX, BOX6
    for protocol in ("tcp", "udp"):
        box.serve(443, protocol=protocol)
    gateway.nft(ENGINE)
    return box


@pytest.mark.parametrize("protocol", ["tcp", "udp"])
def test_a_published_port_answers_on_every_uplink(
    site: Site, gateway: GatewayHost, box: Host, dataplane: str, protocol: str
) -> None:
    gateway.apply(spec(dataplane))
    for public, isp in ((A, "isp-a"), (B, "isp-b"), (A6, "isp-a"), (B6, "isp-b")):
        before = site.used()
        with site.far.connect(public, 8443, protocol=protocol) as flow:
            assert flow.by == "box"
            assert flow.seen.startswith(("172.31.", "fd00:f")), "the container sees the true client"
            assert site.through(before) == ({isp}, {isp})
    assert site.leaks() == 0


def test_with_more_sources_than_rules_it_answers_as_well(
    site: Site, gateway: GatewayHost, box: Host, dataplane: str
) -> None:
    """Past 32 source prefixes a map finds the uplink."""
    routed = ", ".join(f"203.0.113.{2 * n}" for n in range(32, 72))
    text = spec(dataplane).replace("[203.0.113.16/28, ", f"[203.0.113.16/28, {routed}, ")
    assert text != spec(dataplane)
    gateway.apply(text)
    for public, isp in ((A, "isp-a"), (B, "isp-b"), (A6, "isp-a"), (B6, "isp-b")):
        before = site.used()
        with site.far.connect(public, 8443) as flow:
            assert flow.by == "box"
            assert site.through(before) == ({isp}, {isp})


def test_inside_hosts_reach_it_by_every_address_of_the_gateway(
    site: Site, gateway: GatewayHost, box: Host, dataplane: str
) -> None:
    gateway.apply(spec(dataplane))
    before = site.used()
    for address in ("192.168.1.1", "fd00:1::1", A, B, A6, B6):
        assert site.client.connect(address, 8443).by == "box", address
    assert site.through(before) == (set(), set())


def test_other_containers_reach_it_by_the_uplinks_addresses(
    site: Site, gateway: GatewayHost, box: Host, dataplane: str
) -> None:
    """An answer to another network of the gateway stays on the gateway, though an uplink's address was asked."""
    other = site.lab.host("other")
    site.lab.link(site.gateway, "br1", other, "eth0")
    site.gateway.ip("addr add 172.18.0.1/16 dev br1")
    other.ip("addr add 172.18.0.2/16 dev eth0", "route add default via 172.18.0.1")
    gateway.apply(spec(dataplane))
    before = site.used()
    for public in (A, B):
        assert other.connect(public, 8443).by == "box"
    assert site.through(before) == (set(), set())


def test_a_container_reaches_the_internet_and_is_pinged_back(
    site: Site, gateway: GatewayHost, box: Host, dataplane: str
) -> None:
    gateway.apply(spec(dataplane))
    site.far.serve(443)
    assert box.connect(site.far.address, 443).seen == A
    assert box.connect(site.far.address6, 443).seen == A6
    assert box.pings(site.far.address)
    assert site.leaks() == 0


@pytest.mark.parametrize("protocol", ["tcp", "udp"])
def test_a_container_whose_engine_translates_it_reaches_inside_hosts(
    site: Site, gateway: GatewayHost, box: Host, dataplane: str, protocol: str
) -> None:
    gateway.apply(spec(dataplane))
    site.gateway.nft(FIREWALL)
    site.client.serve(9000, protocol=protocol)
    before = site.used()
    for inside, seen in (
        (site.client.address, "192.168.1.1"),
        (site.client.address6, "fd00:1::1"),
    ):
        assert box.pings(inside)
        with box.connect(inside, 9000, protocol=protocol) as flow:
            assert flow.seen == seen
            flow.again()
    assert site.through(before) == (set(), set())


def test_what_nobody_translates_gets_no_answer_of_an_inside_host_by_an_interface_that_the_spec_does_not_name(
    site: Site, gateway: GatewayHost, box: Host, dataplane: str
) -> None:
    """It might be an ISP's."""
    gateway.apply(spec(dataplane))
    site.gateway.run("nft", "flush chain ip engine post; flush chain ip6 engine post")
    before = gateway.counters()["leak_untranslated"]
    for inside in (site.client.address, site.client.address6):
        assert not box.pings(inside, wait=0.3)
    assert gateway.counters()["leak_untranslated"] == before + 2


# What Docker and libvirt accept at the forward hook: established connections to their bridge, what leaves it, and
# published ports.
FIREWALL = """\
table inet firewall {
    chain forward {
        type filter hook forward priority filter; policy drop;
        oifname docker0 ct state established,related accept
        iifname docker0 accept
        oifname docker0 ct status dnat accept
    }
}
"""


@pytest.mark.parametrize("protocol", ["tcp", "udp"])
def test_a_firewall_that_lets_established_connections_to_a_bridge_lets_answers_to_its_containers_pass(
    site: Site, gateway: GatewayHost, box: Host, dataplane: str, protocol: str
) -> None:
    gateway.apply(spec(dataplane))
    site.gateway.nft(FIREWALL)
    site.far.serve(443, protocol=protocol)
    for far, seen in ((site.far.address, A), (site.far.address6, A6)):
        with box.connect(far, 443, protocol=protocol) as flow:
            assert flow.seen == seen
    for public, isp in ((A, "isp-a"), (B, "isp-b"), (A6, "isp-a"), (B6, "isp-b")):
        before = site.used()
        with site.far.connect(public, 8443, protocol=protocol) as flow:
            assert flow.by == "box"
            assert site.through(before) == ({isp}, {isp})
    assert site.leaks() == 0


def test_what_a_forward_of_the_spec_sends_to_a_container_is_answered_by_the_uplink_that_was_asked(
    site: Site, gateway: GatewayHost, box: Host, dataplane: str
) -> None:
    more = f"    box:\n      ports: 9443/tcp\n      to: [{BOX}:443, '[{BOX6}]:443']\n"
    gateway.apply(spec(dataplane, more))
    for public, isp in ((A, "isp-a"), (B, "isp-b"), (A6, "isp-a"), (B6, "isp-b")):
        before = site.used()
        with site.far.connect(public, 9443) as flow:
            assert flow.by == "box"
            assert site.through(before) == ({isp}, {isp})
    assert site.leaks() == 0


@pytest.fixture
def declared(dataplane: str) -> str:
    """The spec with the engine's bridge among its interfaces."""
    of_lan = "      networks: [192.168.1.0/24, fd00:1::/64]\n"
    bridge = "    docker0:\n      networks: [172.17.0.0/16, fd00:17::/64]\n"
    return spec(dataplane).replace(of_lan, of_lan + bridge)


@pytest.mark.parametrize("protocol", ["tcp", "udp"])
def test_inside_hosts_see_the_own_address_of_a_container_whose_bridge_the_spec_names(
    site: Site, gateway: GatewayHost, box: Host, declared: str, protocol: str
) -> None:
    """The engine masquerades whatever leaves its bridge; in stage 1 all leaves by a device without addresses."""
    gateway.apply(declared)
    site.server.serve(9000, protocol=protocol)
    before = site.used()
    for inside, seen in ((site.server.address, BOX), (site.server.address6, BOX6)):
        with box.connect(inside, 9000, protocol=protocol) as flow:
            assert flow.seen == seen
    assert site.through(before) == (set(), set())


def test_what_the_spec_leaves_untranslated_the_engine_leaves_as_well(
    site: Site, gateway: GatewayHost, box: Host, declared: str
) -> None:
    rule = "    - { name: partner, to: [192.0.2.200, 2001:db8:f::200], as: unchanged }\n"
    gateway.apply(declared.replace("  sourceNat:\n", "  sourceNat:\n" + rule))
    site.far.serve(9000)
    for address in (OTHER, OTHER6):
        assert not box.pings(address, wait=0.3), "the ISP counts the private source, as it was told to, and drops it"
    assert {line.split()[1] for line in site.leaks().details} == {BOX, BOX6}
    assert box.connect(site.far.address, 9000).seen == A
    assert box.connect(site.far.address6, 9000).seen == A6


def test_what_no_rule_covers_does_not_leave_by_the_address_that_an_engine_finds(
    site: Site, gateway: GatewayHost, box: Host, declared: str
) -> None:
    """In stage 1 the out-interface has no address, so that masquerade takes one of any other, such as an uplink's."""
    gateway.apply(
        declared.replace("      as: isp-a\n", "      from: [192.168.1.0/24, fd00:1::/64]\n      as: isp-a\n")
    )
    site.far.serve(9000)
    before = site.used()
    for address in (site.far.address, site.far.address6):
        assert not box.pings(address, wait=0.3)
        assert site.client.connect(address, 9000).seen in (A, A6)
    assert site.through(before) == ({"isp-a"}, {"isp-a"})
    assert site.leaks() == 0


def test_what_a_rule_translates_of_an_uplink_is_answered_by_no_interface_that_the_spec_does_not_name(
    site: Site, gateway: GatewayHost, dataplane: str
) -> None:
    """Who sends with a source of another ISP's network would make inside hosts answer to there, untranslated."""
    other = site.lab.host("other-isp")
    site.lab.link(site.gateway, "wan2", other, "gwa")
    site.gateway.ip("addr add 192.0.2.1/24 dev wan2", "addr add 2001:db8:e::1/64 dev wan2 nodad")
    other.ip("addr add 192.0.2.9/24 dev gwa", "addr add 2001:db8:e::9/64 dev gwa nodad")
    other.nft(
        "table inet seen {\nchain in {\ntype filter hook prerouting priority raw; udp sport 9000 counter\n}\n}\n"
    )
    rules = "".join(
        f"    - {{ name: masked{n}, in: wan0, to: {inside!r}, as: {masked!r} }}\n"
        for n, (inside, masked) in enumerate((("192.168.1.10", "192.168.1.1"), ("fd00:1::10", "fd00:1::1")))
    )
    gateway.apply(spec(dataplane).replace("  sourceNat:\n", f"  sourceNat:\n{rules}"))
    site.client.serve(9000, protocol="udp")
    isp = site.isps["isp-a"].host
    ends = (("192.0.2.9", site.client.address), ("2001:db8:e::9", site.client.address6))
    for by_another_rule in (False, True):
        for far, inside in ends:
            if by_another_rule:
                family = "-6" if ":" in inside else "-4"
                site.gateway.run("ip", family, "rule", "add", "pref", "900", "from", inside, "lookup", "main")
            before = gateway.counters()["leak_untranslated"]
            isp.inject("gwa", packets.udp(far, inside, 9000), to=site.gateway.mac("wan0"))
            until(
                lambda before=before: gateway.counters()["leak_untranslated"] == before + 1, "the answer is dropped"
            )
    assert "packets 0 " in other.run("nft", "list", "table", "inet", "seen").stdout
