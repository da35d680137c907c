"""Facts of a host that is elsewhere, so that a spec can be rendered on any machine."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_interface
from types import MappingProxyType

from nvi_operator.language.model.gateway import GatewaySpec
from nvi_operator.topology.facts import Facts, LinkFact

_FIRST = 1001


def assume_missing(spec: GatewaySpec, facts: Facts) -> Facts:
    """`facts`, and every interface that the spec names and the host lacks, up and with the spec's addresses."""
    addresses = {
        uplink.interface: tuple(ip_interface(a) for a in uplink.addresses)
        for uplink in spec.uplinks.values()
        if uplink.addresses != "auto"
    }
    named = sorted({*spec.interfaces, *(uplink.interface for uplink in spec.uplinks.values())})
    missing = [ifname for ifname in named if ifname not in facts.links]
    made_up = {
        ifname: LinkFact(
            ifname,
            number,
            f"02:00:00:00:{number >> 8:02x}:{number & 255:02x}",
            mtu=1500,
            addresses=addresses.get(ifname, ()),
        )
        for number, ifname in enumerate(missing, start=_FIRST)
    }
    return replace(facts, links=MappingProxyType({**facts.links, **made_up}), assumed=bool(missing))
