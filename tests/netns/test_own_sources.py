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


def test_a_source_of_no_uplink_is_not_asked(site: Site, gateway: GatewayHost) -> None:
    """An anycast address on lo that an ISP routes here, unknown to the spec."""
    site.gateway.ip("addr add 203.0.113.200/32 dev lo")
    gateway.apply(spec())
    before = site.used()["isp-a"][0]
    say(site, "203.0.113.200", site.far.address)
    assert site.used()["isp-a"][0] == before + 1
    assert refused(gateway) == 0
