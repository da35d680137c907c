"""An uplink whose wire has no addresses of its own, but a router, and prefixes that are routed to the gateway."""

from __future__ import annotations

import pytest

from tests.lab import GatewayHost, Site
from tests.netns.scenarios import EDGE

pytestmark = pytest.mark.netns

ROUTED, ROUTED6 = "198.51.100.17", "2001:db8:b:1::17"
UPLINKS = """\
  uplinks:
    isp-a: { interface: wan0, nextHop: 203.0.113.1, addresses: 203.0.113.2 }
    isp-b:
      interface: wan1
      nextHop: [198.51.100.1, "fe80::1"]
      routed: [198.51.100.16/28, "2001:db8:b:1::/64"]
      translateTo: [198.51.100.17, "2001:db8:b:1::17"]
  defaultUplink: { first: [isp-b, isp-a] }
  sourceNat:
    - { name: everyone, as: isp-b }
"""


def test_the_gateway_itself_bears_a_routed_address_there(site: Site, gateway: GatewayHost, dataplane: str) -> None:
    """The kernel would take one of another interface, such as the address of the other ISP."""
    router = site.isps["isp-b"].host
    site.gateway.ip(
        "addr flush dev wan1",
        "addr add fe80::99/64 dev wan1 nodad",
        f"addr add {ROUTED}/28 dev lan0",
        f"addr add {ROUTED6}/64 dev lan0 nodad",
    )
    router.ip(
        "addr add fe80::1/64 dev gwa nodad",
        "route replace 198.51.100.16/28 dev gwa",
        "route replace 2001:db8:b:1::/64 via fe80::99 dev gwa",
    )
    site.far.serve(443)
    text = EDGE.format(dataplane=dataplane) + UPLINKS
    gateway.apply(text)
    for address, routed in ((site.far.address, ROUTED), (site.far.address6, ROUTED6)):
        assert site.gateway.connect(address, 443).seen == routed
        assert site.client.connect(address, 443).seen == routed
    assert gateway.differences(text) == []
    assert site.leaks() == 0
