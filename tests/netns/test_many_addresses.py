"""Thousands of public addresses, scattered over two uplinks: who owns one is found by a lookup, not by FIB rules."""

from __future__ import annotations

from ipaddress import ip_address
from pathlib import Path

import pytest

from tests.lab import GatewayHost, Site
from tests.lab.isp import Isp
from tests.netns.scenarios import EDGE

pytestmark = pytest.mark.netns

BOTH = "198.18.0.0/15"  # RFC 2544: the network for benchmarks
LARGE = "198.19.128.0/20"  # of isp-b
SPEC = (
    EDGE
    + """\
  uplinks:
    isp-a:
      interface: wan0
      nextHop: [203.0.113.1, "2001:db8:a::1"]
      addresses: [203.0.113.2, "2001:db8:a::2"]
      default: true
      routed: [{a}]
    isp-b:
      interface: wan1
      nextHop: [198.51.100.1, "2001:db8:b::1"]
      addresses: [198.51.100.2, "2001:db8:b::2"]
      routed: [{large}, {b}]
  sourceNat:
    - name: everyone
      as: isp-a
  static:
    client: {{ address: 192.168.1.10, as: {client} }}
    client6: {{ address: "fd00:1::10", as: "{client6}" }}
    server: {{ address: 192.168.1.80, as: 198.19.130.7 }}
    server6: {{ address: "fd00:1::80", as: "{server6}" }}
"""
)


def scattered(first: str, count: int) -> list[str]:
    """Every other address, so that no two of them make a prefix."""
    return [str(ip_address(first) + 2 * n) for n in range(count)]


def spec(dataplane: str, count: int) -> str:
    """`count` of each family on each uplink, of which the last are in use."""
    a, a6 = scattered("198.18.0.0", count), scattered("2001:db8:a:1::", count)
    b, b6 = scattered("198.19.0.0", count), scattered("2001:db8:b:1::", count)
    return SPEC.format(
        dataplane=dataplane,
        a=", ".join(f'"{address}"' for address in a + a6),
        b=", ".join(f'"{address}"' for address in b + b6),
        large=LARGE,
        client=a[-1],
        client6=a6[-1],
        server6=b6[-1],
    )


@pytest.fixture
def edge(site: Site) -> Site:
    """From afar 198.18.0.0/16 is reached by isp-a and 198.19.0.0/16 by isp-b. Either carries what is from both."""
    for number, (name, net, more) in enumerate(
        (("isp-a", "203.0.113", "198.18.0.0/16"), ("isp-b", "198.51.100", "198.19.0.0/16")), start=1
    ):
        isp = site.isps[name]
        isp.host.ip(f"route add {more} via {net}.2")
        site.far.ip(f"route add {more} via 172.31.{number}.1")
        isp.host.nft("delete table inet isp\n")
        site.isps[name] = Isp(isp.host, (*isp.prefixes, BOTH), isp.prefixes6)
        site.isps[name].arm()
    site.far.serve(443)
    site.client.serve(443)
    site.server.serve(443)
    return site


def fib_rules(site: Site) -> int:
    return sum(len(site.gateway.run("ip", family, "rule").stdout.splitlines()) for family in ("-4", "-6"))


def test_a_flow_leaves_by_the_owner_of_its_address_with_no_fib_rule_more_than_of_ten(
    edge: Site, gateway: GatewayHost, dataplane: str, tmp_path: Path
) -> None:
    gateway.apply(spec(dataplane, 4))
    of_few = fib_rules(edge)
    text = spec(dataplane, 1000)
    gateway.apply(text)
    assert fib_rules(edge) <= of_few
    for host, isp in ((edge.client, "isp-a"), (edge.server, "isp-b")):
        for far in (edge.far.address, edge.far.address6):
            before = edge.used()
            with host.connect(far, 443) as flow:
                public = flow.seen
                assert edge.through(before) == ({isp}, {isp})
            before = edge.used()
            with edge.far.connect(public, 443) as flow:
                assert flow.by == host.name.rpartition("-")[2]
                assert edge.through(before) == ({isp}, {isp}), "the answer as well"
    file = tmp_path / "gateway.yaml"
    file.write_text(text)
    assert gateway.differences(file) == []
    assert edge.leaks() == 0


def test_an_address_that_changes_its_owner_takes_the_other_way_out(
    edge: Site, gateway: GatewayHost, dataplane: str, tmp_path: Path
) -> None:
    moving = '"198.18.255.1"'
    text = spec(dataplane, 100).replace("192.168.1.10, as: 198.18.0.198", f"192.168.1.10, as: {moving}")
    owned_by = {
        isp: text.replace(first, f"{moving}, {first}")
        for isp, first in (("isp-a", '"198.18.0.0"'), ("isp-b", '"198.19.0.0"'))
    }
    file = tmp_path / "gateway.yaml"
    for isp in ("isp-a", "isp-b", "isp-a"):
        file.write_text(owned_by[isp])
        gateway.apply(file)
        before = edge.used()
        assert edge.client.connect(edge.far.address, 443).seen == moving.strip('"')
        assert edge.through(before)[0] == {isp}
    assert gateway.differences(file) == []
    assert edge.leaks() == 0
