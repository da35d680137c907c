"""Facts of a host that is elsewhere, so that a spec can be rendered on any machine."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from ipaddress import ip_interface
from types import MappingProxyType

from nvi_operator.language.model.gateway import GatewaySpec
from nvi_operator.topology.facts import Facts, LinkFact

_FIRST = 1001


def assume_missing(spec: GatewaySpec, facts: Facts, also: Collection[str] = ()) -> Facts:
    """`facts`, and every interface that the spec names and the host lacks, up and with the spec's addresses.

    `also`: further interfaces that take up a number, so that two specs have the same ones.
    """
    addresses = {
        uplink.interface: tuple(ip_interface(a) for a in uplink.addresses)
        for uplink in spec.uplinks.values()
        if uplink.addresses != "auto"
    }
    named = named_interfaces(spec)
    missing = [ifname for ifname in sorted({*named, *also}) if ifname not in facts.links]
    made_up = {
        ifname: LinkFact(
            ifname,
            number,
            f"02:00:00:00:{number >> 8:02x}:{number & 255:02x}",
            mtu=1500,
            addresses=addresses.get(ifname, ()),
        )
        for number, ifname in enumerate(missing, start=_FIRST)
        if ifname in named
    }
    return replace(facts, links=MappingProxyType({**facts.links, **made_up}), assumed=bool(made_up))


def named_interfaces(spec: GatewaySpec) -> frozenset[str]:
    return frozenset({*spec.interfaces, *(uplink.interface for uplink in spec.uplinks.values())})
