"""The topologies as drawings for a terminal of 80 columns."""

from __future__ import annotations

_UPLINKS = """\
   ISP A: 203.0.113.0/24, 2001:db8:a::/48; the gateway is .2 and ::2,
          and .16/28 and 2001:db8:a:1::/64 are routed to it
   ISP B: 198.51.100.0/24, 2001:db8:b::/48; the gateway is .2 and ::2,
          and .16/28 and 2001:db8:b:1::/64 are routed to it
   far:   192.0.2.80, 2001:db8:f::80, through both
"""
_DUAL_WAN = f"""\
   client .10 ---+                             +--- wan0 --- isp-a ---+
                 +--- lan0 .1 --- [ gw ] ------+                      +--- far
   server .80 ---+                  nvi0       +--- wan1 --- isp-b ---+

   LAN:   192.168.1.0/24, fd00:1::/64
{_UPLINKS}"""
_TENANTS = f"""\
   red-client .10, red-server .80 --- red0 --+        +- wan0 --- isp-a -+
                                             +-[ gw ]-+                  +- far
   blue-client .10, blue-server .80 - blue0 -+  nvi0  +- wan1 --- isp-b -+

   LANs:  192.168.1.0/24, fd00:1::/64, both of them
{_UPLINKS}"""
_ROUTED_LAN = f"""\
{_DUAL_WAN}
   and on the LAN: router, .254, with deep behind it: 192.168.7.10, fd00:7::10
"""
_PARTNER = f"""\
{_DUAL_WAN}
   and at part0, 10.255.0.2 and fd00:ff::2: partner, 10.255.0.1 and fd00:ff::1,
   with a host 192.168.1.20, fd00:1::20; it has routes to 10.1.0.0/24 and
   fd00:a1::/64 through the gateway
"""

_DRAWINGS = {
    "dual-wan": _DUAL_WAN,
    "routed-lan": _ROUTED_LAN,
    "tenants": _TENANTS,
    "partner-link": _PARTNER,
}


def drawing(topology: str) -> str:
    return _DRAWINGS[topology].strip("\n")
