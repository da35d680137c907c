"""Uplinks by preference, with packets: the emergency line carries nothing while the other works, then everything."""

from __future__ import annotations

import socket

import pytest

from tests.lab import GatewayHost, Site
from tests.lab.net import until
from tests.netns.scenarios import A6, B6, A, B, spec

pytestmark = pytest.mark.netns

CLIENTS, FARS = range(100, 116), range(3, 200)


@pytest.fixture
def ordered(dataplane: str) -> str:
    """isp-a, and isp-b only in an emergency, for inside hosts and for the gateway itself."""
    text = spec(dataplane).replace("      default: true\n", "")
    text = text.replace("- name: everyone\n      as: isp-a", "- name: everyone\n      as: { first: [isp-a, isp-b] }")
    return text + "  defaultUplink: { first: [isp-a, isp-b] }\n"


def new_flows(site: Site) -> int:
    """A datagram from each client to each far address; returns their number."""
    site.client.ip(*(f"addr add 192.168.1.{n}/24 dev eth0" for n in CLIENTS))
    for number in CLIENTS:
        with site.client.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.bind((f"192.168.1.{number}", 0))
            for far in FARS:
                sock.sendto(b"x", (f"192.0.2.{far}", 9))
    return len(CLIENTS) * len(FARS)


def test_a_metered_line_gets_no_packet_while_a_better_one_lives(
    site: Site, gateway: GatewayHost, ordered: str
) -> None:
    gateway.apply(ordered)
    before = site.used()
    sent = new_flows(site)
    until(lambda: site.used()["isp-a"][0] - before["isp-a"][0] >= sent * 0.9, "the flows are out")
    assert site.used()["isp-b"][0] == before["isp-b"][0]
    assert site.leaks() == 0


def test_the_next_one_takes_over_for_clients_and_for_the_gateway_and_gives_back(
    site: Site, gateway: GatewayHost, ordered: str
) -> None:
    site.far.serve(443)

    def seen() -> list[str]:
        far = site.far.address, site.far.address6
        return [host.connect(address, 443).seen for host in (site.client, site.gateway) for address in far]

    gateway.apply(ordered)
    assert seen() == [A, A6, A, A6]
    site.isps["isp-a"].host.ip("link set dev gwa down")
    until(lambda: "NO-CARRIER" in site.gateway.run("ip", "link", "show", "wan0").stdout, "wan0 has no carrier")
    gateway.apply(ordered)
    assert seen() == [B, B6, B, B6], "although main leads by isp-a"
    assert gateway.differences(ordered) == []
    site.isps["isp-a"].host.ip("link set dev gwa up", "addr replace 2001:db8:a::1/64 dev gwa nodad")
    until(lambda: "NO-CARRIER" not in site.gateway.run("ip", "link", "show", "wan0").stdout, "wan0 has a carrier")
    gateway.apply(ordered)
    assert seen() == [A, A6, A, A6]
    assert site.leaks() == 0
    gateway.down()
    assert gateway.owned() == []


def test_a_server_with_an_address_of_each_isp_fails_over_to_the_other(
    site: Site, gateway: GatewayHost, dataplane: str
) -> None:
    """By uplinks of its own on the same wires; what 1:1 NAT gives ends with its uplink."""
    text = (
        spec(dataplane).replace("203.0.113.16/28", "203.0.113.24/29").replace("198.51.100.16/28", "198.51.100.16/29")
    )
    for name, ifname, router, address in (
        ("mail-a", "wan0", "203.0.113.1", "203.0.113.17"),
        ("mail-b", "wan1", "198.51.100.1", "198.51.100.30"),
    ):
        uplink = f"{{ interface: {ifname}, nextHop: {router}, routed: {address}, translateTo: {address} }}"
        text = text.replace("  uplinks:\n", f"  uplinks:\n    {name}: {uplink}\n")
    text = text.replace("as: isp-b\n", "as: { first: [mail-a, mail-b] }\n", 1)
    text = text.replace(
        "  forwards:\n", "  forwards:\n    mail: { at: [mail-a, mail-b], ports: 25/tcp, to: 192.168.1.80 }\n"
    )
    gateway.apply(text)
    site.far.serve(443)
    site.server.serve(25)
    assert site.server.connect(site.far.address, 443).seen == "203.0.113.17"
    assert site.client.connect(site.far.address, 443).seen == A
    assert [site.far.connect(at, 25).by for at in ("203.0.113.17", "198.51.100.30")] == ["server"] * 2
    site.isps["isp-a"].host.ip("link set dev gwa down")
    until(lambda: "NO-CARRIER" in site.gateway.run("ip", "link", "show", "wan0").stdout, "wan0 has no carrier")
    gateway.apply(text)
    assert site.server.connect(site.far.address, 443).seen == "198.51.100.30"
    assert site.far.connect("198.51.100.30", 25).by == "server"
    assert site.leaks() == 0
