"""1:1 NAT of both families in one entry: towards all or one network, and without the parts that are excepted."""

from __future__ import annotations

import pytest

from tests.lab import GatewayHost, Site
from tests.lab.segments import add_host
from tests.lab.topologies import FAR, FAR6, OTHER, OTHER6
from tests.netns.scenarios import A6, B6, A, B, spec

pytestmark = pytest.mark.netns

REAL, REAL6 = "192.168.1.80", "fd00:1::80"
KNOWN_AS, KNOWN_AS6 = "203.0.113.20", "2001:db8:a:1::20"
SERVER = f"address: [{REAL}, '{REAL6}'], as: [{KNOWN_AS}, '{KNOWN_AS6}']"


@pytest.fixture
def talk(site: Site) -> Site:
    for address in (FAR, FAR6, OTHER, OTHER6):
        site.far.serve(7, protocol="udp", address=address)
    for host in (site.client, site.server):
        host.serve(8, protocol="udp")
    return site


def seen(site: Site, *destinations: str, host: str = "server") -> list[str]:
    """As whom a host inside is seen there."""
    found = []
    for address in destinations:
        with site[host].connect(address, 7, protocol="udp") as flow:
            found.append(flow.seen)
    return found


def static(dataplane: str, entry: str) -> str:
    return spec(dataplane, f"  static:\n    host: {{ {entry} }}\n")


def test_one_entry_is_for_both_families(talk: Site, gateway: GatewayHost, dataplane: str) -> None:
    gateway.apply(static(dataplane, SERVER))
    assert seen(talk, FAR, FAR6) == [KNOWN_AS, KNOWN_AS6]
    for public in (KNOWN_AS, KNOWN_AS6):
        with talk.far.connect(public, 8, protocol="udp") as flow:
            assert flow.by == "server"
    assert talk.leaks() == 0


def test_an_entry_towards_one_network_is_for_that_network_only(
    talk: Site, gateway: GatewayHost, dataplane: str
) -> None:
    gateway.apply(static(dataplane, f"{SERVER}, to: [{FAR}, '{FAR6}']"))
    assert seen(talk, FAR, FAR6, OTHER, OTHER6) == [KNOWN_AS, KNOWN_AS6, B, B6]
    for public, there, elsewhere in ((KNOWN_AS, FAR, OTHER), (KNOWN_AS6, FAR6, OTHER6)):
        with talk.far.connect(public, 8, protocol="udp", source=there) as flow:
            assert (flow.by, flow.seen) == ("server", there)
        assert not talk.far.reaches(public, 8, protocol="udp", source=elsewhere)
    assert talk.leaks() == 0


def test_an_entry_may_be_towards_another_network_inside(talk: Site, gateway: GatewayHost) -> None:
    """As to a site behind a tunnel, which knows this one by another number."""
    dmz = add_host(talk.lab, talk.gateway, "dmz0", "dmz", network="192.168.2", network6="fd00:2:")
    dmz.serve(7, protocol="udp")
    text = static("{ type: bpf }", f"{SERVER}, to: [192.168.2.0/24, 'fd00:2::/64']")
    gateway.apply(
        text.replace("  uplinks:\n", "    dmz0:\n      networks: [192.168.2.0/24, fd00:2::/64]\n  uplinks:\n")
    )
    assert seen(talk, dmz.address, dmz.address6, FAR, FAR6) == [KNOWN_AS, KNOWN_AS6, B, B6]
    assert seen(talk, dmz.address, host="client") == [talk.client.address]
    with dmz.connect(KNOWN_AS, 8, protocol="udp") as flow:
        assert (flow.by, flow.seen) == ("server", dmz.address)


def test_the_parts_that_are_excepted_stay_out_of_it(talk: Site, gateway: GatewayHost, dataplane: str) -> None:
    site = "address: [192.168.1.0/28, 'fd00:1::/120'], as: [203.0.113.16/28, '2001:db8:a:1::/120']"
    gateway.apply(static(dataplane, site))
    assert seen(talk, FAR, FAR6, host="client") == ["203.0.113.26", "2001:db8:a:1::10"]
    gateway.apply(static(dataplane, f"{site}, except: [192.168.1.8/29, '2001:db8:a:1::/123']"))
    assert seen(talk, FAR, FAR6, host="client") == [A, A6], "as any other host"
    assert seen(talk, FAR6) == ["2001:db8:a:1::80"]
    assert not talk.far.reaches("203.0.113.26", 8, protocol="udp")
    assert not talk.far.reaches("2001:db8:a:1::10", 8, protocol="udp")
    with talk.far.connect("2001:db8:a:1::80", 8, protocol="udp") as flow:
        assert flow.by == "server"
    assert talk.leaks() == 0


def test_the_gateways_own_address_within_a_prefix_answers_as_itself(
    talk: Site, gateway: GatewayHost, dataplane: str
) -> None:
    text = static(dataplane, "address: [192.168.1.0/29, 'fd00:1::/125'], as: [203.0.113.0/29, '2001:db8:a::/125']")
    text = text.replace("routed: [203.0.113.16/28,", "routed: [203.0.113.0/29, '2001:db8:a::/125', 203.0.113.16/28,")
    talk.client.ip("addr add 192.168.1.2/24 dev eth0", "addr add fd00:1::2/64 dev eth0 nodad")
    assert "203.0.113.2 is the address of uplink isp-a and stays its own" in gateway.apply(text).stderr
    for address in (A, A6):
        talk.gateway.serve(9, protocol="udp", address=address)
        with talk.far.connect(address, 9, protocol="udp") as flow:
            assert flow.by == "gw"
    assert talk.leaks() == 0


def test_one_entry_of_twice_nat_is_for_both_families(partner_site: Site, dataplane: str) -> None:
    """Either side has the numbers of the other."""
    gateway = GatewayHost(partner_site.gateway)
    link = (
        "    partner: { interface: part0, nextHop: [10.255.0.1, 'fd00:ff::1'], addresses: [10.255.0.2, 'fd00:ff::2'],"
        " routed: [10.1.0.0/24, 'fd00:a1::/64'] }\n"
    )
    twice = (
        "  twiceNat:\n    partner: { from: [192.168.1.0/24, 'fd00:1::/64'], as: ['fd00:a1::/64', 10.1.0.0/24],"
        " to: [10.2.0.0/24, 'fd00:a2::/64'], becomes: [192.168.1.0/24, 'fd00:1::/64'], via: partner }\n"
    )
    gateway.apply(spec(dataplane, twice).replace("  sourceNat:\n", f"{link}  sourceNat:\n"))
    partner_site["partner"].serve(7, protocol="udp")
    for address, known_as in (("10.2.0.20", "10.1.0.10"), ("fd00:a2::20", "fd00:a1::10")):
        with partner_site.client.connect(address, 7, protocol="udp") as flow:
            assert (flow.by, flow.seen) == ("partner", known_as)
    assert partner_site.leaks() == 0


def test_nptv6_gives_hosts_the_addresses_that_ip6tables_gave_them(talk: Site, gateway: GatewayHost) -> None:
    """RFC 6296: the subnet number makes up for the prefix, so that checksums stay as they are."""
    talk.isps["isp-a"].host.ip("route add 2001:db8:a:cf3e::/64 via 2001:db8:a::2")
    text = static("{ type: bpf }", "address: 'fd00:1::/48', as: '2001:db8:a::/48', nptv6: true")
    gateway.apply(text.replace('"2001:db8:a:1::/64"]', '"2001:db8:a::/48"]'))
    assert seen(talk, FAR6) == ["2001:db8:a:cf3e::80"]
    with talk.far.connect("2001:db8:a:cf3e::80", 8, protocol="udp") as flow:
        assert (flow.by, flow.seen[:5]) == ("server", "fd00:")
    assert talk.leaks() == 0
