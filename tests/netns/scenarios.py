"""The gateway most scenarios are about: `examples/dual-wan` with a server of each sort, in one text."""

from __future__ import annotations

# A gateway with the LAN of `dual_wan` alone. More interfaces may follow, then further fields of `spec`.
EDGE = """\
apiVersion: nvi-operator/v1
kind: Gateway
metadata:
  name: edge
spec:
  dataplane: {dataplane}
  interfaces:
    lan0:
      networks: [192.168.1.0/24, fd00:1::/64]
"""

SPEC = (
    EDGE
    + """\
  uplinks:
    isp-a:
      interface: wan0
      nextHop: [203.0.113.1, 2001:db8:a::1]
      addresses: [203.0.113.2, 2001:db8:a::2]
      routed: [203.0.113.16/28, "2001:db8:a:1::/64"]
      default: true
    isp-b:
      interface: wan1
      nextHop: [198.51.100.1, 2001:db8:b::1]
      addresses: [198.51.100.2, 2001:db8:b::2]
      routed: [198.51.100.16/28, "2001:db8:b:1::/64"]
  sourceNat:
    - name: server
      from: [192.168.1.80, "fd00:1::80"]
      as: isp-b
    - name: everyone
      as: isp-a
  forwards:
    web:
      ports: [443/tcp, 443/udp]
      to: [192.168.1.80, "fd00:1::80"]
    ping-b:
      at: [198.51.100.20, "2001:db8:b:1::20"]
      to: [192.168.1.80, "fd00:1::80"]
{more}"""
)

A, B = "203.0.113.2", "198.51.100.2"
A6, B6 = "2001:db8:a::2", "2001:db8:b::2"


def spec(dataplane: str = "{ type: auto }", more: str = "") -> str:
    """The YAML text; `more` is further fields of `spec`, indented by two."""
    return SPEC.format(dataplane=dataplane, more=more)
