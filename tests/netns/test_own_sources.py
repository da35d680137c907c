"""What the gateway itself sends leaves by the uplink of its source, and is counted where it would not."""

from __future__ import annotations

import socket
from contextlib import suppress

import pytest

from tests.lab import GatewayHost, Site
from tests.netns.losses import nothing_of_the_table
from tests.netns.scenarios import A6, B6, A, B, spec

pytestmark = pytest.mark.netns


def say(site: Site, source: str, to: str) -> None:
    """A datagram of the gateway's, from one of its addresses."""
    family = socket.AF_INET6 if ":" in source else socket.AF_INET
    with site.gateway.socket(family, socket.SOCK_DGRAM) as sock:
        sock.bind((source, 0))
        with suppress(PermissionError):  # of a drop in the output or postrouting hook the sender is told
            sock.sendto(b"hello\n", (to, 9))


def refused(gateway: GatewayHost) -> int:
    counters = gateway.counters()
    return counters.get("wrong_uplink_own", 0) + counters["egress_wrong_uplink"]


def test_a_source_of_a_dynamic_uplink_that_was_renamed_is_held(site: Site, gateway: GatewayHost) -> None:
    text = spec().replace("addresses: [198.51.100.2, 2001:db8:b::2]", "addresses: auto")
    text = text.replace("nextHop: [198.51.100.1, 2001:db8:b::1]", "nextHop: auto")
    gateway.apply(text)
    site.gateway.rename("wan1", "wan9")
    gateway.apply(text)
    before = site.used()["isp-a"][0]
    say(site, B, site.far.address)
    say(site, A, site.far.address)
    assert site.leaks() == 0
    assert refused(gateway) == 1
    assert site.used()["isp-a"][0] == before + 1, "its own leaves"


@pytest.mark.parametrize("table", [True, False], ids=["with-its-table", "without"])
def test_without_the_rule_by_source_it_is_held_by_the_guards(site: Site, gateway: GatewayHost, table: bool) -> None:
    gateway.apply(spec())
    for family in ("-4", "-6"):
        site.gateway.run("ip", family, "rule", "flush", "pref", "1600")
    if not table:
        nothing_of_the_table(site.gateway)
    for source, to in ((B, site.far.address), (B6, site.far.address6)):
        say(site, source, to)
    assert site.leaks() == 0
    if table:
        assert gateway.counters()["wrong_uplink_own"] == 2
    assert refused(gateway) == 2
    before = site.used()["isp-a"][0]
    for source, to in ((A, site.far.address), (A6, site.far.address6)):
        say(site, source, to)
    assert site.used()["isp-a"][0] == before + 2


def test_an_uplink_with_link_local_addresses_alone_says_what_the_gateway_itself_lacks(
    site: Site, gateway: GatewayHost
) -> None:
    """An ISP that routes a prefix, and gives no address for the link."""
    text = spec().replace(", 2001:db8:a::2]", "]").replace(", 2001:db8:b::1]", "]").replace(", 2001:db8:b::2]", "]")
    text = text.replace(', "2001:db8:b:1::/64"]', "]").replace("2001:db8:b:1::20", "2001:db8:a:1::21")
    text = text.replace("  sourceNat:\n", "  sourceNat:\n    - {name: six, to: '::/0', as: '2001:db8:a:1::20'}\n")
    site.gateway.ip("addr del 2001:db8:a::2/64 dev wan0", "addr del 2001:db8:b::2/64 dev wan1")
    site.gateway.ip("addr add fe80::2/64 dev wan0 nodad")
    site.gateway.ip("route replace default via 2001:db8:a::1 dev wan0 onlink")
    site.isps["isp-a"].host.ip("route replace 2001:db8:a:1::/64 via fe80::2 dev gwa")
    site.far.serve(443)
    told = gateway.nvictl("apply", gateway.spec(text)).stderr
    assert "put a routed address on lo: ip address add 2001:db8:a:1::1/128 dev lo" in told
    assert "uplink isp-a has no IPv6 address" not in gateway.nvictl("status", gateway.spec(text), check=False).stdout
    assert site.client.connect(site.far.address6, 443).seen == "2001:db8:a:1::20"
    site.gateway.ip("addr add 2001:db8:a:1::1/128 dev lo nodad")
    told = gateway.nvictl("apply", gateway.spec(text)).stderr
    assert "dev lo" not in told
    assert site.gateway.connect(site.far.address6, 443).seen == "2001:db8:a:1::20", "the rule is about it as well"


def test_a_source_of_no_uplink_is_not_asked(site: Site, gateway: GatewayHost) -> None:
    """An anycast address on lo that an ISP routes here, unknown to the spec."""
    site.gateway.ip("addr add 203.0.113.200/32 dev lo")
    gateway.apply(spec())
    before = site.used()["isp-a"][0]
    say(site, "203.0.113.200", site.far.address)
    assert site.used()["isp-a"][0] == before + 1
    assert refused(gateway) == 0
