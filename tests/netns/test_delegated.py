"""Prefixes that ISPs delegate: inside networks and prefix NAT follow them, and prefix NAT fails over."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from tests.lab import GatewayHost, Site
from tests.lab.daemon import Daemon
from tests.lab.net import until
from tests.netns.scenarios import EDGE

pytestmark = pytest.mark.netns

UPLINKS = """\
  uplinks:
    isp-a:
      interface: wan0
      nextHop: [203.0.113.1, 2001:db8:a::1]
      addresses: [203.0.113.2, 2001:db8:a::2]
      delegated: 2001:db8:a::/48
      default: true
    isp-b:
      interface: wan1
      nextHop: [198.51.100.1, 2001:db8:b::1]
      addresses: [198.51.100.2, 2001:db8:b::2]
      delegated: 2001:db8:b::/48
  sourceNat:
    - name: everyone
      as: isp-a
"""
PREFIX_NAT = """\
  prefixNat:
    lan:
      address: fd00:1::/64
      as: [{ from: isp-a, subnet: 2 }, { from: isp-b, subnet: 2 }]
"""


def delegate(site: Site, prefix: str, before: str = "") -> None:
    """What a client leaves in `main` of a delegation, and the ISP's way to it."""
    letter = prefix.split(":")[2][0]
    if before:
        site.gateway.ip(f"route del unreachable {before}")
        site.isps[f"isp-{letter}"].host.ip(f"route del {before}")
    site.gateway.ip(f"route add unreachable {prefix} proto dhcp metric 1024")
    site.isps[f"isp-{letter}"].host.ip(f"route add {prefix} via 2001:db8:{letter}::2")


@pytest.fixture
def edge(site: Site) -> Site:
    site.far.serve(7, protocol="udp")
    site.server.serve(7, protocol="udp")
    delegate(site, "2001:db8:a:100::/56")
    delegate(site, "2001:db8:b:100::/56")
    return site


def seen(site: Site) -> str:
    with site.client.connect(site.far.address6, 7, protocol="udp") as flow:
        return flow.seen


def answered(site: Site) -> str:
    """Empty, where no host answers."""
    try:
        return seen(site)
    except AssertionError:
        return ""


def test_one_inside_prefix_is_known_by_a_prefix_of_each_isp(edge: Site, gateway: GatewayHost, dataplane: str) -> None:
    text = EDGE.format(dataplane=dataplane) + UPLINKS + PREFIX_NAT
    gateway.apply(text)
    call = edge.client.connect(edge.far.address6, 7, protocol="udp")
    assert call.seen == "2001:db8:a:102::10", "the host part stays"
    for public, isp in (("2001:db8:a:102::80", "isp-a"), ("2001:db8:b:102::80", "isp-b")):
        before = edge.used()
        with edge.far.connect(public, 7, protocol="udp") as flow:
            assert flow.by == "server"
            assert edge.through(before) == ({isp}, {isp}), "hosts are reached by both"
    edge.isps["isp-a"].host.ip("link set dev gwa down")
    until(lambda: "NO-CARRIER" in edge.gateway.run("ip", "link", "show", "wan0").stdout, "no carrier")
    applied = gateway.apply(text).stdout
    assert "stranded: uplink isp-a: wan0 is without carrier: 1 ended" in applied, applied
    assert call.again().seen == "2001:db8:b:102::10"
    assert seen(edge) == "2001:db8:b:102::10"
    edge.isps["isp-a"].host.ip("link set dev gwa up", "addr replace 2001:db8:a::1/64 dev gwa nodad")
    until(lambda: "NO-CARRIER" not in edge.gateway.run("ip", "link", "show", "wan0").stdout, "a carrier")
    gateway.apply(text)
    edge.isps["isp-a"].host.ip("route replace 2001:db8:a:100::/56 via 2001:db8:a::2")
    edge.isps["isp-a"].host.ip("route replace 2001:db8:f::/48 via fd00:f1::2")
    assert seen(edge) == "2001:db8:a:102::10"
    assert gateway.differences(gateway.spec(text)) == []
    assert edge.leaks() == 0


def test_the_prefix_of_the_other_isp_is_taken_while_probes_say_that_one_is_down(
    edge: Site, gateway: GatewayHost, dataplane: str, tmp_path: Path
) -> None:
    """Carrier, address, router and delegation stay: the line is cut behind the ISP's router."""
    text = EDGE.format(dataplane=dataplane) + UPLINKS + PREFIX_NAT
    health = f"health: {{ probes: ['{edge.far.address6}'], interval: 0.2, down: 2, up: 2, holdDown: 0.5 }}"
    for interface in ("wan0", "wan1"):
        text = text.replace(f"      interface: {interface}\n", f"      interface: {interface}\n      {health}\n")
    daemon = Daemon(edge.gateway, gateway.spec(text), tmp_path / "log")
    try:
        daemon.until("in sync", seconds=60)
        with edge.client.connect(edge.far.address6, 7, protocol="udp") as call:
            assert call.seen == "2001:db8:a:102::10"
            edge.isps["isp-a"].cut()
            daemon.until("uplink isp-a: down", "1 ended", seconds=30)
            assert call.again().seen == "2001:db8:b:102::10", "the next packet of the same flow"
            assert seen(edge) == "2001:db8:b:102::10"
            edge.isps["isp-a"].mend()
            daemon.until("uplink isp-a: up", "in sync", seconds=30)
            assert call.again().seen == "2001:db8:b:102::10", "it stays until it ends"
        assert seen(edge) == "2001:db8:a:102::10"
    finally:
        daemon.stop(signal.SIGKILL)
    assert edge.leaks() == 0


def test_another_delegation_is_followed(edge: Site, gateway: GatewayHost, dataplane: str, tmp_path: Path) -> None:
    text = EDGE.format(dataplane=dataplane) + UPLINKS + PREFIX_NAT
    daemon = Daemon(edge.gateway, gateway.spec(text), tmp_path / "log")
    try:
        daemon.until("in sync", seconds=60)
        assert seen(edge) == "2001:db8:a:102::10"
        delegate(edge, "2001:db8:a:ee00::/60", before="2001:db8:a:100::/56")
        until(lambda: answered(edge) == "2001:db8:a:ee02::10", "the new prefix", seconds=20)
        edge.gateway.ip("route del unreachable 2001:db8:a:ee00::/60")
        until(lambda: answered(edge) == "2001:db8:b:102::10", "the other ISP's, while there is none", seconds=20)
    finally:
        daemon.stop(signal.SIGKILL)
    assert edge.leaks() == 0


def test_an_inside_network_is_a_part_of_it(edge: Site, gateway: GatewayHost, dataplane: str) -> None:
    """As a client of DHCPv6 numbers it: untranslated, by the ISP whose prefix it is, and reached from outside."""
    for host, last in ((edge.client, "10"), (edge.server, "80")):
        host.ip(f"addr add 2001:db8:b:103::{last}/64 dev eth0 nodad", "route replace ::/0 via fd00:1::1")
        host.address6 = f"2001:db8:b:103::{last}"
    edge.gateway.ip("addr add 2001:db8:b:103::1/64 dev lan0 nodad")
    edge.server.serve(443, address=edge.server.address6)
    text = EDGE.format(dataplane=dataplane) + "      delegated: { from: isp-b, subnet: 3 }\n" + UPLINKS
    gateway.apply(text)
    before = edge.used()
    with edge.client.connect(edge.far.address6, 7, protocol="udp", source=edge.client.address6) as flow:
        assert flow.seen == edge.client.address6
        assert edge.through(before) == ({"isp-b"}, {"isp-b"})
    with edge.far.connect(edge.server.address6, 443) as flow:
        assert flow.by == "server"
    with edge.client.connect(edge.far.address6, 7, protocol="udp", source="fd00:1::10") as flow:
        assert flow.seen == "2001:db8:a::2", "its other addresses are translated"
    assert edge.leaks() == 0
