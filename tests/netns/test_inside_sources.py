"""A source that is an inside address: for hosts whose default router is another box than the gateway."""

from __future__ import annotations

import pytest

from tests.lab import GatewayHost, Site
from tests.netns.scenarios import A6, A, B, spec

pytestmark = pytest.mark.netns

LAN, LAN6 = "192.168.1.1", "fd00:1::1"


def inbound(dataplane: str, known_as: str = "") -> str:
    text = spec(dataplane)
    if known_as:
        text = text.replace("      networks: [192", f"      knownAs: [{known_as}]\n      networks: [192")
    return text.replace(
        "    - name: server\n",
        "    - name: inbound\n      in: [lan0, wan0, wan1]\n      from: [0.0.0.0/0, '::/0']\n"
        f"      to: [192.168.1.80, 'fd00:1::80']\n      as: [{LAN}, '{LAN6}']\n    - name: server\n",
    )


@pytest.mark.parametrize("known_as", ["", f"{LAN}/32"], ids=["plain", "known-as"])
def test_a_published_server_without_a_route_back_answers(
    site: Site, gateway: GatewayHost, dataplane: str, known_as: str
) -> None:
    site.server.ip("route del default", "route del ::/0")
    site.server.serve(443)
    gateway.apply(inbound(dataplane, known_as))
    for public, as_, isp in ((A, LAN, "isp-a"), (A6, LAN6, "isp-a"), (B, LAN, "isp-b")):
        before = site.used()
        with site.far.connect(public, 443) as flow:
            assert (flow.by, flow.seen) == ("server", as_)
            assert site.through(before) == ({isp}, {isp})
    with site.client.connect(A, 443) as flow:
        assert (flow.by, flow.seen) == ("server", LAN), "a hairpin needs it for the same reason"
    assert site.leaks() == 0
    assert gateway.differences(inbound(dataplane, known_as)) == []


def test_between_inside_networks_as_well(site: Site, gateway: GatewayHost, dataplane: str) -> None:
    dmz = site.lab.host("dmz")
    site.lab.link(site.gateway, "dmz0", dmz, "eth0")
    site.gateway.ip("addr add 192.168.2.1/24 dev dmz0")
    dmz.ip("addr add 192.168.2.10/24 dev eth0")  # and no default route
    dmz.serve(80, address="192.168.2.10")
    text = spec(dataplane).replace("  uplinks:\n", "    dmz0:\n      networks: 192.168.2.0/24\n  uplinks:\n")
    line = "    - name: dmz\n      to: 192.168.2.0/24\n      as: 192.168.2.1\n    - name: server\n"
    gateway.apply(text.replace("    - name: server\n", line))
    assert site.client.connect("192.168.2.10", 80).seen == "192.168.2.1"
    assert site.leaks() == 0


def test_an_address_that_the_gateway_lacks_is_noted(site: Site, gateway: GatewayHost, dataplane: str) -> None:
    done = gateway.nvictl("plan", gateway.spec(inbound(dataplane).replace(f"[{LAN},", "[192.168.1.9,")))
    assert "sourceNat inbound: 192.168.1.9 is on no interface now" in done.stderr
    assert LAN6 not in done.stderr
