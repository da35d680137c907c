"""The topologies as drawings for a terminal."""

from __future__ import annotations

_DUAL_WAN = """
   client .10 ──┐                              ┌─ wan0 .2 ── isp-a  203.0.113.0/24, 2001:db8:a::/48 ─┐
                ├─ lan0 .1 ─[ gw: nvi0 ]───────┤                                                     ├─ far
   server .80 ──┘                              └─ wan1 .2 ── isp-b 198.51.100.0/24, 2001:db8:b::/48 ─┘  192.0.2.80
   192.168.1.0/24, fd00:1::/64                                                                  2001:db8:f::80
"""
_TENANTS = """
   red-client .10, red-server .80 ──── red0 .1 ──┐            ┌─ wan0 ── isp-a ─┐
                                                 ├─[ gw ]─────┤                 ├─ far 192.0.2.80, 2001:db8:f::80
   blue-client .10, blue-server .80 ─ blue0 .1 ──┘            └─ wan1 ── isp-b ─┘
   both 192.168.1.0/24 and fd00:1::/64
"""
_PARTNER = (
    _DUAL_WAN
    + """
   and at part0 (10.255.0.2): partner 10.255.0.1, with the host 192.168.1.20
"""
)

_DRAWINGS = {"dual-wan": _DUAL_WAN, "tenants": _TENANTS, "partner-link": _PARTNER}


def drawing(topology: str) -> str:
    return _DRAWINGS[topology].strip("\n")
