"""Uplinks whose wires have nothing but transfer networks: the public address is routed, and on no interface."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.lab import GatewayHost, Lab, Site, dual_wan
from tests.netns.scenarios import EDGE

pytestmark = pytest.mark.netns

FAMILIES = pytest.mark.parametrize("family", [4, 6])

PUBLIC = {
    "isp-a": {4: "203.0.113.17", 6: "2001:db8:a:1::17"},
    "isp-b": {4: "198.51.100.17", 6: "2001:db8:b:1::17"},
}
ROUTER = {4: "100.64.7.1", 6: "2001:db8:ee:a::1"}
WIRE = {4: "100.64.7.2", 6: "2001:db8:ee:a::2"}
SPEC = (
    EDGE
    + """\
  uplinks:
    isp-a:
      interface: wan0
      nextHop: [100.64.7.1, "2001:db8:ee:a::1"]
      addresses: [100.64.7.2, "2001:db8:ee:a::2"]
      routed: [203.0.113.16/28, "2001:db8:a:1::/64"]
      translateTo: [203.0.113.17, "2001:db8:a:1::17"]
      default: true
    isp-b:
      interface: wan1
      nextHop: auto
      routed: [198.51.100.16/28, "2001:db8:b:1::/64"]
      translateTo: [198.51.100.17, "2001:db8:b:1::17"]
  sourceNat:
    - name: server
      from: [192.168.1.80, "fd00:1::80"]
      as: isp-b
    - name: everyone
      as: {everyone}
  forwards:
    web:
      ports: [443/tcp, 443/udp]
      to: [192.168.1.80, "fd00:1::80"]
    ping:
      at: isp-b
      to: [192.168.1.80, "fd00:1::80"]
"""
)


def spec(dataplane: str, everyone: str = "isp-a") -> str:
    return SPEC.format(dataplane=dataplane, everyone=everyone)


def transfer_networks(lab: Lab, **mtus: int) -> Site:
    """`dual_wan`, renumbered: an ISP still drops, as a leak, whatever does not come from what it routes here."""
    site = dual_wan(lab, **mtus)
    site.gateway.ip("route del default", "route del ::/0")
    for ifname, name, number in (("wan0", "isp-a", 7), ("wan1", "isp-b", 9)):
        letter, isp = name[-1], site.isps[name].host
        public = "203.0.113" if letter == "a" else "198.51.100"
        v4, v6 = f"100.64.{number}", f"2001:db8:ee:{letter}:"
        site.gateway.ip(
            f"addr flush dev {ifname} scope global",
            f"addr add {v4}.2/30 dev {ifname}",
            f"addr add {v6}:2/64 dev {ifname} nodad",
            f"route add default via {v4}.1 metric {number}",
            f"route add ::/0 via {v6}:1 metric {number}",
        )
        isp.ip(
            "addr flush dev gwa scope global",
            f"addr add {v4}.1/30 dev gwa",
            f"addr add {v6}:1/64 dev gwa nodad",
            f"route replace {public}.16/28 via {v4}.2",
            f"route replace 2001:db8:{letter}:1::/64 via {v6}:2",
        )
    for host in (site.far, site.server):
        host.serve(443)
        host.serve(443, protocol="udp")
    return site


def far(site: Site, family: int) -> str:
    return site.far.address if family == 4 else site.far.address6


@FAMILIES
def test_flows_leave_with_the_routed_address_and_forwards_are_reached_there(
    lab: Lab, dataplane: str, family: int, tmp_path: Path
) -> None:
    site = transfer_networks(lab)
    gateway = GatewayHost(site.gateway)
    gateway.apply(spec(dataplane))
    for host, isp in ((site.client, "isp-a"), (site.server, "isp-b")):
        before = site.used()
        with host.connect(far(site, family), 443) as flow:
            assert flow.seen == PUBLIC[isp][family]
        assert site.through(before) == ({isp}, {isp})
    for isp, public in PUBLIC.items():
        before = site.used()
        with site.far.connect(public[family], 443) as flow:
            assert flow.by == "server"
        assert site.through(before) == ({isp}, {isp})
    with site.client.connect(PUBLIC["isp-a"][family], 443) as flow:
        assert (flow.by, flow.seen) == ("server", PUBLIC["isp-a"][family]), "a hairpin"
    (tmp_path / "gateway.yaml").write_text(spec(dataplane))
    assert gateway.differences(tmp_path / "gateway.yaml") == []
    assert site.leaks() == 0


@FAMILIES
def test_what_is_spread_over_uplinks_has_their_routed_addresses_and_fails_over(
    lab: Lab, dataplane: str, family: int
) -> None:
    site = transfer_networks(lab)
    gateway = GatewayHost(site.gateway)
    text = spec(dataplane, "{ uplinks: { isp-a: 2, isp-b: 1 }, pick: round-robin }")
    gateway.apply(text)

    def seen() -> set[str]:
        found = set()
        for _ in range(6):
            with site.client.connect(far(site, family), 443) as flow:
                found.add(flow.seen)
        return found

    assert seen() == {PUBLIC["isp-a"][family], PUBLIC["isp-b"][family]}
    site.isps["isp-a"].host.ip("link set gwa down")
    gateway.apply(text)
    assert seen() == {PUBLIC["isp-b"][family]}
    assert site.leaks() == 0


@FAMILIES
def test_the_gateways_errors_about_translated_flows_come_from_the_routed_address(
    lab: Lab, dataplane: str, family: int
) -> None:
    site = transfer_networks(lab, lan_mtu=1280)
    GatewayHost(site.gateway).apply(spec(dataplane))
    for public in PUBLIC.values():
        with site.far.connect(public[family], 443) as flow:
            assert flow.again(b"x" * 200_000).size == 200_001
    public = PUBLIC["isp-b"][family]
    too_big = site.far.ping(public, size=1300, df=True).stdout
    assert re.search(r"mtu ?= ?1280|mtu=1280", too_big), too_big
    exceeded = site.far.ping(public, ttl=2).stdout
    assert "exceeded" in exceeded, exceeded
    for told in (too_big, exceeded):
        assert f"from {public}" in told.lower(), told
    assert site.leaks() == 0


@FAMILIES
def test_a_client_is_told_of_a_narrow_uplink_whose_wire_is_private(lab: Lab, dataplane: str, family: int) -> None:
    site = transfer_networks(lab, uplink_mtu=1400)
    GatewayHost(site.gateway).apply(spec(dataplane))
    told = site.client.ping(far(site, family), size=1400, df=True).stdout
    assert re.search(r"mtu ?= ?1400|mtu=1400", told), told
    with site.client.connect(far(site, family), 443) as flow:
        assert flow.again(b"x" * 200_000).size == 200_001
    assert site.leaks() == 0


@FAMILIES
def test_the_wire_itself_sees_the_address_on_the_wire(lab: Lab, dataplane: str, family: int) -> None:
    site = transfer_networks(lab)
    GatewayHost(site.gateway).apply(spec(dataplane))
    router = site.isps["isp-a"].host
    router.nft("delete table inet isp\n")
    router.serve(80, address=ROUTER[family])
    for host in (site.gateway, site.client):
        with host.connect(ROUTER[family], 80) as flow:
            assert flow.seen == WIRE[family]


@FAMILIES
def test_the_gateway_itself_answers_at_the_routed_address_where_lo_has_it(
    lab: Lab, dataplane: str, family: int
) -> None:
    site = transfer_networks(lab)
    public = PUBLIC["isp-a"][family]
    site.gateway.ip(f"addr add {public}/{32 if family == 4 else 128} dev lo")
    GatewayHost(site.gateway).apply(spec(dataplane))
    before = site.used()
    assert site.far.pings(public)
    assert site.through(before) == ({"isp-a"}, {"isp-a"})
    with site.client.connect(far(site, family), 443) as flow:
        assert flow.seen == public
    with site.far.connect(public, 443) as flow:
        assert flow.by == "server"
    assert site.leaks() == 0
